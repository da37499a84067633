def flatten(items):
    """All that is in a list of lists, however deep, in order. Text is one thing."""
    flat = []
    for item in items:
        try:
            flat.extend(item)
        except TypeError:
            flat.append(item)
    return flat
