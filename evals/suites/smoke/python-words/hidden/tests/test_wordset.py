from wordset import common, similarity, words


def test_words():
    assert words("A b a") == {"a", "b"}


def test_common():
    assert common("red green", "green blue") == ["green"]


def test_empty_texts_are_alike():
    assert similarity("", "") == 1.0


def test_nothing_in_common():
    assert common("red", "blue") == []


def test_similarity():
    assert similarity("red green", "green blue") == 1 / 3
    assert similarity("red", "blue") == 0
