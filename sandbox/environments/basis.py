"""What a set-up in bubblewrap stands upon: the machine's own Python, never one that somebody installed things into."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox import interpreters
from sandbox.interpreters import Mount, Unusable

__all__ = ["Basis", "find_python"]

_PROBE = (
    "import ensurepip, json, sys, venv;"
    "print(json.dumps([getattr(sys, '_base_executable', sys.executable), sys.version]))"
)
_PROBE_SECONDS = 10
_PASSED = ("HOME", "LANG", "PYENV_ROOT", "PYENV_VERSION")


@dataclass(frozen=True, slots=True)
class Basis:
    """An interpreter that can make virtual environments, and what must be shown for it to work inside."""

    python: Path
    version: str
    mounts: tuple[Mount, ...] = ()

    @property
    def path(self) -> tuple[str, ...]:
        return () if interpreters.is_system(self.python) else (str(self.python.parent),)

    def __str__(self) -> str:
        return f"{self.python} {self.version}"


def find_python(repository: Path, environ: Mapping[str, str]) -> Basis | None:
    """The python3 of PATH, else the one beneath this program, else the system's; None when none can be used.

    Nothing of the repository is run. Takes up to 10 seconds for each that is slow to answer.
    """
    for program, path in _candidates(repository, environ):
        probed = _probe(program, path, environ)
        if probed is None:
            continue
        python, version = probed
        try:
            if interpreters.is_system(python):
                return Basis(python, version)
            mounts = interpreters.installation_mounts(python, environ.get("HOME", ""), repository)
        except Unusable:
            continue
        return Basis(python, version, mounts)
    return None


def _candidates(repository: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    folders = [Path(part) for part in environ.get("PATH", "").split(os.pathsep)]
    outside = os.pathsep.join(
        str(f) for f in folders if f.is_absolute() and not f.resolve().is_relative_to(repository)
    )
    found = shutil.which("python3", path=outside)
    if found:
        yield found, outside
    yield sys.executable, os.defpath
    yield "/usr/bin/python3", os.defpath


def _probe(program: str, path: str, environ: Mapping[str, str]) -> tuple[Path, str] | None:
    """The interpreter beneath `program` and its version; None when it cannot make virtual environments."""
    env = {"PATH": path} | {name: environ[name] for name in _PASSED if name in environ}
    try:
        done = subprocess.run(
            [program, "-I", "-c", _PROBE], cwd="/", env=env, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=_PROBE_SECONDS, check=False,
        )  # fmt: skip
        executable, version = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return Path(executable), " ".join(version.split())
