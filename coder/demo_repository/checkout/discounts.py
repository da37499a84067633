"""Discounts. All amounts are whole cents."""

from __future__ import annotations


def discount_percent(amount: int) -> int:
    """10 percent from 100.00 on, 5 percent from 50.00 on, otherwise none."""
    if amount >= 5000:
        return 5
    if amount >= 10000:
        return 10
    return 0


def discounted(amount: int) -> int:
    """The amount less its discount."""
    return amount - amount * discount_percent(amount) // 100
