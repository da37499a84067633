"""Finding free time."""

from calendar_tools.clock import clock, minutes
from calendar_tools.intervals import gaps


def free_slots(busy, opens="09:00", closes="17:00", shortest=30):
    """Free slots of at least `shortest` minutes as "HH:MM-HH:MM"."""
    taken = [(minutes(start), minutes(end)) for start, end in busy]
    slots = gaps(taken, minutes(opens), minutes(closes))
    return [f"{clock(a)}-{clock(b)}" for a, b in slots if b - a >= shortest]


def busy_minutes(busy):
    from calendar_tools.intervals import merge

    return sum(b - a for a, b in merge([(minutes(s), minutes(e)) for s, e in busy]))
