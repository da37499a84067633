"""Article codes such as AB-0042-1: group, number, check digit."""


def check_digit(group, number):
    total = sum(ord(c) for c in group) + sum(int(d) * (i + 1) for i, d in enumerate(f"{number:04d}"))
    return total % 10


def make_code(group, number):
    return f"{group.upper()}-{number}-{check_digit(group.upper(), number)}"


def parse_code(code):
    group, number, digit = code.split("-")
    if int(digit) != check_digit(group, int(number)):
        raise ValueError(f"wrong check digit in {code}")
    return group, int(number)
