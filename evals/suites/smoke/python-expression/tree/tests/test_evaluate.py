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
