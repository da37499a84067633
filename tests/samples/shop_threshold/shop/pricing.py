"""Discounts and shipping, all amounts in cents."""

FREE_SHIPPING_FROM = 5000
SHIPPING = 490


def discount_percent(quantity):
    """Ten percent from 10 pieces on, five percent from 5 pieces on."""
    if quantity > 10:
        return 10
    if quantity >= 5:
        return 5
    return 0


def shipping(subtotal):
    """Orders of FREE_SHIPPING_FROM or more are sent for free."""
    if subtotal >= FREE_SHIPPING_FROM:
        return 0
    return SHIPPING


def line_total(price, quantity):
    gross = price * quantity
    return gross - gross * discount_percent(quantity) // 100
