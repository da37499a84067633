from calendar_days import days_in, is_leap


def test_ordinary_years():
    assert is_leap(2024)
    assert not is_leap(2023)


def test_centuries():
    assert not is_leap(1900)
    assert is_leap(2000)


def test_days():
    assert days_in(2023, 1) == 31
    assert days_in(2024, 2) == 29
