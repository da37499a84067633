from calc.tokens import tokens

SIGNS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


def evaluate(text):
    """The value of a sum such as 2 + 3 * 4. Raises ValueError for what is none."""
    parts = tokens(text)
    if not parts:
        raise ValueError("there is nothing to evaluate")
    value = float(parts[0])
    for sign, number in zip(parts[1::2], parts[2::2]):
        value = SIGNS[sign](value, float(number))
    return value
