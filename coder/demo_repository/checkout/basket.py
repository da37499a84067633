"""What the customer wants to buy."""

from __future__ import annotations

from dataclasses import dataclass, field

from checkout.discounts import discounted


@dataclass
class Basket:
    """Articles with their price in cents and how many of them."""

    lines: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, article: str, price: int, quantity: int = 1) -> None:
        """Put articles into the basket."""
        self.lines[article] = (price, quantity)

    def subtotal(self) -> int:
        """What everything costs before discounts, in cents."""
        return sum(price * quantity for price, quantity in self.lines.values())

    def total(self) -> int:
        """What the customer pays, in cents."""
        return discounted(self.subtotal())
