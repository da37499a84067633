"""From what each test did to a verdict, by the rules of swebench 5.0.2 (`get_eval_report`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evals.instance import Instance
from evals.result import Tests

PASSED, FAILED, SKIPPED, XFAIL = "PASSED", "FAILED", "SKIPPED", "XFAIL"
GOOD = frozenset({PASSED, XFAIL})


def judge(instance: Instance, found: Mapping[str, str]) -> Tests:
    """Every test that must pass, as it did. What is not in `found` failed; a skipped one is kept where it need only not
    break, and fails where it must begin to pass. With eval_type `fail_only`, only a failure that was seen counts."""
    if instance.eval_type == "fail_only":
        must = {name: found.get(name, PASSED) for name in instance.fail_to_pass}
        keep = {name: found.get(name, PASSED) for name in instance.pass_to_pass}
        good_must = good_keep = GOOD | {SKIPPED}
    else:
        must = {name: _outcome(name, found) for name in instance.fail_to_pass}
        keep = {name: _outcome(name, found) for name in instance.pass_to_pass}
        good_must, good_keep = GOOD, GOOD | {SKIPPED}
    return Tests(
        fail_to_pass_success=_those(must, good_must),
        fail_to_pass_failure=_others(must, good_must),
        pass_to_pass_success=_those(keep, good_keep),
        pass_to_pass_failure=_others(keep, good_keep),
    )


def _outcome(name: str, found: Mapping[str, str]) -> str:
    """A name with more `[` than `]` was cut at a blank by a log parser: it stands for all that it begins, which must
    agree on passing or not."""
    if name in found:
        return found[name]
    if name.count("[") > name.count("]"):
        outcomes = [found[other] for other in found if other.startswith(name)]
        if outcomes and len({outcome in GOOD for outcome in outcomes}) == 1:
            return outcomes[0]
    return FAILED


def _those(outcomes: Mapping[str, str], good: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name, outcome in outcomes.items() if outcome in good)


def _others(outcomes: Mapping[str, str], good: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name, outcome in outcomes.items() if outcome not in good)
