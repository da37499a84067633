"""Something waits for a word: shown in the composer's place, with what it is, why it asks, and the answers."""

from __future__ import annotations

import json

from coder.tui.plate import BAD, CARE, DIM, GOOD, PLAIN, STRONG, Plate, Row, cut
from coder.workflows.port import ApprovalRequest
from sandbox.text import clean_text

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
        self._top = 0

    def open(self, request: ApprovalRequest, *, plan: bool = False, waiting: int = 0) -> None:
        """Show `request`; `waiting` counts those behind it."""
        self.request, self.plan, self.waiting, self._top = request, plan, waiting, 0
        self._body = body_rows(request)
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
    text = " · ".join(clean_text(" ".join(fact.split())) for fact in facts if fact)
    return [*rows, [(cut(f"   {text}", width), CARE)]] if text else rows


def body_rows(request: ApprovalRequest) -> list[Row]:
    """The command, the diff, or the arguments: whole, for what is not shown was not approved."""
    if request.diff:
        what = [[(f"   {clean_text(request.what)}", PLAIN)]] if request.what else []
        return [*what, *(_diff_row(line) for line in _lines(request.diff))]
    text = request.what or json.dumps(request.arguments, ensure_ascii=False, indent=1)
    return [[("   ", PLAIN), (line, PLAIN)] for line in _lines(text)]


def answer_rows(request: ApprovalRequest, width: int, *, plan: bool) -> list[Row]:
    """The numbered answers, one below the other where it is narrow."""
    answers = (
        [("1 y", "carry it out"), ("e", "edit it")] if plan else [("1 y", "once"), ("2 a", "this session")]
    )
    if not plan and request.prefix:
        answers.append(("3 p", f"every {cut(clean_text(request.prefix), 24)} …"))
    answers += [("4 n", "no, and say why"), ("Esc", "no, and stop")]
    rows: list[list[tuple[str, str]]] = [[(" ", PLAIN)]]
    for keys, text in answers:
        if width < NARROW:
            rows.append([(f" {keys:<4}", STRONG), (text, PLAIN)])
        else:
            rows[0] += [(f" {keys} ", STRONG), (f"{text}  ", PLAIN)]
    return [row for row in rows if len(row) > 1]


def _verb(tool: str) -> str:
    verbs = {
        "bash": "run this command",
        "str_replace_editor": "change this file",
        "run_tests": "run these tests",
    }
    return verbs.get(tool, f"use {clean_text(tool)}")


def _lines(text: str) -> list[str]:
    lines = clean_text(text).expandtabs(4).split("\n")
    left = len(lines) - MAX_LINES
    return [*lines[:MAX_LINES], f"… {left} more lines"] if left > 0 else lines


def _diff_row(line: str) -> Row:
    head = line.startswith(("+++", "---", "@@"))
    style = DIM if head else GOOD if line.startswith("+") else BAD if line.startswith("-") else PLAIN
    return [("   ", PLAIN), (line, style)]
