"""The host as hostile code must leave it: files, processes, listeners, mounts and secrets, looked at before and after.

As root, every sandbox of these tests runs as a user whom nobody else on this machine has, so that whatever belongs to
that user is the sandbox's work, however busy the machine is.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

UID = 20_000 + os.getpid() % 30_000 if os.getuid() == 0 else os.getuid()
"""Who commands run as in these tests."""
SERVANTS: set[int] = set()
"""Processes of that user that are ours."""
SECRET = f"hunter2-{secrets.token_hex(8)}"
"""In the environment and in files of the host: nobody inside may ever see it."""
SECRET_NAMES = ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "CANARY_PASSWORD")

_HOME = Path.home()  # of whoever runs the tests: some tests give themselves another
_SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/")
_QUIET = (
    "/etc", "/etc/cron.d", "/etc/cron.daily", "/var/spool/cron", "/var/spool/cron/crontabs", "/var/spool/at",
    "/etc/profile.d", "/etc/systemd/system", "/etc/ld.so.preload", "/usr/local/bin", "/usr/local/sbin",
)  # fmt: skip
_PERSONAL = (
    ".bashrc", ".profile", ".bash_profile", ".zshrc", ".gitconfig", ".config/git/config", ".ssh", ".netrc",
    ".config/autostart", ".config/systemd/user", ".local/bin", ".pythonrc.py", ".pdbrc", ".npmrc", ".pip/pip.conf",
)  # fmt: skip
# Mounts that come and go with other people's containers
_ENGINES = re.compile(r"engine|images/tree|overlay|/netns/|docker|containerd|podman")


@dataclass(frozen=True)
class Sight:
    """What the host looked like at one moment."""

    files: Mapping[str, str]
    strays: frozenset[str]
    """Files of the sandbox's user where everybody may write."""
    processes: frozenset[str]
    listeners: frozenset[str]
    mounts: frozenset[str]


@dataclass
class Canary:
    """Files for hostile code to find, and what was heard from it."""

    place: Path
    heard: list[bytes] = field(default_factory=list)
    proc: Path = Path("/proc/self")
    """Whose mounts are looked at."""

    def look(self) -> Sight:
        watched = [self.place, *map(Path, _QUIET), *(_HOME / name for name in _PERSONAL)]
        return Sight(
            files={path: state for top in watched for path, state in _pictures(top, deep=top == self.place)},
            strays=frozenset(_strays()),
            processes=frozenset(_processes()),
            listeners=frozenset(_listeners()),
            mounts=frozenset(_mounts(self.proc)),
        )

    def complaints(self, before: Sight, patience: float = 3.0) -> list[str]:
        """How the host differs from `before`, in words; processes get a moment to end."""
        deadline = time.monotonic() + patience
        while (now := self.look()).processes - before.processes and time.monotonic() < deadline:
            time.sleep(0.02)
        found = [f"{path} was changed" for path in before.files if now.files.get(path) != before.files[path]]
        found += [f"{path} is new" for path in now.files.keys() - before.files.keys()]
        for what in ("strays", "processes", "listeners", "mounts"):
            found += [f"{what}: {item}" for item in getattr(now, what) - getattr(before, what)]
        found += ["a mount is gone: " + item for item in before.mounts - now.mounts]
        heard = b"".join(self.heard)
        if SECRET.encode() in heard or SECRET[::-1].encode() in heard:
            found.append("a secret of the host was read")
        return found


@contextmanager
def canary() -> Iterator[Canary]:
    """A place where the sandbox's user may do everything, were it not for the sandbox."""
    place = Path(tempfile.mkdtemp(prefix="canary-"))
    try:
        place.chmod(0o777)
        for name, mode in (("file", 0o666), ("private", 0o600), ("program", 0o777)):
            (place / name).write_text(f"#!/bin/sh\necho {SECRET}\n")
            (place / name).chmod(mode)
        (place / "folder").mkdir()
        (place / "folder").chmod(0o777)
        (place / "folder/file").write_text(SECRET)
        (place / "link").symlink_to("file")
        yield Canary(place)
    finally:
        shutil.rmtree(place)


def _pictures(top: Path, *, deep: bool) -> Iterator[tuple[str, str]]:
    with contextlib.suppress(FileNotFoundError):
        yield str(top), _picture(top)
        if top.is_dir() and not top.is_symlink():
            for path in top.rglob("*") if deep else top.iterdir():
                yield str(path), _picture(path)


def _picture(path: Path) -> str:
    """Nobody but root sets the time of the last change of a file's status (ctime): contents need not be read."""
    found = path.lstat()
    what = f"{found.st_mode:o} {found.st_uid}:{found.st_gid} {found.st_size} {found.st_ino}"
    return what if path.is_dir() else f"{what} {found.st_mtime_ns} {found.st_ctime_ns}"


def _strays() -> Iterator[str]:
    if os.getuid() != 0:
        return  # everything of ours looks like the sandbox's
    for place in _SHARED:
        with os.scandir(place) as entries:
            for entry in entries:
                try:
                    if entry.stat(follow_symlinks=False).st_uid == UID:
                        yield entry.path
                except OSError:
                    continue


def _processes() -> Iterator[str]:
    """Processes of the sandbox's user; those that are ourselves live in our own namespace of processes."""
    own = os.stat("/proc/self/ns/pid").st_ino
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.stat().st_uid != UID or int(path.name) in SERVANTS:
                continue
            if os.getuid() != 0 and (path / "ns/pid").stat().st_ino == own:
                continue
            words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        yield f"{path.name} {words}"


def _listeners() -> Iterator[str]:
    if os.getuid() != 0:
        return
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        for line in (Path("/proc/net") / table).read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[7]) == UID:
                yield f"{table} {fields[1]}"


def _mounts(proc: Path) -> Iterator[str]:
    for line in (proc / "mountinfo").read_text().splitlines():
        if not _ENGINES.search(line):
            yield " ".join(line.split()[3:6])
