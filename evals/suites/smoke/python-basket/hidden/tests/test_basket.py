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


def test_a_list_that_was_given_is_not_changed():
    given = [("tea", 450)]
    basket = Basket(given)
    basket.add("bread", 320)
    assert given == [("tea", 450)]
    assert basket.total() == 770
