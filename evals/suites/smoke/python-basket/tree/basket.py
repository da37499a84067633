class Basket:
    """Things to be bought, each with its price in cents."""

    def __init__(self, items=[]):
        self.items = items

    def add(self, name, cents):
        self.items.append((name, cents))

    def total(self):
        return sum(cents for _, cents in self.items)
