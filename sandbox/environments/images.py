"""Images for set-ups: found, pulled, or built from the project's Dockerfile in a context that holds nothing else."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import stat
import tarfile
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode

from sandbox import hostfiles
from sandbox.engine import Engine, Gone, open_stream
from sandbox.environments.certificates import VARIABLES
from sandbox.environments.dockerfile import CERTIFICATES, trusting
from sandbox.environments.recipe import Recipe
from sandbox.errors import FileRefused, SandboxError
from sandbox.walking import walk

__all__ = ["build", "image_id", "pull", "remove"]

DOCKERFILE = ".coder-internal-dockerfile"
_FROM = re.compile(r" : FROM\b", re.IGNORECASE)
_LAYER = re.compile(r"---> ([0-9a-f]{12,64})")
_DISCARD_ATTEMPTS = 20
_LARGEST_DOCKERFILE = 1 << 20
_LARGEST_LINE = 1 << 20
_CHUNK = 1 << 16


async def image_id(engine: Engine, name: str) -> str:
    """The id of the image `name`; empty when it is not on this machine."""
    try:
        found = await engine.call("inspect_image", name)
    except Gone:
        return ""
    return str(found["Id"])


async def pull(engine: Engine, name: str, say: Callable[[bytes], None]) -> str:
    """Fetch `name` through the engine, with no credentials, and return its id. Raises SandboxError."""
    repository, tag = _split(name)
    query = urlencode({"fromImage": repository, "tag": tag})
    told: set[str] = set()
    async with aclosing(_post(engine, f"/images/create?{query}", None)) as lines:
        async for entry in lines:
            line = f"{entry.get('id', '')} {entry.get('status', '')}".strip()
            if line and line not in told and not entry.get("progressDetail"):
                told.add(line)
                say(line.encode() + b"\n")
    found = await image_id(engine, name)
    if not found:
        raise SandboxError(f"the image {name} is not there after it was pulled")
    return found


async def build(
    engine: Engine,
    root: Path,
    recipe: Recipe,
    *,
    tag: str,
    labels: Mapping[str, str],
    network: str,
    variables: Mapping[str, str],
    certificates: bytes,
    memory_mb: int,
    say: Callable[[bytes], None],
) -> str:
    """Build the recipe's Dockerfile with the files beneath `root` and return the image's id. Raises SandboxError.

    `network` is the engine's word for the network of its commands; `variables` are seen by them and kept nowhere;
    `certificates` are those that they trust. Ends with the connection: whoever cancels this, or dies, ends the build.
    A build that fails leaves no image.
    """
    query = {
        "t": tag,
        "dockerfile": DOCKERFILE,
        "networkmode": network,
        "buildargs": json.dumps({**recipe.build_args, **variables}),
        "labels": json.dumps(dict(labels)),
        "target": recipe.target,
        "memory": str(memory_mb << 20),
        "memswap": str(memory_mb << 20),
        "rm": "1",
        "forcerm": "1",
    }
    with tempfile.TemporaryFile() as archive:
        await asyncio.to_thread(_pack, root, recipe, certificates, archive)
        layers = _Layers()
        found = ""
        try:
            async with aclosing(_post(engine, f"/build?{urlencode(query)}", archive)) as lines:
                async for entry in lines:
                    text = entry.get("stream") or entry.get("status") or ""
                    if isinstance(text, str) and text:
                        layers.read(text)
                        say(text.encode())
                    found = (entry.get("aux") or {}).get("ID") or found
            if not found or await image_id(engine, tag) != found:
                raise SandboxError("the build broke off")
        except BaseException:
            await asyncio.shield(_discard(engine, tag, layers.made))
            raise
    return str(found)


class _Layers:
    """What a build made on its way, from what the builder says. What it found ready is not its own."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self._ours = False

    def read(self, text: str) -> None:
        if text.startswith("Step "):
            self._ours = not _FROM.search(text)
        elif "Using cache" in text:
            self._ours = False
        elif self._ours and (found := _LAYER.fullmatch(text.strip())):
            self.made.append(found[1])


async def _discard(engine: Engine, tag: str, layers: Sequence[str]) -> None:
    """Remove the images that a failed build has left, the last first; what carries a name or another image stays."""
    with suppress(SandboxError):
        await remove(engine, tag)
    left = list(reversed(layers))
    for _ in range(_DISCARD_ATTEMPTS):  # the engine ends an abandoned build a little later
        left = [layer for layer in left if not await _removed(engine, layer)]
        if not left:
            return
        await asyncio.sleep(0.5)


async def _removed(engine: Engine, layer: str) -> bool:
    """Whether nothing is left to do about an image without a name."""
    try:
        found = await engine.call("inspect_image", layer)
        if not found.get("RepoTags") and not found.get("RepoDigests"):
            await engine.call("remove_image", layer, noprune=True)
    except Gone as error:
        return "No such image" in str(error)
    except SandboxError:
        return False
    return True


