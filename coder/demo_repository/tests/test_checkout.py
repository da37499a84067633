from checkout.basket import Basket


def test_a_small_basket_has_no_discount() -> None:
    basket = Basket()
    basket.add("pen", 150, 2)
    assert basket.total() == 300


def test_five_percent_from_fifty_on() -> None:
    basket = Basket()
    basket.add("lamp", 5000)
    assert basket.total() == 4750


def test_ten_percent_from_a_hundred_on() -> None:
    basket = Basket()
    basket.add("desk", 20000)
    assert basket.total() == 18000
