class Cycle(Exception):
    """Packages that need each other."""


def build_order(needs):
    """Every package after all that it needs. `needs` maps a package to a list of packages.

    What is free to choose comes in the order of the names.
    """
    order = []
    for package in sorted(needs):
        for needed in sorted(needs[package]):
            if needed not in order:
                order.append(needed)
        if package not in order:
            order.append(package)
    return order
