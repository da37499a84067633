from stats import mean, median


def test_mean():
    assert mean([1, 2, 6]) == 3


def test_median_of_odd_count():
    assert median([9, 1, 5]) == 5


def test_median_of_even_count():
    assert median([4, 1, 3, 2]) == 2.5
