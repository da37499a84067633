def merge(intervals):
    """Join intervals (start, end) that overlap or touch; the result is sorted."""
    merged = []
    for start, end in sorted(intervals):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def covered(intervals):
    """The length that intervals cover together."""
    return sum(end - start for start, end in merge(intervals))
