from flatten import flatten


def test_flat():
    assert flatten([1, 2]) == [1, 2]


def test_one_level():
    assert flatten([1, [2, 3]]) == [1, 2, 3]


def test_deep():
    assert flatten([1, [2, [3, [4]]]]) == [1, 2, 3, 4]


def test_text_is_one_thing():
    assert flatten(["ab", ["cd", [b"ef"]]]) == ["ab", "cd", b"ef"]


def test_tuples():
    assert flatten([(1, (2,)), 3]) == [1, 2, 3]


def test_empty():
    assert flatten([[], [[]]]) == []


def test_none_is_a_thing():
    assert flatten([None, [None]]) == [None, None]
