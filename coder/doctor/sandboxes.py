"""Probe: which sandboxes can be had on this machine, and what each of them really enforces."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace

from coder.config import Config
from coder.doctor.verdict import Row, Verdict
from sandbox import cgroups
from sandbox.base import Guarantee
from sandbox.errors import SandboxError
from sandbox.probes import kept
from sandbox.probes.findings import VITAL

KINDS = ("bubblewrap", "docker")
_COST = {
    "memory": "a command that takes too much memory can slow this machine down or have other programs killed",
    "cpu": "a busy command can take every processor",
    "processes": "a command can start more processes than this machine can bear",
    "disk": "a command can fill the disk",
    "syscalls": "an error in the kernel lies within a command's reach",
}
_WORST = "commands are less apart from this machine than they should be"


async def sandboxes(settings: Config, begin: Callable[[str], None]) -> AsyncIterator[Row]:
    """A row for each kind; those that cannot be had last, since they matter only where there is no other."""
    with suppress(OSError):
        kept.forget()  # what failed once may have been mended
    absent = []
    had = False
    for kind in KINDS:
        name = f"sandbox {kind}"
        begin(name)
        began = time.monotonic()
        try:
            row = _row(name, kind, await _examined(kind, settings))
            had = True
        except (SandboxError, OSError) as problem:
            row = Row(name, Verdict.NOT_TOLD, f"cannot be had: {problem}", fix=getattr(problem, "hint", ""))
        row = replace(row, seconds=round(time.monotonic() - began, 2))
        if row.verdict is Verdict.NOT_TOLD:
            absent.append(row)
        else:
            yield row
    for row in absent:
        if had:
            yield row
        else:
            yield replace(row, verdict=Verdict.BROKEN, cost="commands cannot run here")


async def _examined(kind: str, settings: Config) -> list[Guarantee]:
    """What this kind enforces, found out anew and kept for later runs. Raises SandboxError."""
    from sandbox.choose import DEFAULT_IMAGE
    from sandbox.probes.examine import LIMITS, Probed, bench, renewed
    from sandbox.workspace import Workspace

    def make(workspace: Workspace) -> Probed:
        if kind == "docker":
            from sandbox.docker import Docker

            image = settings.image or DEFAULT_IMAGE
            return Docker(workspace, LIMITS, image=image, runtime=settings.runtime)
        from sandbox.bubblewrap import Bubblewrap

        return Bubblewrap(workspace, LIMITS)

    async with bench(make) as box:
        return await renewed(box)


def _row(name: str, kind: str, promises: list[Guarantee]) -> Row:
    figures: dict[str, object] = {
        "guarantees": [
            {"name": p.name, "enforced": p.enforced, "how": p.how, "seen": p.seen} for p in promises
        ]
    }
    notes = tuple(f"{p.name}: {p.how} ({p.seen or 'not tried'})" for p in promises)
    missing = [promise for promise in promises if not promise.enforced]
    held = ", ".join(promise.name for promise in promises if promise.enforced)
    if not missing:
        return Row(name, Verdict.OK, f"enforced and seen: {held}", figures=figures, notes=notes)
    not_held = "; ".join(f"{promise.name}: {promise.seen or promise.how}" for promise in missing)
    vital = any(promise.name in VITAL for promise in missing)
    return Row(
        name,
        Verdict.BROKEN if vital else Verdict.DEGRADED,
        f"enforced and seen: {held}. Not enforced: {not_held}",
        "; ".join(dict.fromkeys(_COST.get(promise.name, _WORST) for promise in missing)),
        "; ".join(dict.fromkeys(_fix(kind, promise.name) for promise in missing)),
        figures=figures,
        notes=notes,
    )


def _fix(kind: str, name: str) -> str:
    if name not in ("memory", "cpu", "processes"):
        other = "docker" if kind == "bubblewrap" else "bubblewrap"
        return f"use --sandbox {other}"
    if "memory" in cgroups.mounts():  # version 1, which no ordinary user is given
        modern = "boot with systemd.unified_cgroup_hierarchy=1 (control groups v2)"
        return f"{modern}, or use --sandbox docker with an engine of root's"
    if kind == "bubblewrap":
        return (
            "enable cgroup delegation: start coder with systemd-run --user --scope -p Delegate=yes coder …, "
            "or use --sandbox docker"
        )
    return (
        "enable cgroup delegation: write [Service] and Delegate=cpu memory pids to "
        "/etc/systemd/system/user@.service.d/delegate.conf, then systemctl daemon-reload and log in again"
    )
