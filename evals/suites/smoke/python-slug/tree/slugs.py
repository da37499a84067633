import re


def slug(title):
    """A title as part of an address: small letters and digits, joined by single dashes."""
    return re.sub(r"[^a-z0-9]", "-", title.lower())
