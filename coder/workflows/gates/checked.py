"""Runs the repository's own checkers on a change, before and after, each in a clean sandbox."""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from coder.workflows.evidence import Gate, not_applicable
from coder.workflows.gates.checkers import Checker, Complaints, Read, Unreadable, brought, fitting
from coder.workflows.gates.source import ChangedFile
from coder.workflows.gates.tests import some
from sandbox.base import Sandbox

Clean = Callable[[str], AbstractAsyncContextManager[Sandbox]]
"""Opens a clean sandbox on a snapshot."""
GATES = ("lint", "types")
_NOT_INSTALLED = 127


class Unusable(Exception):
    """A checker said nothing that counts; the sentence says why."""


async def checked(
    files: Sequence[ChangedFile],
    read: Read,
    clean: Clean,
    trees: tuple[str, str],
    *,
    python: str,
    timeout: float,
    report: Callable[[Gate], Awaitable[None]],
) -> None:
    """Judge what the checkers say of snapshot `trees[1]` that they did not say of `trees[0]`; `report` each gate."""
    paths = [file.path for file in files if file.new is not None]
    checkers = fitting(read, paths)
    if not checkers:
        for gate in GATES:
            await report(
                not_applicable(gate, f"the repository configures no {_WORD[gate]} for what was changed")
            )
        return
    existed = [file.path for file in files if file.old is not None and file.new is not None]
    said: list[dict[str, Complaints | Unusable]] = []
    for tree, named in zip(trees, (existed, paths), strict=True):
        async with clean(tree) as sandbox:
            said.append({each.name: await _asked(each, sandbox, named, python, timeout) for each in checkers})
    for gate in GATES:
        await report(_judged(gate, [each for each in checkers if each.gate == gate], said[0], said[1]))


_WORD = {"lint": "linter", "types": "type checker"}


async def _asked(
    checker: Checker, sandbox: Sandbox, paths: Sequence[str], python: str, timeout: float
) -> Complaints | Unusable:
    concerned = [path for path in paths if checker.concerns(path)]
    if not concerned and not checker.whole:
        return Complaints()
    result = await sandbox.run(checker.command(concerned, python), timeout=timeout)
    if result.exit == _NOT_INSTALLED:
        return Unusable(f"{checker.name} is configured, but not installed in the sandbox")
    if result.timed_out:
        return Unusable(f"{checker.name} took longer than {timeout:.0f} s")
    try:
        found = checker.parse(result.text())
    except Unreadable:
        return Unusable(f"what {checker.name} printed could not be read")
    if not found and result.exit not in (0, 1):
        return Unusable(f"{checker.name} ended with status {result.exit}")
    return Complaints({(posixpath.normpath(path), text): count for (path, text), count in found.items()})


def _judged(
    gate: str,
    checkers: Sequence[Checker],
    before: dict[str, Complaints | Unusable],
    after: dict[str, Complaints | Unusable],
) -> Gate:
    new: list[str] = []
    silent: list[str] = []
    spoke: list[str] = []
    for checker in checkers:
        was, now = before[checker.name], after[checker.name]
        if isinstance(was, Unusable) or isinstance(now, Unusable):
            silent.append(str(now if isinstance(now, Unusable) else was))
        else:
            spoke.append(checker.name)
            new += brought(was, now)
    if new:
        return Gate(gate, False, f"{' and '.join(spoke)}: {len(new)} new, {some(new)}", "\n".join(new))
    if spoke:
        return Gate(gate, True, f"{' and '.join(spoke)} found nothing new")
    if silent:
        return not_applicable(gate, "; ".join(silent))
    return not_applicable(gate, f"the repository configures no {_WORD[gate]} for what was changed")
