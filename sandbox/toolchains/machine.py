"""The user's machine as the finders of toolchains look at it: programs on PATH, caches in the home directory."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import hostfiles
from sandbox.command import HOME
from sandbox.errors import FileRefused
from sandbox.interpreters import Mount, Unusable, is_system, refuse_sensitive

_DIRECTORIES = 500
_SETTINGS = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A toolchain for the sandbox and how to show it there."""

    why: str = ""
    """What it is, as a phrase; what was passed over is part of it."""
    mounts: tuple[Mount, ...] = ()
    path: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where to look. The repository is hostile; `environ` and the home directory are the user's own."""

    repository: Path
    environ: Mapping[str, str]

    @property
    def home(self) -> Path | None:
        home = Path(self.environ.get("HOME", ""))
        return home if home.is_absolute() else None

    def place(self, variable: str, default: str) -> Path | None:
        """The directory that a variable names, else `default` beneath the home directory."""
        named = Path(self.environ.get(variable, ""))
        if named.is_absolute():
            return named
        return self.home / default if self.home else None

    def manifests(self) -> set[str]:
        """Names of the files in the repository's root and in its direct subdirectories."""
        names: set[str] = set()
        try:
            with os.scandir(self.repository) as entries:
                folders = [entry for entry in entries if not entry.is_symlink()][:_DIRECTORIES]
        except OSError:
            return names
        names |= {entry.name for entry in folders if entry.is_file(follow_symlinks=False)}
        for folder in folders:
            if folder.is_dir(follow_symlinks=False) and folder.name != "node_modules":
                names |= set(self._files(folder.path))
        return names

    @staticmethod
    def _files(folder: str) -> Sequence[str]:
        try:
            with os.scandir(folder) as entries:
                return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        except OSError:
            return []

    def program(self, name: str) -> Path | None:
        """The first `name` on PATH that does not lie in the repository, as it is named there."""
        folders = [Path(part) for part in self.environ.get("PATH", "").split(os.pathsep)]
        outside = [
            str(f) for f in folders if f.is_absolute() and not f.resolve().is_relative_to(self.repository)
        ]
        found = shutil.which(name, path=os.pathsep.join(outside))
        if found is None or Path(found).resolve().is_relative_to(self.repository):
            return None
        return Path(found)

    def wanted(self, name: str) -> str:
        """The text of a small file of the repository, such as `.nvmrc`; empty without one."""
        try:
            return hostfiles.read_bytes(self.repository, name, _SETTINGS).decode("utf-8", "replace")
        except (OSError, FileRefused):
            return ""

    def installation(self, prefix: Path) -> tuple[Mount, ...]:
        """The mounts for what is installed in `prefix`; none for a part of the system. Raises Unusable."""
        if is_system(prefix):
            return ()
        real = self._shown(prefix)
        return tuple(Mount(real, target) for target in dict.fromkeys((prefix, real)))

    def cache(self, source: Path | None, inside: str) -> tuple[Mount, ...]:
        """A cache shown at `inside`, beneath the home directory there; what is added to it stays in the sandbox.

        Nothing when it is missing, or closed to the user that commands run as.
        """
        if source is None or not source.is_dir():
            return ()
        try:
            return (Mount(self._shown(source), Path(HOME, inside), "kept"),)
        except Unusable:
            return ()

    def _shown(self, path: Path) -> Path:
        real = path.resolve()
        refuse_sensitive(real, self.environ.get("HOME", ""), self.repository)
        if self.home is not None and real.parent == self.home.resolve() and real.name.startswith("."):
            raise Unusable(f"{path} holds more than programs")  # ~/.cargo with its credentials, ~/.m2 …
        if real.is_relative_to(self.repository):
            raise Unusable(f"{path} lies in the repository")
        if os.getuid() == 0 and real.stat().st_mode & 0o005 != 0o005:
            raise Unusable(f"{path} is closed to the user that commands run as")
        return real


def is_program(path: Path) -> bool:
    """Whether `path` is a real program, and no script that chooses one (a shim)."""
    try:
        with path.open("rb") as file:
            return os.access(path, os.X_OK) and file.read(4) == b"\x7fELF"
    except OSError:
        return False


def versions(pattern: str, names: Sequence[str]) -> list[str]:
    """The `names` that are the version `pattern` or a more exact one (`20` takes `v20.11.1`), the newest first."""
    wanted = _numbers(pattern)
    matching = [name for name in names if (numbers := _numbers(name)) and numbers[: len(wanted)] == wanted]
    return sorted(matching, key=_numbers, reverse=True)


def _numbers(version: str) -> list[int]:
    found = re.match(r"v?(\d{1,9}(?:\.\d{1,9})*)", version.strip())
    return [int(part) for part in found[1].split(".")] if found else []
