"""A sandbox in another process, perhaps of another user: the same protocol, so that the same tests run on it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from sandbox import errors
from sandbox.base import Guarantee, Policy, Result
from sandbox.workspace import Workspace
from tests.conftest import IMAGE
from tests.sandboxes import code_for_everybody

_SERVING = Path(__file__).with_name("serving.py")


def _load() -> Any:
    """`serving` under the name that it has in the other process, where the package `tests` is not."""
    spec = importlib.util.spec_from_file_location("serving", _SERVING)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["serving"] = module
    spec.loader.exec_module(module)
    return module


serving = _load()


class RemoteWorkspace:
    """The few facts about a workspace that never change, and its methods, which run over there."""

    def __init__(self, call: Callable[..., Any], root: Path, source: Path, uid: int, base: str) -> None:
        self.root, self.source, self.uid, self.base = root, source, uid, base
        self._call = call

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda *args, **options: self._call("workspace", method, *args, **options)


class Remote:
    """A started sandbox. One request at a time."""

    def __init__(self, process: subprocess.Popen[bytes], order: Any) -> None:
        self.process = process
        self._lock = threading.Lock()
        assert process.stdin is not None
        assert process.stdout is not None
        self._requests, self._answers = process.stdin, process.stdout
        serving.send(self._requests, order)
        self.name, root, source, uid, base, self._guarantees = serving.receive(self._answers)
        self.workspace = cast("Workspace", RemoteWorkspace(self._call, root, source, uid, base))

    def _call(self, target: str, method: str, *args: Any, **options: Any) -> Any:
        with self._lock:
            serving.send(self._requests, (target, method, args, options))
            failed, value = serving.receive(self._answers)
        if not failed:
            return value
        error = getattr(errors, failed, errors.SandboxError)
        raise error([value[0]]) if failed == "PatchRefused" else error(value[0], hint=value[1])

    async def start(self) -> None:
        """It is."""

    async def run(
        self,
        script: str,
        *,
        timeout: float,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        cap: int | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Result:
        assert on_output is None, "output does not come live over the pipe"
        options = {"timeout": timeout, "cwd": cwd, "env": env, "stdin": stdin, "cap": cap}
        return cast("Result", await asyncio.to_thread(self._call, "box", "run", script, **options))

    async def reset(self) -> None:
        await asyncio.to_thread(self._call, "box", "reset")

    async def close(self) -> None:
        """End the other process in good order; what it had is gone then."""
        self._requests.close()
        await asyncio.to_thread(self.process.wait, 30)
        self._answers.close()

    def guarantees(self) -> list[Guarantee]:
        return cast("list[Guarantee]", self._guarantees)


@contextmanager
def serving_process(
    directory: Path, kind: str, policy: Policy, files: Mapping[str, str], user: int | None = None
) -> Iterator[Remote]:
    """A sandbox of this kind in a process of its own, which works in `directory`; with `user` as that user.

    Ended at the end by force if need be. As another user the system's Python runs a copy of the sandbox package.
    """
    order = serving.Order(kind, IMAGE, policy, dict(files))
    if user is None:
        command = [sys.executable, str(_SERVING), str(directory)]
        with _started(
            command, order, cwd=directory, env={**os.environ, "PYTHONPATH": str(_SERVING.parents[2])}
        ) as it:
            yield it
        return
    with code_for_everybody() as place:
        shutil.copy(_SERVING, place)
        home = place / "home"
        home.mkdir()
        shutil.chown(home, user, user)
        theirs = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        env = {**theirs, "HOME": str(home), "PATH": os.defpath, "PYTHONPATH": str(place)}
        command = ["/usr/bin/python3", str(place / _SERVING.name), str(home)]
        with _started(command, order, cwd=home, env=env, user=user) as it:
            yield it


@contextmanager
def _started(
    command: list[str], order: Any, *, cwd: Path, env: dict[str, str], user: int | None = None
) -> Iterator[Remote]:
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        user=user, group=user, extra_groups=None if user is None else [], start_new_session=True,
    )  # fmt: skip
    try:
        yield Remote(process, order)
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
