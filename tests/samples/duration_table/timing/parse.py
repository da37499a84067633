import re

from timing.units import seconds_per

PART = re.compile(r"(\d+)\s*([a-z]+)")


def parse_duration(text):
    """ "1h 30m" -> 5400"""
    parts = PART.findall(text.lower())
    if not parts:
        raise ValueError(f"no duration in {text!r}")
    return sum(int(number) * seconds_per(unit) for number, unit in parts)
