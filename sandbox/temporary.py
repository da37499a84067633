"""Temporary directories that do not stay for ever when their process is killed: they bear its name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sandbox import owner
from sandbox.walking import remove_tree

_PREFIX = "coder-"


@contextmanager
def directory() -> Iterator[Path]:
    """A new directory for this process alone, removed at the end; first those of dead processes are."""
    _reap(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{owner.me()}-") as place:
        yield Path(place)


def _reap(top: Path) -> None:
    with suppress(OSError), os.scandir(top) as entries:
        for entry in entries:
            name = entry.name.removeprefix(_PREFIX).rpartition("-")[0]
            if entry.name.startswith(_PREFIX) and owner.is_gone(name):
                # anybody may make a directory of this name here, or a link
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if found.st_uid == os.geteuid() and entry.is_dir(follow_symlinks=False):
                        remove_tree(Path(entry.path))
