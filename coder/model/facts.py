"""What a visit of the doctor found out about a server, kept for later runs. No key and no prompt is ever in it."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from coder.model.endpoint import Endpoint

MAX_AGE = 30 * 86_400.0  # seconds
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Facts:
    """None is "not told". `context` in tokens, `prefill_rate` in tokens a second; `refused` names request fields."""

    tool_calls: bool | None = None
    reasoning_separated: bool | None = None
    budget_held: bool | None = None
    cached_reported: bool | None = None
    context: int | None = None
    prefill_rate: float | None = None
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Kept:
    """The file: whose facts these are (a digest), from when (seconds since 1970), and the facts."""

    whose: str
    saved: float
    facts: Facts


def save(endpoint: Endpoint, facts: Facts, *, folder: Path | None = None) -> Path:
    """Write them as a whole or not at all, readable by the user alone; returns the file.

    Raises:
        OSError: the state folder cannot be written.
    """
    import msgspec

    kept = _Kept(_whose(endpoint), time.time(), facts)
    path = _path(endpoint, folder or facts_folder())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)  # mode 0600
    try:
        with open(handle, "wb") as file:
            file.write(msgspec.json.encode(kept))
        os.replace(name, path)
    except OSError:
        with suppress(OSError):
            os.unlink(name)
        raise
    return path


def load(endpoint: Endpoint, *, folder: Path | None = None) -> Facts | None:
    """The facts of this model on this server; None when there are none, or they are old or of another version."""
    import msgspec

    try:
        with _path(endpoint, folder or facts_folder()).open("rb") as file:
            kept = msgspec.json.decode(file.read(_MAX_BYTES), type=_Kept)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    fresh = 0 <= time.time() - kept.saved <= MAX_AGE
    return kept.facts if fresh and kept.whose == _whose(endpoint) else None


def facts_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("coder")) / "servers"


def _path(endpoint: Endpoint, folder: Path) -> Path:
    return folder / f"{_whose(endpoint)[:32]}.json"


def _whose(endpoint: Endpoint) -> str:
    """Server, model and version as a digest: a URL may hold a password."""
    words = "\n".join((endpoint.base_url, endpoint.model, str(endpoint.backend)))
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()
