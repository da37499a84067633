"""What probes found, kept in the user's state directory for as long as nothing that matters changes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.probes.findings import Finding

VERSION = 1
"""Raised when the probes change: older findings are then no findings."""
_MAX_BYTES = 64 * 1024


def folder() -> Path:
    """Where they are kept (XDG state directory)."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.environ.get("HOME") or "/", ".local", "state")
    return Path(base, "coder", "sandboxes")


def save(fingerprint: Sequence[str], findings: Sequence[Finding], *, place: Path | None = None) -> Path:
    """Write them as a whole or not at all, readable by the user alone; returns the file. Raises OSError."""
    path = _path(fingerprint, place or folder())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)  # mode 0600
    try:
        with open(handle, "w") as file:
            json.dump(
                {"whose": _digest(fingerprint), "findings": [asdict(found) for found in findings]}, file
            )
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
            kept = json.loads(file.read(_MAX_BYTES))
        if kept["whose"] == _digest(fingerprint):
            return tuple(_finding(entry) for entry in kept["findings"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        pass
    return ()


def _finding(entry: dict[str, Any]) -> Finding:
    """Raises KeyError, TypeError and ValueError for what is none."""
    name, enforced, seen = entry["name"], entry["enforced"], entry["seen"]
    if not isinstance(name, str) or not isinstance(seen, str) or enforced not in (None, True, False):
        raise ValueError(f"no finding: {entry!r}")
    return Finding(name, enforced, seen)


def forget(*, place: Path | None = None) -> None:
    """Let everything be found out anew."""
    for path in (place or folder()).glob("*.json"):
        path.unlink(missing_ok=True)


def _path(fingerprint: Sequence[str], place: Path) -> Path:
    return place / f"{_digest(fingerprint)[:32]}.json"


def _digest(fingerprint: Sequence[str]) -> str:
    return hashlib.sha256("\0".join((str(VERSION), *fingerprint)).encode("utf-8", "replace")).hexdigest()
