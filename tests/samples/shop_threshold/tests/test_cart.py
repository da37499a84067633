import pytest
from shop.cart import Cart
from shop.catalog import UnknownItem


def test_small_order_pays_shipping():
    cart = Cart()
    cart.add("pen", 2)
    assert cart.total() == 300 + 490


def test_five_pieces_get_five_percent():
    cart = Cart()
    cart.add("notebook", 5)
    assert cart.subtotal() == 1900


def test_ten_pieces_get_ten_percent():
    cart = Cart()
    cart.add("notebook", 10)
    assert cart.subtotal() == 3600


def test_unknown_item():
    cart = Cart()
    cart.add("boat")
    with pytest.raises(UnknownItem):
        cart.total()
