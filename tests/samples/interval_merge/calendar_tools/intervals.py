"""Half-open intervals (start, end)."""


def overlaps(a, b):
    return a[0] < b[1] and b[0] < a[1]


def merge(intervals):
    """Join intervals that overlap or touch; the result is sorted."""
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def gaps(intervals, start, end):
    """What is left of start..end between the intervals."""
    free = []
    position = start
    for first, last in merge(intervals):
        if first > position:
            free.append((position, first))
        position = max(position, last)
    if position < end:
        free.append((position, end))
    return free