async def remove(engine: Engine, name: str) -> None:
    """Remove the image `name`; one that is not there is fine."""
    try:
        await engine.call("remove_image", name)
    except Gone:
        return


def _split(name: str) -> tuple[str, str]:
    """Repository and tag (or digest) of an image's name."""
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "latest")


# The context


def _pack(root: Path, recipe: Recipe, certificates: bytes, archive: IO[bytes]) -> None:
    """Write the build context as a tar: what lies beneath the context directory, and the Dockerfile under our name."""
    try:
        dockerfile = hostfiles.read_bytes(root, recipe.dockerfile, _LARGEST_DOCKERFILE)
        with (
            hostfiles.opened(root, recipe.context, os.O_PATH | os.O_DIRECTORY) as context,
            tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path, mode in _included(context):
                _add(tar, context, path, mode)
            if certificates:
                _add_data(tar, CERTIFICATES, certificates, 0o644)
                dockerfile = trusting(dockerfile, VARIABLES)
            _add_data(tar, DOCKERFILE, dockerfile, 0o644)
    except (OSError, FileRefused) as error:
        raise SandboxError(f"{recipe.dockerfile} cannot be built in {recipe.context}: {error}") from error
    archive.seek(0)


def _included(context: int) -> Iterator[tuple[str, int]]:
    """Files and links of the context that its .dockerignore leaves in."""
    from docker.utils.build import PatternMatcher

    ignored = PatternMatcher([*_patterns(context)])
    for entry in walk(context):
        if entry.kind in ("file", "symlink") and not ignored.matches(entry.path):
            yield entry.path, entry.mode


def _patterns(context: int) -> Iterator[str]:
    try:
        text = hostfiles.read_bytes(context, ".dockerignore", 1 << 16).decode("utf-8", "replace")
    except (OSError, FileRefused):
        return
    lines = (line.strip() for line in text.splitlines())
    yield from (line for line in lines if line and not line.startswith("#"))


def _add(tar: tarfile.TarFile, context: int, path: str, mode: int) -> None:
    if stat.S_ISLNK(mode):
        entry = tarfile.TarInfo(path)
        entry.type = tarfile.SYMTYPE
        entry.linkname = hostfiles.read_link(context, path)
        tar.addfile(entry)
        return
    data = hostfiles.read_bytes(context, path, 1 << 30, links=False)
    _add_data(tar, path, data, 0o755 if mode & 0o100 else 0o644)


def _add_data(tar: tarfile.TarFile, path: str, data: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(data)
    entry.mode = mode
    tar.addfile(entry, io.BytesIO(data))


# The engine's answers


async def _post(engine: Engine, path: str, body: IO[bytes] | None) -> AsyncGenerator[dict[str, Any], None]:
    """The answer of a long call, object by object. Closing this ends the call: HTTP/1.0 has one on a connection.

    Not by docker-py: a thread that waits for its next line cannot be ended.
    """
    size = body.seek(0, os.SEEK_END) if body else 0
    reader, writer = await open_stream(engine.host)
    head = (
        f"POST /v{engine.version}{quote(path, safe='/?&=%+')} HTTP/1.0\r\nHost: docker\r\n"
        f"Content-Type: application/x-tar\r\nContent-Length: {size}\r\n\r\n"
    )
    sending = asyncio.create_task(_send(writer, head.encode(), body))
    try:
        status = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
        said: Sequence[bytes] = ()
        async for line in _lines(reader):
            if status != b"200":
                said = (*said, line)
                continue
            entry = json.loads(line)
            if "error" in entry:
                raise SandboxError(f"Docker: {entry['error']}")
            yield entry
        if status != b"200":
            raise SandboxError(f"Docker refused: {_message(b''.join(said))}")
    except ConnectionResetError:  # it does not read the last zeros of an archive: what it said was all
        return
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        raise SandboxError(f"the engine's answer broke off: {error!r}") from error
    finally:
        sending.cancel()
        writer.transport.abort()
        await asyncio.gather(sending, return_exceptions=True)


async def _send(writer: asyncio.StreamWriter, head: bytes, body: IO[bytes] | None) -> None:
    writer.write(head)
    if body is not None:
        body.seek(0)
        while chunk := await asyncio.to_thread(body.read, _CHUNK):
            writer.write(chunk)
            await writer.drain()


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    rest = b""
    while data := await reader.read(_CHUNK):
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > _LARGEST_LINE:
            raise ValueError("a line without an end")
        for line in lines:
            if line.strip():
                yield line
    if rest.strip():
        yield rest


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer[:500].decode("utf-8", "replace")
