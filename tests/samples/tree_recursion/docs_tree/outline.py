from docs_tree.numbering import numbered
from docs_tree.walk import find, walk


def outline(root):
    return "\n".join(f"{number} {title}" for number, title in numbered(root))


def section(root, title):
    """The outline below one heading."""
    node = find(root, title)
    if node is None:
        raise LookupError(title)
    return outline(node)


def titles(root):
    return [node.title for node, depth in walk(root) if depth]
