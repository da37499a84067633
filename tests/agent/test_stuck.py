"""Circles are noticed, and work that only looks alike is not."""

from __future__ import annotations

from coder.agent.stuck import StuckDetector


def seen(*steps: tuple[str, str, bool]) -> str:
    detector = StuckDetector()
    for action, observation, ok in steps:
        detector.step(action, observation, ok=ok)
    return detector.seen()


def test_the_same_call_with_the_same_result_four_times() -> None:
    step = ("ls", "a.py", True)
    assert seen(*[step] * 3) == ""
    assert "same result 4 times" in seen(*[step] * 4)


def test_the_same_failing_call_three_times_even_with_other_words() -> None:
    assert "failing call 3 times" in seen(*[("edit", f"no match {i}", False) for i in range(3)])


def test_the_same_call_with_new_results_is_work() -> None:
    assert seen(*[("pytest", f"{i} failed", True) for i in range(6)]) == ""


def test_two_calls_in_alternation() -> None:
    a, b = ("view a", "x", True), ("view b", "y", True)
    assert seen(a, b, a, b, a) == ""
    assert "alternation" in seen(a, b, a, b, a, b)


def test_one_call_repeated_is_not_called_an_alternation() -> None:
    a = ("ls", "x", True)
    assert "same result" in seen(*[a] * 6)


def test_after_clearing_counting_starts_anew() -> None:
    detector = StuckDetector()
    for _ in range(4):
        detector.step("ls", "x", ok=True)
    detector.clear()
    detector.step("ls", "x", ok=True)
    assert detector.seen() == ""
