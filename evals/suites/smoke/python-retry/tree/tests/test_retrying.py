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
