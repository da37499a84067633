"""JUnit XML as data: read with entities refused and sizes capped, since the code under test could have written it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal
from xml.parsers import expat

from tools.base import TestCounts

Outcome = Literal["passed", "failed", "error", "skipped"]
_WORST_LAST: tuple[Outcome, ...] = ("skipped", "passed", "failed", "error")
_TAGS: dict[str, Outcome] = {"failure": "failed", "error": "error", "skipped": "skipped"}

MAX_BYTES = 64_000_000
_MAX_CASES = 500_000
_MAX_DEPTH = 32
_MAX_DETAIL = 20_000
_MAX_NAME = 2_000


class ReportRefused(ValueError):
    """Not a JUnit report, or one that tries something."""


@dataclass(frozen=True, slots=True)
class TestCase:
    __test__: ClassVar[bool] = False

    id: str
    """A pytest node id, relative to the workspace, as far as the report lets it be known."""
    outcome: Outcome
    seconds: float
    message: str = ""
    detail: str = ""
    """The traceback, at most 20,000 characters from its end."""
    expected: bool = False
    """Skipped, since it failed as it was expected to (xfail)."""


@dataclass(frozen=True, slots=True)
class TestReport:
    """What ran, each id once: of several entries for one test the worst counts."""

    __test__: ClassVar[bool] = False

    cases: tuple[TestCase, ...]

    @property
    def passed(self) -> frozenset[str]:
        return self._ids("passed")

    @property
    def failed(self) -> frozenset[str]:
        return self._ids("failed")

    @property
    def errors(self) -> frozenset[str]:
        """Tests whose set-up or tear-down failed, and modules that could not be imported."""
        return self._ids("error")

    @property
    def skipped(self) -> frozenset[str]:
        """Expected failures count here too."""
        return self._ids("skipped")

    @property
    def collected(self) -> int:
        return len(self.cases)

    @property
    def seconds(self) -> float:
        return sum(case.seconds for case in self.cases)

    @property
    def counts(self) -> TestCounts:
        return TestCounts(
            passed=len(self.passed),
            failed=len(self.failed),
            errors=len(self.errors),
            skipped=len(self.skipped),
        )

    def _ids(self, outcome: Outcome) -> frozenset[str]:
        return frozenset(case.id for case in self.cases if case.outcome == outcome)


def parse(data: bytes, exists: Callable[[str], bool], roots: Iterable[str] = ("",)) -> TestReport:
    """Read a report. `exists` tells whether a workspace path is a file; `roots` are directories that pytest
    may have taken for its root (ids in the report are relative to that). Raises ReportRefused."""
    if len(data) > MAX_BYTES:
        raise ReportRefused("the report is too large")
    reader = _Reader()
    try:
        reader.feed(data)
    except expat.ExpatError as error:
        raise ReportRefused(f"the report is not well-formed XML: {error}") from error
    naming = _Naming(exists, tuple(roots))
    worst: dict[str, TestCase] = {}
    for raw in reader.cases:
        case = raw.named(naming)
        seen = worst.get(case.id)
        if seen is None or _WORST_LAST.index(case.outcome) > _WORST_LAST.index(seen.outcome):
            worst[case.id] = case
    return TestReport(tuple(worst.values()))


@dataclass(slots=True)
class _Raw:
    """One `testcase` element while it is read."""

    classname: str
    name: str
    file: str
    seconds: float
    outcome: Outcome = "passed"
    message: str = ""
    detail: str = ""
    expected: bool = False

    def named(self, naming: _Naming) -> TestCase:
        return TestCase(
            naming.node_id(self.classname, self.name, self.file),
            self.outcome,
            self.seconds,
            self.message,
            self.detail,
            self.expected and self.outcome == "skipped",
        )


class _Reader:
    def __init__(self) -> None:
        self.cases: list[_Raw] = []
        self._open: list[str] = []
        self._case: _Raw | None = None
        self._text: list[str] | None = None
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = _refuse
        self._parser.EntityDeclHandler = _refuse

    def feed(self, data: bytes) -> None:
        self._parser.Parse(data, True)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._open and tag not in ("testsuites", "testsuite"):
            raise ReportRefused("the report is not JUnit XML")
        self._open.append(tag)
        if len(self._open) > _MAX_DEPTH or len(self.cases) >= _MAX_CASES:
            raise ReportRefused("the report is nested too deeply or too long")
        given = {key: value[:_MAX_NAME] for key, value in attributes.items()}
        if tag == "testcase":
            self._case = _Raw(
                given.get("classname", ""),
                given.get("name", ""),
                given.get("file", ""),
                _seconds(given.get("time", "")),
            )
            self.cases.append(self._case)
        elif self._case is not None and tag in _TAGS:
            self._note(self._case, _TAGS[tag], given.get("message", ""))
            self._case.expected = "xfail" in given.get("type", "")
            self._text = []

    def _note(self, case: _Raw, outcome: Outcome, message: str) -> None:
        if not case.message and not case.detail:
            case.outcome, case.message = outcome, message
        elif _WORST_LAST.index(outcome) > _WORST_LAST.index(case.outcome):
            case.outcome, case.message, case.detail = outcome, message, ""

    def _end(self, tag: str) -> None:
        self._open.pop()
        if tag == "testcase":
            self._case = None
        elif self._text is not None and tag in _TAGS and self._case is not None:
            parts = [self._case.detail, "".join(self._text)]
            self._case.detail = "\n".join(part for part in parts if part)[-_MAX_DETAIL:]
            self._text = None

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)


def _refuse(*_: object) -> None:
    raise ReportRefused("the report declares a document type or entities")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds >= 0 else 0.0


class _Naming:
    """Node ids from class names. pytest writes `dir/test_x.py::Class::test` as `dir.test_x.Class` and `test`
    (mangle_test_address in _pytest/junitxml.py); with xunit1 the file of the definition stands there as well."""

    def __init__(self, exists: Callable[[str], bool], roots: tuple[str, ...]) -> None:
        self._exists = exists
        self._roots = roots or ("",)
        self._known: dict[tuple[str, str], tuple[str, list[str]]] = {}

    def node_id(self, classname: str, name: str, file: str) -> str:
        if not classname:
            # a module that could not be imported: its dotted path is the name
            path, classes = self._place(name, file)
            return "::".join([path, *classes])
        path, classes = self._place(classname, file)
        return "::".join([path, *classes, name])

    def _place(self, dotted: str, file: str) -> tuple[str, list[str]]:
        key = (dotted, file)
        if key not in self._known:
            self._known[key] = self._find(dotted, file)
        return self._known[key]

    def _find(self, dotted: str, file: str) -> tuple[str, list[str]]:
        module = file.removesuffix(".py").replace("/", ".")
        if file and (dotted == module or dotted.startswith(f"{module}.")):
            rest = dotted[len(module) + 1 :]
            return self._rooted(file) or file, rest.split(".") if rest else []
        # an inherited test: the file is where it was written, not where it was collected
        names = dotted.split(".")
        for length in range(min(len(names), 40), 0, -1):
            path = self._rooted("/".join(names[:length]) + ".py")
            if path:
                return path, names[length:]
        return dotted, []

    def _rooted(self, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/"):
            return ""
        candidates = [f"{root}/{path}" if root else path for root in self._roots]
        return next((candidate for candidate in candidates if self._exists(candidate)), "")
