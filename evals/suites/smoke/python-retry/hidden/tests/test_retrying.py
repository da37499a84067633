import pytest

from retrying import retry


class Flaky:
    def __init__(self, failures):
        self.failures = failures
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError("not yet")
        return "done"


def test_success_at_once():
    assert retry(Flaky(0)) == "done"


def test_third_call_counts():
    flaky = Flaky(2)
    assert retry(flaky, times=3) == "done"
    assert flaky.calls == 3


def test_gives_up_after_times():
    flaky = Flaky(9)
    with pytest.raises(OSError):
        retry(flaky, times=3)
    assert flaky.calls == 3


def test_one_time():
    with pytest.raises(OSError):
        retry(Flaky(1), times=1)
    assert retry(Flaky(0), times=1) == "done"


def test_other_errors_are_not_retried():
    calls = []

    def call():
        calls.append(1)
        raise KeyError("x")

    with pytest.raises(KeyError):
        retry(call, on=(OSError,))
    assert len(calls) == 1
