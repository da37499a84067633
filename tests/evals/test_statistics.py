"""Numbers that are known from elsewhere, and what must hold of any."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.report.statistics import mcnemar, pass_all, pass_at, quantile, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_as_in_the_literature(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_nothing_tried_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert pass_at([], [], 1) is None


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_rate(found: tuple[int, int]) -> None:
    successes, trials = found
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials + 1e-12
    assert successes / trials - 1e-12 <= high <= 1


def test_pass_at_k() -> None:
    assert pass_at([1, 0], [4, 4], 1) == 0.125
    assert pass_at([1, 0], [4, 4], 2) == 0.25
    assert pass_at([2], [4], 2) == pytest.approx(1 - 1 / 6)
    assert pass_at([1], [1], 2) is None


def test_pass_all_k() -> None:
    assert pass_all([2, 4], [4, 4], 2) == pytest.approx((1 / 6 + 1) / 2)


@given(st.integers(0, 8), st.integers(1, 8))
def test_one_of_k_is_never_less_likely_than_all_of_k(successes: int, k: int) -> None:
    one, every = pass_at([successes], [8], k), pass_all([successes], [8], k)
    assert one is not None
    assert every is not None
    assert one >= every - 1e-12


@pytest.mark.parametrize(
    ("first", "second", "p"), [(0, 0, 1.0), (5, 5, 1.0), (1, 9, 0.021484375), (0, 6, 0.03125)]
)
def test_mcnemar(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == mcnemar(second, first) == pytest.approx(p)


def test_quantiles() -> None:
    assert quantile([4, 1, 3, 2], 0.5) == 2.5
    assert quantile([7], 0.9) == 7
    assert quantile([], 0.5) == 0
