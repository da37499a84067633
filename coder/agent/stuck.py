"""Notices when the model goes in circles.

The patterns and their counts are OpenHands' (its stuck detector): four times the same action with the same
observation, three times the same action with an error, three answers without a call, six alternations.
"""

from __future__ import annotations

from collections import deque

SAME_RESULT = 4
SAME_ERROR = 3
ALTERNATIONS = 6


class StuckDetector:
    """Feed it every step; `seen()` names the pattern that the last steps form, or is empty."""

    def __init__(self) -> None:
        self._steps: deque[tuple[str, str, bool]] = deque(maxlen=ALTERNATIONS)

    def step(self, action: str, observation: str, *, ok: bool) -> None:
        self._steps.append((action, observation, ok))

    def clear(self) -> None:
        self._steps.clear()

    def seen(self) -> str:
        steps = list(self._steps)
        if _all_same(steps[-SAME_RESULT:], SAME_RESULT):
            return f"the same call with the same result {SAME_RESULT} times"
        last = steps[-SAME_ERROR:]
        if _all_same([action for action, _, _ in last], SAME_ERROR) and not any(ok for _, _, ok in last):
            return f"the same failing call {SAME_ERROR} times"
        alternate = len(steps) == ALTERNATIONS and all(steps[i] == steps[i % 2] for i in range(ALTERNATIONS))
        if alternate:
            return "two calls in alternation"
        return ""


def _all_same(items: list[object] | list[str] | list[tuple[str, str, bool]], count: int) -> bool:
    return len(items) == count and len(set(items)) == 1
