from inventory.codes import make_code


def label(group, number, name):
    return f"{make_code(group, number)} {name}"
