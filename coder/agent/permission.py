"""The gate between a call and its tool: what the mode lets pass, what the user is asked, and the answers so far."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict, dataclass
from typing import Literal

from coder import events
from coder.agent.approval import Answer, ApprovalRequest, Mode
from coder.errors import UsageError
from coder.events import Emit
from sandbox.base import WORKDIR
from tools.base import Call, Context, Toolbox, ToolResult
from tools.commands import Rule, covered, parse_rule, suggest
from tools.dialects import EDITOR
from tools.preview import preview

Kind = Literal["read", "edit", "command", "end"]

PLANNING = (
    "Not run: the user wants a plan first, so only reading works now (search, and view in the editor). "
    "When the plan is ready, give it with the plan tool, then call submit."
)
PLANNED = "The plan is ready."
_REFUSED = "The user refused this call"


@dataclass(slots=True)
class _Pending:
    request: ApprovalRequest
    call: Call
    answered: asyncio.Future[tuple[str, str]]
    """The answer's kind and text."""


class Permission:
    """One session's mode, rules and open questions. Rules last as long as this object."""

    def __init__(self, emit: Emit, mode: Mode = Mode.AUTO) -> None:
        self.mode = mode
        self._emit = emit
        self._rules: list[Rule] = []
        self._for_session: set[tuple[str, str]] = set()
        self._pending: dict[str, _Pending] = {}

    async def judge(self, call: Call, context: Context, toolbox: Toolbox, id: str) -> ToolResult | None:  # noqa: A002 - the call's own word, as in the events
        """None when `call` may run; else what the model is told instead. `id` is the call's own."""
        kind = kind_of(call)
        if self.planning() and kind == "end":
            return ToolResult(call.arguments.get("summary", "").strip() or PLANNED, finished=True)
        if self._passes(call):
            return None
        if self.planning():
            return ToolResult(PLANNING, ok=False)
        diff = ""
        if kind == "edit":
            expected = await preview(toolbox, call, context)
            if not expected.ok:
                return expected
            diff = expected.diff
        answer, text = await self._ask(call, id, diff)
        if answer == "no":
            return ToolResult(f"{_REFUSED}: {text}" if text else f"{_REFUSED}.", ok=False)
        return ToolResult(PLANNING, ok=False) if self.planning() else None

    def planning(self) -> bool:
        return self.mode is Mode.PLAN

    def set_mode(self, mode: Mode) -> None:
        self.mode = mode
        for pending in list(self._pending.values()):
            if mode is Mode.PLAN or self._passes(pending.call):
                _settle(pending, "mode", str(mode))

    def answer(self, id: str, answer: Answer) -> None:  # noqa: A002 - the call's own word, as in the events
        """Answer an open question; one that is no longer open is passed over.

        Raises UsageError for a prefix rule that could not be sure; the question stays open.
        """
        pending = self._pending.get(id)
        if pending is None:
            return
        if answer.kind == "prefix":
            self._add_rule(answer.text)
        elif answer.kind == "session":
            self._for_session.add(_scope(pending.call))
        _settle(pending, answer.kind, answer.text)
        for other in list(self._pending.values()):
            if self._passes(other.call):
                _settle(other, "mode", str(self.mode))

    def _add_rule(self, text: str) -> None:
        rule = parse_rule(text)
        if rule is None:
            raise UsageError(
                f"no rule can be made of {text!r}",
                hint="Plain words that a command begins with, such as: pytest. Not a shell, nor a program that runs others.",
            )
        self._rules.append(rule)

    def _passes(self, call: Call) -> bool:
        kind = kind_of(call)
        if kind in ("read", "end") or self.mode is Mode.AUTO:
            return True
        if self.mode is Mode.PLAN:
            return False
        if (kind == "edit" and self.mode is Mode.EDITS) or _scope(call) in self._for_session:
            return True
        return call.tool.name == "bash" and covered(call.arguments["command"], self._rules)

    async def _ask(self, call: Call, id: str, diff: str) -> tuple[str, str]:  # noqa: A002 - the call's own word, as in the events
        request = _request(call, self.mode, diff)
        future: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
        self._pending[request.id] = _Pending(request, call, future)
        answer = ("interrupted", "")
        try:
            await self._emit(events.ApprovalRequested(call=id, **asdict(request)))
            answer = await future
        finally:
            del self._pending[request.id]
            await self._emit(events.ApprovalResolved(id=request.id, answer=answer[0], text=answer[1]))
        return answer


def kind_of(call: Call) -> Kind:
    """What a call does. A tool that is not known here counts as a command."""
    match call.tool.name:
        case "search" | "plan":
            return "read"
        case "submit":
            return "end"
        case name if name == EDITOR:
            return "read" if call.arguments.get("command") == "view" else "edit"
        case _:
            return "command"


def _scope(call: Call) -> tuple[str, str]:
    """What an answer for the session covers: all edits, all test runs, but only the very same command."""
    kind = kind_of(call)
    if kind == "edit":
        return ("edit", "")
    return (call.tool.name, call.arguments["command"] if call.tool.name == "bash" else "")


def _request(call: Call, mode: Mode, diff: str) -> ApprovalRequest:
    edits = kind_of(call) == "edit"
    is_bash = call.tool.name == "bash"
    what = call.arguments.get("command", "") if is_bash else str(call.arguments.get("path", ""))
    if not edits and not is_bash:
        what = " ".join([call.tool.name, *map(str, call.arguments.values())])
    return ApprovalRequest(
        id=secrets.token_hex(6),
        tool=call.tool.name,
        arguments=call.arguments,
        what=what,
        cwd=WORKDIR,
        why=f"{'edits' if edits else 'commands'} ask in the mode {mode}",
        diff=diff,
        prefix=suggest(what) if is_bash else "",
        session="every edit" if edits else "this very command" if is_bash else "every run of the tests",
    )


def _settle(pending: _Pending, answer: str, text: str) -> None:
    if not pending.answered.done():
        pending.answered.set_result((answer, text))
