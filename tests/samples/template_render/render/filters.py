"""Filters that a template may use as {{ name|filter }}."""


def title(value):
    return str(value).title()


def shorten(value, length=10):
    """Cut to `length` characters at most, the last of them an ellipsis when something was cut."""
    text = str(value)
    if len(text) <= length:
        return text
    return text[:length] + "…"


FILTERS = {"title": title, "shorten": shorten, "upper": str.upper}
