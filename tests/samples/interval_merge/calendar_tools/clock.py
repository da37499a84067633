"""Times of a day as minutes since midnight."""


def minutes(text):
    hours, rest = text.split(":")
    return int(hours) * 60 + int(rest)


def clock(value):
    return f"{value // 60:02d}:{value % 60:02d}"
