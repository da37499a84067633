from metrics.alerts import breached
from metrics.series import Series


def test_breached():
    assert breached(Series("cpu", [10, 90, 95, 99]), limit=90)


def test_not_breached():
    assert not breached(Series("cpu", [10, 20, 30]), limit=90)


def test_no_values_yet():
    assert not breached(Series("cpu"), limit=90)


def test_summary():
    assert Series("cpu", [3, 1]).summary() == {"name": "cpu", "count": 2, "median": 2.0}
