import pytest

from calc.evaluate import evaluate


def test_sums():
    assert evaluate("1 + 2 - 4") == -1
    assert evaluate("8 / 2 / 2") == 2


def test_precedence():
    assert evaluate("2 + 3 * 4") == 14


def test_nothing():
    with pytest.raises(ValueError):
        evaluate("")


def test_brackets():
    assert evaluate("(2 + 3) * 4") == 20
    assert evaluate("2 * (3 - (1 - 4))") == 12


def test_left_to_right():
    assert evaluate("10 - 4 - 3") == 3
    assert evaluate("2 * 6 / 3") == 4


@pytest.mark.parametrize("text", ["1 +", "(1", "1)", "* 2", "1 2", "a"])
def test_what_is_no_sum(text):
    with pytest.raises(ValueError):
        evaluate(text)
