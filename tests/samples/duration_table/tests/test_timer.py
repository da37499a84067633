import pytest
from timing.show import show_duration
from timing.timer import Timer


def test_hours_and_minutes():
    assert Timer("1h 30m").remaining(now=400) == 5000


def test_a_week():
    assert Timer("1w").remaining(now=0) == 7 * 24 * 3600


def test_show():
    assert show_duration(90061) == "1d 1h 1m 1s"


def test_unknown_unit():
    with pytest.raises(ValueError, match="fortnight"):
        Timer("1 fortnight")
