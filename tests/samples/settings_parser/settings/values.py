"""Words become values."""

TRUE = {"yes", "true", "on"}
FALSE = {"no", "false", "off"}


def convert(word):
    lowered = word.lower()
    if lowered in TRUE:
        return True
    if lowered in FALSE:
        return False
    try:
        return int(word)
    except ValueError:
        return word
