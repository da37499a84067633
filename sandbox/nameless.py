"""Space that a sandbox holds in files without a name: du does not see what was removed while it was open."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sandbox.base import WORKDIR


def held(root: Path, workspace: Path) -> tuple[int, int]:
    """Bytes and number of nameless files on the file system of `root`, open in the sandboxes around `workspace`.

    Looks through /proc; a process that may not be looked at counts nothing. Files that are only mapped into memory,
    or on their way through a socket, are not found.
    """
    device = os.stat(root).st_dev
    sizes: dict[int, int] = {}
    for process in _inside(workspace):
        with contextlib.suppress(OSError), os.scandir(f"{process}/fd") as descriptors:
            for descriptor in descriptors:
                with contextlib.suppress(OSError):
                    found = descriptor.stat()
                    if not found.st_nlink and found.st_dev == device and stat.S_ISREG(found.st_mode):
                        sizes[found.st_ino] = found.st_blocks * 512
    return sum(sizes.values()), len(sizes)


def _inside(workspace: Path) -> Iterator[str]:
    """The directories in /proc of processes that see `workspace` where a sandbox shows it."""
    wanted = os.stat(workspace)
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    if os.path.samestat(os.stat(f"{entry.path}/root{WORKDIR}"), wanted):
                        yield entry.path
