"""The customer's cart."""

from shop.catalog import price_of
from shop.pricing import line_total, shipping


class Cart:
    def __init__(self):
        self.lines = {}

    def add(self, item, quantity=1):
        if quantity < 1:
            raise ValueError("quantity must be at least 1")
        self.lines[item] = self.lines.get(item, 0) + quantity

    def remove(self, item):
        self.lines.pop(item, None)

    def subtotal(self):
        return sum(line_total(price_of(item), n) for item, n in self.lines.items())

    def total(self):
        subtotal = self.subtotal()
        return subtotal + shipping(subtotal)
