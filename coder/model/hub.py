"""Fetching one file from a Hugging Face hub, or a mirror of it named by `HF_ENDPOINT`."""

from __future__ import annotations

import http.client
import os
import re
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from coder.errors import ModelUnavailable, UsageError
from coder.model.weights import Progress, require_space

if TYPE_CHECKING:
    from http.client import HTTPResponse

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TIMEOUT = 30.0
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository on the hub."""

    owner: str
    repository: str
    path: str

    @classmethod
    def parse(cls, spec: str) -> HubFile:
        """Read `hf:owner/repository/file.gguf`; UsageError when it is something else."""
        owner, _, rest = spec.removeprefix("hf:").partition("/")
        repository, _, path = rest.partition("/")
        if all(_NAME.fullmatch(part) for part in (owner, repository, *path.split("/"))):
            return cls(owner, repository, path)
        raise UsageError(f"{spec!r} names no file on a hub", hint="the form is hf:OWNER/REPOSITORY/FILE.gguf")

    @property
    def url(self) -> str:
        endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        if not endpoint.startswith(("https://", "http://")):
            raise UsageError(f"HF_ENDPOINT={endpoint!r} is not a web address")
        return f"{endpoint}/{self.owner}/{self.repository}/resolve/main/{quote(self.path)}"


def fetch(file: HubFile, target: Path, *, progress: Progress, stop: threading.Event) -> None:
    """Download `file` to `target`, continuing an earlier attempt. Raises ModelUnavailable."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        _download(file.url, partial, progress, stop)
    except urllib.error.HTTPError as problem:
        problem.close()
        hint = (
            "check its owner, repository and name" if problem.code in (401, 403, 404) else "try again later"
        )
        raise ModelUnavailable(
            f"{file.url}: HTTP {problem.code}", hint=hint, status=problem.code
        ) from problem
    except (OSError, http.client.HTTPException) as problem:
        reason = getattr(problem, "reason", problem)
        raise ModelUnavailable(
            f"cannot download {file.url}: {reason}",
            hint="what arrived is kept; without a network give the path of a .gguf file, or set HF_ENDPOINT to a mirror",
        ) from problem
    _require_gguf(partial, file)
    partial.replace(target)


def _download(url: str, partial: Path, progress: Progress, stop: threading.Event) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 (http(s) only, see HubFile.url)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310 (the same)
    except urllib.error.HTTPError as problem:
        if problem.code == 416 and have:  # nothing is left to fetch
            problem.close()
            return
        raise
    with response, partial.open("ab" if response.status == 206 else "wb") as out:
        done = out.tell()
        total = done + int(response.headers.get("Content-Length") or 0)
        require_space(partial.parent, total - done + 100_000_000)
        _copy(response, out, done, total, progress, stop)


def _copy(
    response: HTTPResponse, out: IO[bytes], done: int, total: int, progress: Progress, stop: threading.Event
) -> None:
    """Copy until the end; a stream that ends early raises, so that the next attempt continues."""
    while piece := response.read(_PIECE):
        if stop.is_set():
            raise ModelUnavailable("the download was stopped; what arrived is kept")
        out.write(piece)
        done += len(piece)
        progress(done, total)
    if done < total:
        raise OSError(f"the connection ended after {done} of {total} bytes")


def _require_gguf(partial: Path, file: HubFile) -> None:
    with partial.open("rb") as head:
        if head.read(4) == b"GGUF":
            return
    partial.unlink()
    raise ModelUnavailable(f"{file.url} is not a GGUF file", hint="name the .gguf file itself")
