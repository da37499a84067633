from render.context import Context
from render.filters import FILTERS
from render.tokens import tokens


class TemplateError(ValueError):
    pass


def apply_filters(value, names):
    for name in names:
        if name not in FILTERS:
            raise TemplateError(f"no filter {name!r}")
        value = FILTERS[name](value)
    return value


def render(template, **values):
    context = Context(values)
    pieces = []
    for kind, text in tokens(template):
        if kind == "text":
            pieces.append(text)
        else:
            name, *filters = [part.strip() for part in text.split("|")]
            pieces.append(str(apply_filters(context.lookup(name), filters)))
    return "".join(pieces)
