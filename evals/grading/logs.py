"""What tests printed, where there is no report: the summaries of pytest, sympy's runner and unittest."""

from __future__ import annotations

import re

from evals.grading.outcome import FAILED, PASSED, SKIPPED, XFAIL

_WORDS = {
    "PASSED": PASSED,
    "FAILED": FAILED,
    "ERROR": FAILED,
    "SKIPPED": SKIPPED,
    "XFAIL": XFAIL,
    "XPASS": PASSED,
}
_PYTEST = re.compile(r"^(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) (\S.*?)(?: - .*)?$")
_SYMPY = re.compile(r"^(test_\w+) (?:.* )?(ok|F|E|f|s)$")
_UNITTEST = re.compile(r"^(test\w* \([\w.]+\))(?:.*) \.\.\. (ok|FAIL|ERROR|skipped.*|expected failure)$")


def read(log: str) -> dict[str, str]:
    """Tests and outcomes by the lines that name both. The last word on a test counts."""
    found: dict[str, str] = {}
    for line in log.splitlines():
        text = line.strip()
        if match := _PYTEST.match(text):
            found[match[2]] = _WORDS[match[1]]
        elif match := _SYMPY.match(text):
            found[match[1]] = {"ok": PASSED, "f": XFAIL, "s": SKIPPED}.get(match[2], FAILED)
        elif match := _UNITTEST.match(text):
            word = match[2].partition(" ")[0]
            found[match[1]] = {"ok": PASSED, "skipped": SKIPPED, "expected": XFAIL}.get(word, FAILED)
    return found
