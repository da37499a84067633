"""Something waits for a word: shown in the composer's place, with what it is, why it asks, and the answers."""

from __future__ import annotations

import json

from coder.transcript.line import cells, clip
from coder.transcript.safe import visible
from coder.tui.plate import BAD, CARE, DIM, GOOD, PLAIN, STRONG, Piece, Plate, Row, wrapped
from coder.workflows.port import ApprovalRequest

SHORTEST = 3
"""Lines of the command or diff that are always shown."""

MAX_LINES = 2000
NARROW = 70


class ApprovalPanel(Plate):
    """The oldest open request. `plan`: it is a plan, which can be edited first."""

    def __init__(self) -> None:
        super().__init__("approval")
        self.request: ApprovalRequest | None = None
        self.plan = False
        self.waiting = 0
        self._body: list[Row] = []
        self._width = 0
        self._top = 0

    def open(self, request: ApprovalRequest, *, plan: bool = False, waiting: int = 0) -> None:
        """Show `request`; `waiting` counts those behind it."""
        self.request, self.plan, self.waiting, self._top = request, plan, waiting, 0
        self._width = 0
        self.draw()

    def close(self) -> None:
        self.request = None
        self.show([])

    def scroll(self, by: int) -> None:
        self._top = max(0, min(self._top + by, len(self._body) - self._room()))
        self.draw()

    def draw(self) -> None:
        if self.request is None:
            return
        width, room = self.app.size.width, self._room()
        if width != self._width:
            self._width, self._body = width, body_rows(self.request, width)
        shown = self._body[self._top : self._top + room]
        below = len(self._body) - self._top - len(shown)
        rows = [*head_rows(self.request, width, plan=self.plan, waiting=self.waiting), *shown]
        if below or self._top:
            rows.append([(f"   {below} more below, Up and Down move", DIM)])
        self.show([*rows, *answer_rows(self.request, width, plan=self.plan)])

    def _room(self) -> int:
        return max(SHORTEST, self.app.size.height // 2 - 5)


def head_rows(request: ApprovalRequest, width: int, *, plan: bool, waiting: int) -> list[Row]:
    """What asks, where, and why."""
    what = "A plan waits for your word" if plan else f"May it {_verb(request.tool)}?"
    more = f"  ({waiting} more behind it)" if waiting else ""
    rows: list[Row] = [[(f" {what}", STRONG), (more, DIM)]]
    facts = [f"in {request.cwd}" if request.cwd else "", f"asks because {request.why}" if request.why else ""]
    text = " · ".join(visible(" ".join(fact.split())) for fact in facts if fact)
    return [*rows, [(clip(f"   {text}", width), CARE)]] if text else rows


def body_rows(request: ApprovalRequest, width: int) -> list[Row]:
    """The command, the diff, or the arguments, whole: long lines go on below, for nobody can allow what is hidden."""
    text = request.what or json.dumps(request.arguments, ensure_ascii=False, indent=1)
    rows = [_row(part, PLAIN) for line in _lines(text) for part in _parts(line, width)]
    diff = _lines(request.diff) if request.diff else []
    return [*rows, *(_row(part, _diff_style(line)) for line in diff for part in _parts(line, width))]


def answer_rows(request: ApprovalRequest, width: int, *, plan: bool) -> list[Row]:
    """The numbered answers, one below the other where it is narrow."""
    answers = _plan_answers() if plan else [("1 y", "once"), ("2 a", _session(request))]
    if not plan and request.prefix:
        answers.append(("3 p", f"every {clip(visible(request.prefix), 24)} …"))
    answers += [("4 n", "no, and say why"), ("Esc", "no, and stop")]
    if width < NARROW:
        return [[(f" {keys:<4}", STRONG), (text, PLAIN)] for keys, text in answers]
    rows: list[list[Piece]] = [[]]
    for keys, text in answers:
        pieces = [(f" {keys} ", STRONG), (f"{text}  ", PLAIN)]
        if sum(cells(part) for part, _ in [*rows[-1], *pieces]) > width:
            rows.append([])
        rows[-1] += pieces
    return list(rows)


def _plan_answers() -> list[tuple[str, str]]:
    return [("1 y", "carry it out"), ("2 a", "carry it out, asking"), ("e", "edit it")]


def _session(request: ApprovalRequest) -> str:
    covered = clip(visible(" ".join(request.session.split())), 32)
    return f"this session: {covered}" if covered else "this session"


def _verb(tool: str) -> str:
    verbs = {
        "bash": "run this command",
        "str_replace_editor": "change this file",
        "run_tests": "run these tests",
    }
    return verbs.get(tool, f"use {visible(tool)}")


def _lines(text: str) -> list[str]:
    lines = visible(text).expandtabs(4).split("\n")
    left = len(lines) - MAX_LINES
    return [*lines[:MAX_LINES], f"… {left} more lines"] if left > 0 else lines


def _parts(line: str, width: int) -> list[str]:
    first, *rest = wrapped(line, width - 6)
    return [f"   {first}", *(f" ↪ {part}" for part in rest)]


def _row(text: str, style: str) -> Row:
    return [(text, style)]


def _diff_style(line: str) -> str:
    if line.startswith(("+++", "---", "@@")):
        return DIM
    return GOOD if line.startswith("+") else BAD if line.startswith("-") else PLAIN
