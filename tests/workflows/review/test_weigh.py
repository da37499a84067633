"""Which objections count: what a command proves, and what enough reviews copy from the change."""

from __future__ import annotations

import asyncio

from coder.review_events import Finding
from coder.workflows.gates.source import ChangedFile
from coder.workflows.review.answer import Answer, Claim
from coder.workflows.review.weigh import weigh

FILE = ChangedFile("shop.py", b"one\n\n\nfour\n", b"import os\n\n\nreturn a - b\n")


def claim(line: int, quote: str, command: str = "") -> Answer:
    return Answer(True, (Claim("shop.py", line, "error", "it is wrong", quote, command),))


def weighed(*answers: Answer, quotations: bool = True) -> tuple[Finding, ...]:
    async def attempt(command: str) -> str:
        return "it failed" if command == "proves" else ""

    return asyncio.run(weigh(answers, [FILE], attempt, name="r1", quotations=quotations))


def test_half_of_the_reviews_copy_the_changed_line() -> None:
    (finding,) = weighed(claim(4, "return a - b"), claim(3, "+ return  a - b"), Answer(False))
    assert (finding.line, finding.backed, finding.proof, finding.agreed) == (4, True, "return a - b", 2)


def test_one_review_of_three_is_too_few() -> None:
    (finding,) = weighed(claim(4, "return a - b"), Answer(False), Answer(False))
    assert not finding.backed


def test_who_copies_what_is_not_there_is_no_second_voice() -> None:
    (finding,) = weighed(claim(4, "return a - b"), claim(2, "return a * b"), Answer(False))
    assert (finding.agreed, finding.backed) == (2, False)


def test_without_quotations_only_a_command_backs() -> None:
    copied = claim(4, "return a - b")
    (unbacked,) = weighed(copied, copied, copied, quotations=False)
    assert not unbacked.backed
    (backed,) = weighed(copied, claim(4, "return a - b", "proves"), Answer(False), quotations=False)
    assert (backed.backed, backed.proof) == (True, "$ proves\nit failed")
