from wordset import common, similarity, words


def test_words():
    assert words("A b a") == {"a", "b"}


def test_common():
    assert common("red green", "green blue") == ["green"]


def test_empty_texts_are_alike():
    assert similarity("", "") == 1.0
