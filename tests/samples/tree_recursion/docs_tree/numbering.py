"""Numbers for headings: 1, 1.1, 1.2, 2 …"""


def numbered(node, prefix=""):
    result = []
    position = 0
    for child in node.children:
        if child.draft:
            continue
        position += 1
        number = f"{prefix}{position}"
        result.append((number, child.title))
        result.extend(numbered(child, number + "."))
    return result
