import re

TOKEN = re.compile(r"{{\s*(.*?)\s*}}")


def tokens(template):
    """("text", …) and ("name", …) pieces in order."""
    position = 0
    for match in TOKEN.finditer(template):
        if match.start() > position:
            yield "text", template[position : match.start()]
        yield "name", match.group(1)
        position = match.end()
    if position < len(template):
        yield "text", template[position:]
