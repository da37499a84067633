"""From parsed flags to an exit status: configuration, the session, the face, the run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Mapping
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from coder import config, sessions
from coder.errors import Interrupted, UsageError
from coder.events import LOSSY, Event, RunFinished, Sink, encode
from coder.journal import FILE
from coder.lookup import keep_out, top_of
from coder.workflows.request import Request

T = TypeVar("T")
MAX_TASK_BYTES = 256 * 1024


def start(workflow: str, flags: dict[str, Any]) -> int:
    """Run one task as the flags say; returns the exit status. Raises UsageError and ConfigError."""
    from coder.attended import UNATTENDED, face_of

    keep_out(flags["directory"])
    face = face_of(flags, os.environ, must=bool(flags.get("open")) and not flags["task"])
    if face == UNATTENDED:
        return _unattended(workflow, flags)
    return _attended(face, workflow, flags)


def _attended(face: str, workflow: str, flags: dict[str, Any]) -> int:
    """In the terminal, with somebody there. Keys are held from the first moment."""
    from coder.attended import WINDOW, attend
    from coder.tui.terminal import held_keys

    with held_keys() if face == WINDOW else nullcontext("") as typed:
        request = _request(workflow, flags)
        mode, session = flags.get("mode") or "", flags.get("resume") or ""
        return attend(face, request, mode=mode, session=session, typed=typed)


def _unattended(workflow: str, flags: dict[str, Any]) -> int:
    from coder import headless
    from coder.model.endpoint import warm_up
    from coder.workflows.run import execute

    warm_up()
    output_format = flags["output_format"] or "text"
    progress = headless.Progress(sys.stderr, verbose=flags["verbose"], plain=flags["plain"])
    request = _request(workflow, flags)
    sinks: list[Sink] = [] if flags["quiet"] else [progress]
    if output_format == "jsonl":
        sinks.append(_print_event)
    with closing(progress):
        finished = run_until_interrupted(execute(request, *sinks))
    _print_result(finished, request, output_format)
    return finished.exit


def run_until_interrupted(work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; the first Ctrl-C (or SIGTERM) cancels it in good order, the second ends it at once."""

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        loop.set_exception_handler(_without_late_results)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise Interrupted("interrupted") from None


def _without_late_results(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A thread's result that comes when its await was just cancelled is nobody's: asyncio would print a traceback
    (Python 3.11, futures.py, `_call_set_state`)."""
    if not isinstance(context.get("exception"), asyncio.InvalidStateError):
        loop.default_exception_handler(context)


def _request(workflow: str, flags: Mapping[str, Any]) -> Request:
    unconfined = _unconfined(flags)
    task = _task(flags["task"]) if flags["task"] or not flags.get("open") else ""
    request = new_request(workflow, task, flags["directory"], flags, os.environ)
    settings = request.config
    if unconfined:
        settings = replace(settings, sandbox="none", layers={**settings.layers, "sandbox": "flag"})
    return replace(
        request,
        config=settings,
        session=flags["session"].resolve() if flags["session"] else request.session,
        apply=bool(flags["apply"]),
        branch=flags["branch"],
        patch=flags["patch"].resolve() if flags["patch"] else None,
    )


def new_request(
    workflow: str, task: str, directory: Path, flags: Mapping[str, Any], environ: Mapping[str, str]
) -> Request:
    """A run of its own, with the configuration that holds in `directory`. Raises UsageError and ConfigError."""
    directory = directory.resolve()
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory")
    named = {name: flags.get(name) for name in config.SETTINGS}
    settings = config.load(project=project_folder(directory), flags=named, environ=environ)
    run = sessions.new_id()
    state = sessions.home(environ) / run
    return Request(
        task=task,
        workflow=workflow,
        directory=directory,
        config=settings,
        session=state,
        state=state,
        run=run,
    )


def _unconfined(flags: Mapping[str, Any]) -> bool:
    """Whether this run does without a sandbox: only by that one flag, and not where nobody watches."""
    if flags.get("sandbox") == "none":
        raise UsageError(
            "--sandbox none is spelled --unsafe-no-sandbox",
            hint="Commands of the model and of the repository then run on this machine, as you.",
        )
    if not flags.get("unsafe_no_sandbox"):
        return False
    if flags.get("sandbox") or flags.get("image"):
        raise UsageError("--unsafe-no-sandbox goes with neither --sandbox nor --image")
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        raise UsageError(
            "--unsafe-no-sandbox is refused in CI: the runner's secrets would be within reach of the model's commands",
            hint="bubblewrap needs no engine and no root; coder doctor says what is missing.",
        )
    return True


def project_folder(directory: Path) -> Path:
    """The repository's top folder, where its project file lies; the folder itself outside any repository."""
    return top_of(directory) or directory


def _task(argument: str) -> str:
    text = argument
    if argument == "-":
        text = sys.stdin.buffer.read(MAX_TASK_BYTES + 1).decode("utf-8", "replace")
    if len(text.encode("utf-8", "replace")) > MAX_TASK_BYTES:
        raise UsageError(f"the task is longer than {MAX_TASK_BYTES} bytes")
    if not text.strip():
        raise UsageError("the task is empty", hint='Say what to do: coder fix "failing test"')
    return text.strip()


def _print_event(event: Event) -> None:
    from coder import headless

    if not isinstance(event, LOSSY):
        headless.write_result(encode(event).decode() + "\n")


def _print_result(finished: RunFinished, request: Request, output_format: str) -> None:
    from coder import headless

    if output_format == "json":
        headless.write_result(headless.as_json(finished, request.session / FILE))
    elif output_format == "text":
        from coder.workflows.deliver import PATCH_FILE

        kept = request.patch or request.session / PATCH_FILE
        headless.write_result(headless.as_text(finished, kept if finished.patch else None))
