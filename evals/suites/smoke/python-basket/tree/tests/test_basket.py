from basket import Basket


def test_total():
    basket = Basket()
    basket.add("tea", 450)
    basket.add("bread", 320)
    assert basket.total() == 770


def test_baskets_are_apart():
    one, other = Basket(), Basket()
    one.add("tea", 450)
    assert other.items == []
