import re

PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?|[-+*/()])")


def tokens(text):
    """Numbers and signs, in order. Raises ValueError for anything else."""
    found, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = PATTERN.match(text, place)
        if match is None:
            raise ValueError(f"cannot read {text[place:]!r}")
        found.append(match.group(1))
        place = match.end()
    return found
