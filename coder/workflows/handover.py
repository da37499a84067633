"""Putting a session's change into the user's own files: checked first, as a whole or not at all."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from coder import events
from coder.events import Emit
from coder.workflows.evidence import Gate
from coder.workflows.house import House
from coder.workflows.judge import Judge
from coder.workflows.request import Request
from sandbox.errors import PatchRefused, SandboxError

NOTHING = "There is no change to apply."


async def hand_over(
    house: House, request: Request, emit: Emit, *, accepted: str, anyway: bool
) -> tuple[str, str]:
    """Apply what differs from the user's files; a sentence, and the snapshot that is accepted by now.

    `accepted` is a snapshot that passed the gates already; any other is judged first. `anyway` goes on where a gate
    fails, but never where no command could run.
    """
    site = house.site
    if site is None or not site.ready:
        return NOTHING, accepted
    workspace = await site.workspace()
    tree = await asyncio.to_thread(workspace.snapshot)
    base = house.since or workspace.base
    changes = await asyncio.to_thread(workspace.changes, base, tree)
    if not changes:
        return NOTHING, accepted
    if (unusable := await site.unusable()) is not None:
        return f"Not applied: the change could not be verified: {unusable}", accepted
    if tree != accepted:
        failed = await _judged(house, request, emit)
        if failed is None:
            accepted = tree
        elif not anyway:
            return f"Not applied: the change failed a gate: {failed.detail}", accepted
    try:
        await asyncio.to_thread(workspace.apply_to_source, base, tree)
    except (PatchRefused, SandboxError) as error:
        return f"Not applied: {error}", accepted
    house.since = tree
    paths = tuple(change.path for change in changes)
    await emit(events.Applied(tree=tree, paths=paths))
    return f"Applied to your files: {names(paths)}", accepted


async def _judged(house: House, request: Request, emit: Emit) -> Gate | None:
    """The first gate that the present change fails."""
    run = replace(request, workflow="run", task="")
    judge = Judge(run, await house.place(), emit, since=house.since, known=house.tested)
    await judge.judge()
    return judge.evidence.first_failure()


def names(paths: tuple[str, ...], most: int = 5) -> str:
    """A few of `paths` in words."""
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more if paths else "no file"
