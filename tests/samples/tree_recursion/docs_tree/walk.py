"""Walking a tree of nodes."""


def walk(node, depth=0):
    """Every node with its depth, parents before children."""
    yield node, depth
    for child in node.children:
        yield from walk(child, depth + 1)


def find(node, title):
    """The first node with this title, or None."""
    if node.title == title:
        return node
    for child in node.children:
        return find(child, title)
    return None


def height(node):
    if not node.children:
        return 1
    return 1 + max(height(child) for child in node.children)
