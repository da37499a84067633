"""What a set-up in bubblewrap stands upon: the machine's own programs, never what was installed for a project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sandbox import interpreters, toolchains
from sandbox.interpreters import Mount, Unusable

__all__ = ["Basis", "find_basis"]

_PROBE = (
    "import ensurepip, json, sys, venv;"
    "print(json.dumps([getattr(sys, '_base_executable', sys.executable), sys.version]))"
)
_PROBE_SECONDS = 10
_NEEDED = ("JAVA_HOME", "GOTOOLCHAIN")
"""Variables that say which programs to use; others say that there is no network."""
_PASSED = ("HOME", "LANG", "PYENV_ROOT", "PYENV_VERSION")


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """Programs, and what must be shown for them to work inside."""

    python: str = ""
    """An interpreter that can make virtual environments; empty for none."""
    version: str = ""
    mounts: tuple[Mount, ...] = ()
    path: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join((self.python, self.version, *self.path))


def find_basis(repository: Path, environ: Mapping[str, str]) -> Basis:
    """The machine's Python, and the compilers and runtimes of the languages in the repository.

    Nothing of the repository is run, and nothing is shown that somebody installed for it. Takes up to 10 seconds for
    each Python that is slow to answer.
    """
    python = _find_python(repository, environ)
    others = toolchains.find_all(repository, environ)
    mounts = [mount for other in others for mount in other.mounts if mount.writes == "refused"]
    env = {name: value for other in others for name, value in other.env.items() if name in _NEEDED}
    return replace(
        python,
        mounts=(*python.mounts, *mounts),
        path=(*python.path, *(folder for other in others for folder in other.path)),
        env=env,
    )


def _find_python(repository: Path, environ: Mapping[str, str]) -> Basis:
    """The python3 of PATH, else the one beneath this program, else the system's."""
    for program, path in _candidates(repository, environ):
        probed = _probe(program, path, environ)
        if probed is None:
            continue
        python, version = probed
        if interpreters.is_system(python):
            return Basis(python=str(python), version=version)
        try:
            mounts = interpreters.installation_mounts(python, environ.get("HOME", ""), repository)
        except Unusable:
            continue
        return Basis(python=str(python), version=version, mounts=mounts, path=(str(python.parent),))
    return Basis()


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
