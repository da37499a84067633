"""What probes found, kept in the user's state directory for as long as nothing that matters changes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox.probes.findings import Finding

VERSION = 1
"""Raised when the probes change: older findings are then no findings."""
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Kept:
    """The file: of which sandbox (a digest), and what was seen."""

    whose: str
    findings: tuple[Finding, ...]


def folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("coder")) / "sandboxes"


def save(fingerprint: Sequence[str], findings: Sequence[Finding], *, place: Path | None = None) -> Path:
    """Write them as a whole or not at all, readable by the user alone; returns the file. Raises OSError."""
    import msgspec

    path = _path(fingerprint, place or folder())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)  # mode 0600
    try:
        with open(handle, "wb") as file:
            file.write(msgspec.json.encode(_Kept(_digest(fingerprint), tuple(findings))))
        os.replace(name, path)
    except OSError:
        with suppress(OSError):
            os.unlink(name)
        raise
    return path


def load(fingerprint: Sequence[str], *, place: Path | None = None) -> tuple[Finding, ...]:
    """What was found of just such a sandbox; nothing when nothing was, or the file is broken."""
    try:
        with _path(fingerprint, place or folder()).open("rb") as file:
            text = file.read(_MAX_BYTES)
    except OSError:
        return ()
    import msgspec

    try:
        kept = msgspec.json.decode(text, type=_Kept)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()
    return kept.findings if kept.whose == _digest(fingerprint) else ()


def _path(fingerprint: Sequence[str], place: Path) -> Path:
    return place / f"{_digest(fingerprint)[:32]}.json"


def _digest(fingerprint: Sequence[str]) -> str:
    return hashlib.sha256("\0".join((str(VERSION), *fingerprint)).encode("utf-8", "replace")).hexdigest()
