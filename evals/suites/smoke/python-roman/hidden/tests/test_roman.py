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


@pytest.mark.parametrize(
    ("number", "written"),
    [(9, "IX"), (40, "XL"), (90, "XC"), (400, "CD"), (900, "CM"), (1994, "MCMXCIV"), (3999, "MMMCMXCIX")],
)
def test_shortened(number, written):
    assert to_roman(number) == written
