from timing.units import SECONDS


def show_duration(seconds):
    """5400 -> "1h 30m"."""
    parts = []
    for unit, size in sorted(SECONDS.items(), key=lambda pair: -pair[1]):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"
