"""A program that has one sandbox and does with it what it is told over a pipe: a way to have one as another user.

Run as `python serving.py DIRECTORY` with a pickled (kind, image, policy, files) and then requests on standard input.
Imports nothing but the sandbox, so that a copy of that package is enough.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sandbox.base import Policy, Sandbox
from sandbox.bubblewrap import Bubblewrap
from sandbox.docker import Docker
from sandbox.errors import SandboxError
from sandbox.workspace import Workspace


@dataclass(frozen=True)
class Order:
    """What to serve."""

    kind: str
    image: str
    policy: Policy
    files: Mapping[str, str]


def send(pipe: IO[bytes], message: object) -> None:
    data = pickle.dumps(message)
    pipe.write(len(data).to_bytes(8, "big") + data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """The next message. Raises EOFError."""
    data = pipe.read(8)
    if len(data) < 8:
        raise EOFError
    return pickle.loads(pipe.read(int.from_bytes(data, "big")))


def make_repository(source: Path, files: Mapping[str, str]) -> None:
    source.mkdir(parents=True)
    for name, content in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(content)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "start"]):
        subprocess.run(["git", *arguments], cwd=source, check=True)


async def serve(order: Order, directory: Path, requests: IO[bytes], answers: IO[bytes]) -> None:
    make_repository(directory / "repository", order.files)
    workspace = Workspace.create(directory / "repository", directory / "state")
    box: Sandbox = Bubblewrap(workspace, order.policy)
    if order.kind == "docker":
        box = Docker(workspace, order.policy, image=order.image)
    await box.start()
    send(
        answers, (box.name, workspace.root, workspace.source, workspace.uid, workspace.base, box.guarantees())
    )
    try:
        while True:
            target, method, args, options = await asyncio.to_thread(receive, requests)
            send(answers, await answer(getattr(box if target == "box" else workspace, method), args, options))
    except EOFError:
        await box.close()
        workspace.close()


async def answer(method: Any, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[str, Any]:
    try:
        value = method(*args, **options)
        return "", await value if isinstance(value, Awaitable) else value
    except SandboxError as error:
        return type(error).__name__, (str(error), error.hint)


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    asyncio.run(serve(receive(sys.stdin.buffer), Path(sys.argv[1]), sys.stdin.buffer, answers))


if __name__ == "__main__":
    sys.modules["serving"] = sys.modules["__main__"]  # what the other side pickles is `serving.Order`
    main()
