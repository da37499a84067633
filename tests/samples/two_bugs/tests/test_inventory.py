import pytest
from inventory.codes import make_code, parse_code
from inventory.labels import label
from inventory.stock import Stock


def test_code_is_padded():
    assert make_code("ab", 42) == "AB-0042-1"


def test_parse():
    assert parse_code("AB-0042-1") == ("AB", 42)


def test_label():
    assert label("ab", 42, "bolt") == "AB-0042-1 bolt"


def test_low_stock():
    stock = Stock()
    stock.receive("AB-0042-1", 5)
    stock.receive("AB-0043-1", 9)
    stock.take("AB-0042-1", 2)
    assert stock.low(3) == ["AB-0042-1"]


def test_take_too_much():
    with pytest.raises(ValueError):
        Stock().take("x", 1)
