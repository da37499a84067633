"""Cut a list into pages."""


def pages(items, size):
    """Return lists of at most `size` items, in order."""
    if size < 1:
        raise ValueError("size must be at least 1")
    count = len(items) // size
    return [items[number * size : (number + 1) * size] for number in range(count)]


def page_of(items, size, number):
    """Return page `number`, counted from 1; an empty list past the end."""
    found = pages(items, size)
    return found[number - 1] if 1 <= number <= len(found) else []
