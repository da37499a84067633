from intervals import covered, merge


def test_apart():
    assert merge([(5, 6), (1, 2)]) == [(1, 2), (5, 6)]


def test_overlapping():
    assert merge([(1, 4), (3, 6)]) == [(1, 6)]


def test_one_within_the_other():
    assert merge([(1, 10), (2, 3)]) == [(1, 10)]


def test_covered():
    assert covered([(0, 2), (5, 6)]) == 3
