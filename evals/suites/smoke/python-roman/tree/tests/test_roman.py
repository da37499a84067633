import pytest

from roman import to_roman


def test_sums():
    assert to_roman(1) == "I"
    assert to_roman(2026) == "MMXXVI"


def test_bounds():
    for number in (0, 4000):
        with pytest.raises(ValueError):
            to_roman(number)


def test_four():
    assert to_roman(4) == "IV"
