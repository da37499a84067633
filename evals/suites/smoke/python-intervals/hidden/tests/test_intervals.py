from intervals import covered, merge


def test_apart():
    assert merge([(5, 6), (1, 2)]) == [(1, 2), (5, 6)]


def test_overlapping():
    assert merge([(1, 4), (3, 6)]) == [(1, 6)]


def test_one_within_the_other():
    assert merge([(1, 10), (2, 3)]) == [(1, 10)]


def test_covered():
    assert covered([(0, 2), (5, 6)]) == 3


def test_touching():
    assert merge([(1, 2), (2, 4)]) == [(1, 4)]


def test_many():
    assert merge([(1, 3), (2, 9), (4, 5), (9, 10), (12, 13)]) == [(1, 10), (12, 13)]


def test_covered_counts_nothing_twice():
    assert covered([(0, 10), (1, 2), (3, 4)]) == 10


def test_nothing():
    assert merge([]) == []
