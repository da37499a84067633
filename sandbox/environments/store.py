"""Where environments are kept: made beside their place, renamed when they are whole, removed when nobody owns them.

FOLDER/KEY/env              what sandboxes show at PLACE
FOLDER/KEY/environment.json what is known of it (`Kept`)
FOLDER/NAME.partial         one that is being made, by whoever holds the lock on FOLDER/NAME.lock
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sandbox.environments.recipe import Environment
from sandbox.errors import SandboxError
from sandbox.interpreters import Mount
from sandbox.toolchain import Toolchain
from sandbox.walking import remove_tree

__all__ = ["Busy", "Kept", "Making", "Store", "default_folder"]

_MANIFEST = "environment.json"
_DIRECTORY = "env"
_MAX_BYTES = 1 << 20


class Busy(SandboxError):
    """Another process makes the same environment just now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An environment that was made, as its file tells. Sizes in bytes, times in seconds since 1970."""

    key: str
    fingerprint: str
    project: str
    source: str
    backend: str
    base: str
    """The image's id or the interpreter that it stands upon."""
    made: float
    size: int = 0
    image: str = ""
    """Docker: the id of the image to start from."""
    built: str = ""
    """The tag of an image that was built for it alone."""
    env: dict[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    links: dict[str, str] = field(default_factory=dict)
    python: str = ""
    files: str = ""
    """Where in the environment the files lie that the steps made in the workspace and git ignores."""
    mounts: tuple[tuple[str, str], ...] = ()
    """bubblewrap: what of the machine must be shown for it to work, and where inside."""

    @property
    def complete(self) -> bool:
        """Whether what it stands upon is still there, as far as that can be told without an engine."""
        return all(os.path.exists(source) for source, _ in self.mounts)

    @property
    def why(self) -> str:
        """Which environment it is, and why it comes before the user's own, as a sentence."""
        return f"The environment that `coder init` made of {self.source}: it is what the project itself asks for."

    def toolchain(self) -> Toolchain:
        """What it stands upon, as bubblewrap shows it."""
        mounts = tuple(Mount(Path(source), Path(target)) for source, target in self.mounts)
        python = self.python or "/usr/bin/python3"
        return Toolchain(python=python, mounts=mounts, why=self.why)


@dataclass(frozen=True, slots=True)
class Making:
    """A place for an environment that is being made."""

    folder: Path

    @property
    def directory(self) -> Path:
        """What is shown at PLACE."""
        return self.folder / _DIRECTORY


class Store:
    """The environments in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Kept]:
        """Every environment that is whole, newest first. A damaged file is passed over."""
        found: list[Kept] = []
        for path in self.folder.glob(f"*/{_MANIFEST}"):
            if path.parent.suffix:
                continue
            with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
                with path.open("rb") as file:
                    kept = msgspec.json.decode(file.read(_MAX_BYTES), type=Kept)
                if kept.key == path.parent.name:
                    found.append(kept)
        return sorted(found, key=lambda kept: kept.made, reverse=True)

    def find(self, fingerprint: str) -> Kept | None:
        """The newest that was made of this, and still stands on what is there."""
        return next((each for each in self.all() if each.fingerprint == fingerprint and each.complete), None)

    def get(self, key: str) -> Kept | None:
        return next((each for each in self.all() if each.key == key), None)

    def environment(self, kept: Kept) -> Environment:
        """As sandboxes take it."""
        return Environment(
            key=kept.key,
            why=kept.why,
            image=kept.image,
            directory=self.folder / kept.key / _DIRECTORY,
            env=kept.env,
            path=kept.path,
            links=kept.links,
            python=kept.python,
            built=kept.files,
        )

    @contextlib.contextmanager
    def making(self, name: str) -> Iterator[Making]:
        """An empty place, for this process alone; what is not `finish`ed is gone at the end.

        Raises Busy while another process makes the same, SandboxError when the folder cannot be written.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _locked(self.folder / f"{name}.lock")
        except OSError as error:
            raise SandboxError(
                f"{self.folder} cannot be written: {error.strerror}",
                hint="set XDG_CACHE_HOME to another folder",
            ) from error
        if lock is None:
            raise Busy("another process is setting up the same", hint="wait until it has ended")
        partial = self.folder / f"{name}.partial"
        try:
            remove_tree(partial)
            partial.mkdir(mode=0o700)
            (partial / _DIRECTORY).mkdir(mode=0o755)
            yield Making(partial)
        finally:
            with contextlib.suppress(OSError):
                remove_tree(partial)
            _unlock(lock, self.folder / f"{name}.lock")

    def is_busy(self, name: str) -> bool:
        """Whether a process is making it now."""
        path = self.folder / f"{name}.lock"
        if not path.exists():
            return False
        lock = _locked(path)
        if lock is not None:
            _unlock(lock, path)
        return lock is None

    def finish(self, making: Making, kept: Kept) -> None:
        """Make it visible as a whole; one of the same key that was there is replaced."""
        (making.folder / _MANIFEST).write_bytes(msgspec.json.encode(kept))
        target = self.folder / kept.key
        remove_tree(target)
        os.rename(making.folder, target)

    def remove(self, kept: Kept) -> None:
        """Remove it from the disk. An image that was built for it is the caller's."""
        remove_tree(self.folder / kept.key)

    def reap(self) -> None:
        """Remove what processes left that ended before they were done: a lock dies with its holder."""
        names = {path.stem for pattern in ("*.partial", "*.lock") for path in self.folder.glob(pattern)}
        for name in names:
            path = self.folder / f"{name}.lock"
            with contextlib.suppress(OSError):
                lock = _locked(path)
                if lock is not None:
                    remove_tree(self.folder / f"{name}.partial")
                    _unlock(lock, path)


def default_folder(environ: Mapping[str, str]) -> Path:
    """Where a user's environments are kept (XDG cache directory)."""
    base = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or "/") / ".cache"
    return Path(base) / "coder" / "environments"


def size_of(directory: Path) -> int:
    """Bytes on the disk, as du counts them; 0 when it cannot tell within a minute."""
    du = shutil.which("du", path=os.defpath)
    command = [du or "du", "-sxk", "--", str(directory)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, env={"LC_ALL": "C"}, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    first = done.stdout.split(None, 1)[:1]
    return int(first[0]) << 10 if first and first[0].isdigit() else 0


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock `path`; None when another process holds it."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        os.close(fd)  # its last holder removed it meanwhile


def _unlock(fd: int, path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    os.close(fd)
