"""How sure a number is."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt
from statistics import NormalDist

_Z = NormalDist().inv_cdf(0.975)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a rate (Wilson 1927, score interval without continuity correction); (0, 1) of nothing."""
    if trials == 0:
        return 0.0, 1.0
    rate, z2 = successes / trials, _Z * _Z
    centre = rate + z2 / (2 * trials)
    spread = _Z * sqrt(rate * (1 - rate) / trials + z2 / (4 * trials * trials))
    low, high = ((centre + sign * spread) / (1 + z2 / trials) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def pass_at(successes: Sequence[int], trials: Sequence[int], k: int) -> float | None:
    """The chance that at least one of `k` attempts solves, averaged over instances; None where one has fewer attempts.

    The unbiased estimate of Chen et al. 2021, "Evaluating Large Language Models Trained on Code", equation 1.
    """
    if not trials or min(trials) < k:
        return None
    chances = (1 - comb(n - c, k) / comb(n, k) for c, n in zip(successes, trials, strict=True))
    return sum(chances) / len(trials)


def pass_all(successes: Sequence[int], trials: Sequence[int], k: int) -> float | None:
    """The chance that `k` attempts all solve (pass^k of tau-bench, Yao et al. 2024), estimated without bias."""
    if not trials or min(trials) < k:
        return None
    chances = (comb(c, k) / comb(n, k) for c, n in zip(successes, trials, strict=True))
    return sum(chances) / len(trials)


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value that two runs, paired by instance, differ only by chance (McNemar 1947)."""
    n = only_first + only_second
    tail = sum(comb(n, i) for i in range(min(only_first, only_second) + 1)) * 0.5**n
    return min(1.0, 2 * tail)


def quantile(values: Sequence[float], q: float) -> float:
    """By linear interpolation between the order statistics; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
