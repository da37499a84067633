"""Lines of a settings file."""


def strip_comment(line):
    """Cut a comment that starts with # at the beginning of a word."""
    if line.lstrip().startswith("#"):
        return ""
    return line.split(" #", 1)[0].rstrip()


def meaningful(text):
    for number, line in enumerate(text.splitlines(), 1):
        line = strip_comment(line)
        if line.strip():
            yield number, line.strip()
