"""What came of one attempt at one instance: the plain facts that runner, grader and report share."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from coder.envelope import Spent

VERSION = 1


class Status(StrEnum):
    """How an attempt counts. A patch that passes is resolved, however its run ended."""

    RESOLVED = "resolved"
    UNRESOLVED = "unresolved"
    """The tests ran, and not all that must pass did."""
    EMPTY_PATCH = "empty_patch"
    PATCH_FAILED = "patch_failed"
    """The patch does not apply."""
    TESTS_TIMED_OUT = "tests_timed_out"
    LIMIT_TURNS = "limit_turns"
    LIMIT_TOKENS = "limit_tokens"
    LIMIT_SECONDS = "limit_seconds"
    CONTEXT_OVERFLOW = "context_overflow"
    SERVER_ERROR = "server_error"
    ENVIRONMENT_ERROR = "environment_error"

    @property
    def infrastructure(self) -> bool:
        """Says nothing about the model: such an attempt is made again when the run is resumed."""
        return self in (Status.SERVER_ERROR, Status.ENVIRONMENT_ERROR)

    @property
    def limit(self) -> bool:
        return self in (Status.LIMIT_TURNS, Status.LIMIT_TOKENS, Status.LIMIT_SECONDS)


class Tests(msgspec.Struct, frozen=True, kw_only=True):
    """The grader's verdict test by test. Names are the data set's."""

    fail_to_pass_success: tuple[str, ...] = ()
    fail_to_pass_failure: tuple[str, ...] = ()
    pass_to_pass_success: tuple[str, ...] = ()
    pass_to_pass_failure: tuple[str, ...] = ()

    @property
    def resolved(self) -> bool:
        return not self.fail_to_pass_failure and not self.pass_to_pass_failure


class Grade(msgspec.Struct, frozen=True, kw_only=True):
    """What the grader saw of one patch. `seconds` is the wall time of the tests."""

    status: Status
    tests: Tests | None = None
    """None where no test ran."""
    applied: bool = False
    detail: str = ""
    seconds: float = 0.0
    setup_seconds: float = 0.0


class Seconds(msgspec.Struct, frozen=True, kw_only=True):
    """Wall time of an attempt, and where it went. What is left of `total` is the runner's own."""

    total: float = 0.0
    setup: float = 0.0
    model: float = 0.0
    tools: float = 0.0
    tests: float = 0.0
    """Grading."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a reader of the score should know: peeking or tampering, as seen in the journal or the patch."""

    kind: str
    """history, release, installed_copy, test_changed, gold_match."""
    detail: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, as `result.json` holds it. It is written when everything else of the attempt is on the disk."""

    version: int = VERSION
    instance: str
    attempt: int
    """Counts from 1."""
    repo: str = ""
    difficulty: str = ""
    status: Status
    reason: str = ""
    """How the agent's run ended, as its RunFinished says: submitted, turns, ModelUnavailable, …"""
    detail: str = ""
    """A sentence for people where something went wrong."""
    patch: str = ""
    grade: Grade | None = None
    spent: Spent = Spent()
    seconds: Seconds = Seconds()
    started: float = 0.0
    """Seconds since the epoch."""
    findings: tuple[Finding, ...] = ()
    failed_edits: int = 0
    masked: int = 0
    """Times that old tool results were blanked to make room."""
    model: str = ""
    server: str = ""
    strategy: str = ""
    sandbox: str = ""
    endpoint: str = ""
    """The server's address that was used, where a run has several."""


class Worked(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that is not graded yet, as `worked.json` holds it: a model's work is not done again for a grading that
    was cut off. `ending` is the status of the agent's run; `result` has no verdict yet."""

    ending: str
    result: Result

    @property
    def infrastructure(self) -> bool:
        return self.ending in ("model", "sandbox")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What was run, as `run.json` in the run's folder holds it. What a later start may not change without a word."""

    version: int = VERSION
    data: str
    """The data set, as it was named."""
    sha256: str
    """Of the data set's file; of all of a suite's files."""
    instances: tuple[str, ...]
    """The ids in order."""
    attempts: int = 1
    seed: int = 0
    name: str = ""
    """For people and for `model_name_or_path` in predictions."""
    program: str = ""
    """This program's version."""
    settings: dict[str, object] = msgspec.field(default_factory=dict)
    """Everything that decides what an attempt does: strategy, limits, thinking, sandbox, model, server."""
    started: float = 0.0
