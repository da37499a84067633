"""Units of time in seconds."""

SECONDS = {
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
    "w": 432000,
}


def seconds_per(unit):
    try:
        return SECONDS[unit]
    except KeyError:
        raise ValueError(f"unknown unit {unit!r}") from None
