"""An attempt on a node of a cluster: everything it needs comes with it, everything it made goes back."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from coder import __version__
from evals.environments import Environments
from evals.environments.place import default_cache, remove_places
from evals.folder import RunFolder
from evals.instance import Instance, Source
from evals.result import Result
from evals.running.attempt import Settings
from evals.running.endpoints import Endpoints
from evals.running.local import Local


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a node is sent. `version` is that of this program at home."""

    version: str
    instance: Instance
    number: int
    flags: dict[str, object]
    workflow: str
    tests_timeout: float
    sandbox: str
    image: str
    endpoint: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What a node sends back: the attempt's files by name, and its result, or why it could not be made at all."""

    files: dict[str, bytes] = {}
    result: Result | None = None
    usage: str = ""
    """Settings that cannot be; the run ends with them."""


def packed(source: Source) -> bytes:
    """A tree that only the home machine has, to be sent along; nothing for one that a node can fetch."""
    if source.kind not in ("directory", "git"):
        return b""
    from evals.environments.tree import make_tree

    with tempfile.TemporaryDirectory(prefix="coder-tree-") as name:
        tree = Path(name) / "tree"
        make_tree(source, tree, Path(name))
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w:gz") as archive:
            archive.add(tree, arcname=".", filter=lambda info: None if info.name == "./.git" else info)
        return held.getvalue()


def attempt(encoded: bytes, tree: bytes) -> bytes:
    """Make an attempt here. A `Job` in, a `Done` out, both as MessagePack; a cluster calls this by name."""
    job = msgspec.msgpack.decode(encoded, type=Job)
    if job.version != __version__:
        told = f"a node has version {__version__} of coder, home has {job.version}"
        return msgspec.msgpack.encode(Done(usage=told))
    return msgspec.msgpack.encode(asyncio.run(_made(job, tree)))


async def _made(job: Job, tree: bytes) -> Done:
    from coder.errors import UsageError

    await asyncio.to_thread(remove_places, default_cache())
    with tempfile.TemporaryDirectory(prefix="coder-node-") as name:
        folder = RunFolder(Path(name))
        local = Local(
            folder=folder,
            settings=Settings(flags=job.flags, workflow=job.workflow, tests_timeout=job.tests_timeout),
            environments=Environments(job.sandbox, image=job.image),
            endpoints=Endpoints([job.endpoint] if job.endpoint else []),
        )
        instance = _with_tree(job.instance, tree)
        try:
            result = await local.attempt(instance, job.number, AsyncExitStack(), anew=True)
        except UsageError as error:
            return Done(usage=str(error))
        place = folder.place(job.instance.id, job.number)
        files = {path.name: path.read_bytes() for path in sorted(place.glob("*")) if path.is_file()}
        return Done(files=files, result=result)


def _with_tree(instance: Instance, tree: bytes) -> Instance:
    """The instance with its tree unpacked into this node's cache, once for all attempts."""
    if not tree or instance.recipe is None:
        return instance
    place = default_cache() / "trees" / hashlib.sha256(tree).hexdigest()
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=place.parent))
        with tarfile.open(fileobj=io.BytesIO(tree)) as archive:
            archive.extractall(scratch, filter="data")
        try:
            scratch.rename(place)
        except OSError:  # another attempt was quicker
            from sandbox.walking import remove_tree

            remove_tree(scratch)
    source = Source(kind="directory", path=str(place))
    return msgspec.structs.replace(instance, recipe=msgspec.structs.replace(instance.recipe, source=source))
