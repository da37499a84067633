"""`coder doctor` from its flags to its exit status."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field

from coder import config
from coder.doctor import report
from coder.doctor.patient import Patient
from coder.doctor.sandboxes import sandboxes
from coder.doctor.verdict import Row, exit_status
from coder.doctor.visit import facts, visit
from coder.errors import Interrupted, ModelError
from coder.model import facts as kept
from coder.model.endpoint import Endpoint, connect, warm_up


@dataclass(frozen=True, slots=True)
class Options:
    """The flags. `timeout` in seconds bounds the whole visit."""

    base_url: str | None = None
    model: str | None = None
    profile: str | None = None
    json: bool = False
    verbose: bool = False
    quick: bool = False
    timeout: float = 120.0
    sandbox: bool | None = None
    """Whether to examine the sandboxes too (None), alone, or not at all."""


@dataclass(slots=True)
class _Visit:
    """What was found so far."""

    options: Options
    progress: report.Progress = field(default_factory=report.Progress)
    endpoint: Endpoint | None = None
    rows: list[Row] = field(default_factory=list)


def examine(options: Options) -> int:
    """Examine one server and the sandboxes, and print what was found. Returns 0 when all is well, 1 when not.

    Raises:
        UsageError, ConfigError: the flags or the configuration are wrong.
        ModelError: no server answers, or not to us.
        Interrupted: Ctrl-C; what was found so far has been printed.
    """
    flags = {"base_url": options.base_url, "model": options.model, "profile": options.profile}
    settings = config.load(project=None, flags=flags, environ=os.environ)
    if not options.sandbox:
        warm_up()
    seen = _Visit(options)
    try:
        asyncio.run(_examine(settings, seen))
    except (asyncio.CancelledError, KeyboardInterrupt):
        _finish(seen, error="interrupted")
        raise Interrupted("interrupted") from None
    except ModelError as error:
        _finish(seen, error=str(error))
        raise
    _finish(seen)
    return exit_status(seen.rows)


async def _examine(settings: config.Config, seen: _Visit) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    ticking = asyncio.create_task(_tick(seen.progress))
    try:
        if not seen.options.sandbox:
            await _examine_server(settings, seen)
        if seen.options.sandbox or (seen.options.sandbox is None and not seen.options.quick):
            async for row in sandboxes(settings, seen.progress.begin):
                _show(row, seen)
    finally:
        ticking.cancel()


async def _examine_server(settings: config.Config, seen: _Visit) -> None:
    endpoint, profile = await connect(
        settings.base_url or None,
        settings.model or None,
        settings.api_key or None,
        profile=settings.profile or None,
    )
    seen.endpoint = endpoint
    patient = Patient.of(endpoint, profile)
    try:
        options = seen.options
        async for row in visit(
            patient, quick=options.quick, seconds=options.timeout, begin=seen.progress.begin
        ):
            _show(row, seen)
    finally:
        await patient.close()
    with suppress(OSError):  # a cache that cannot be written costs later runs a little time
        kept.save(endpoint, facts(seen.rows, patient, kept.load(endpoint)))


def _show(row: Row, seen: _Visit) -> None:
    seen.progress.end()
    seen.rows.append(row)
    if not seen.options.json:
        colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        _print(report.row_text(row, colours=colours, verbose=seen.options.verbose))


async def _tick(progress: report.Progress) -> None:
    while True:
        await asyncio.sleep(0.5)
        progress.tick()


def _finish(seen: _Visit, *, error: str = "") -> None:
    seen.progress.end()
    if seen.options.json:
        _print(report.as_json(seen.endpoint, seen.rows, error=error).rstrip("\n"))
    elif seen.rows:
        _print(report.summary(seen.rows))


def _print(text: str) -> None:
    """On standard output; a reader that is gone is no error of ours."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        sys.stderr.close()
