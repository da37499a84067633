"""Finds what the user's project runs with, Python before all, and what must be visible inside for it to work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sandbox import interpreters, toolchains
from sandbox.base import WORKDIR
from sandbox.command import HOME
from sandbox.interpreters import Mount, Unusable

__all__ = ["Mount", "Toolchain", "detect", "of_this_program"]

_PROBE = (
    "import importlib.util, json, sys;"
    "print(json.dumps([sys.executable, sys.prefix != sys.base_prefix, bool(importlib.util.find_spec('pytest'))]))"
)
_PROBE_SECONDS = 5
_PASSED = ("HOME", "LANG", "PYENV_ROOT", "PYENV_VERSION")
_NO_ALIAS = frozenset(
    ("/", "/bin", "/etc", "/home", "/lib", "/lib64", "/opt", "/root", "/run", "/sbin", "/tmp", "/usr", "/var")  # noqa: S108
)
_NO_ALIAS_BENEATH = ("/proc", "/dev", "/sys", "/etc", WORKDIR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """A Python for the sandbox and how to show it there."""

    python: str
    """The interpreter's absolute path inside."""
    mounts: tuple[Mount, ...] = ()
    path: tuple[str, ...] = ()
    """Directories for the front of PATH."""
    env: Mapping[str, str] = field(default_factory=dict)
    alias: Path | None = None
    """The user's repository: the copy is mounted there too, so that editable installs lead to it."""
    why: str
    """Which interpreter this is and why, as one sentence."""
    fallback: bool = False
    """Taken for want of one that holds the project's dependencies."""


def _alias(repository: Path) -> Path | None:
    beneath = any(repository.is_relative_to(top) for top in _NO_ALIAS_BENEATH)
    if str(repository) in _NO_ALIAS or beneath or Path(HOME).is_relative_to(repository):
        return None
    return repository


@dataclass(slots=True)
class _Search:
    repository: Path
    environ: Mapping[str, str]
    fallback_python: Path
    passed_over: list[str] = field(default_factory=list)

    @property
    def _home(self) -> str:
        return self.environ.get("HOME", "")

    def active(self) -> Toolchain | None:
        """The environment that the user has activated."""
        root = Path(self.environ.get("VIRTUAL_ENV", ""))
        if not root.is_absolute():
            return None
        ours = root.resolve() == self.fallback_python.parent.parent.resolve()
        return self._environment(root, f"the active virtual environment {root}", only_with_pytest=ours)

    def own(self) -> Toolchain | None:
        """The environment in the repository."""
        for name in (".venv", "venv"):
            root = self.repository / name
            if not os.path.lexists(root / "pyvenv.cfg"):
                continue
            if not root.resolve().is_relative_to(self.repository):
                self.passed_over.append(f"{name} leads outside of the repository")
            elif found := self._environment(root, f"the repository's own environment {name}"):
                return found
        return None

    def on_path(self) -> Toolchain | None:
        """The first python3 on PATH, when it has pytest."""
        folders = [Path(part) for part in self.environ.get("PATH", "").split(os.pathsep)]
        outside = [
            str(f) for f in folders if f.is_absolute() and not f.resolve().is_relative_to(self.repository)
        ]
        program = shutil.which("python3", path=os.pathsep.join(outside))
        probed = program and self._probe(program, os.pathsep.join(outside))
        if not probed:
            return None
        executable, in_environment = probed
        reason = f"{program} from PATH, which has pytest"
        if in_environment:
            return self._environment(executable.parent.parent, reason)
        return self._installation(executable, reason)

    def fallback(self) -> Toolchain:
        """The interpreter of this program; the system's when that one cannot be shown."""
        reason = "coder's own Python, since the project has none that could be used"
        root = self.fallback_python.parent.parent
        if (root / "pyvenv.cfg").is_file():
            found = self._environment(root, reason)
        else:
            found = self._installation(self.fallback_python, reason)
        if found is not None:
            return replace(found, fallback=True)
        return Toolchain(python="/usr/bin/python3", why=self._why("the system's Python"), fallback=True)

    def _environment(self, root: Path, reason: str, *, only_with_pytest: bool = False) -> Toolchain | None:
        try:
            environment = interpreters.read_environment(root)
            mounts = interpreters.environment_mounts(environment, self._home, self.repository)
        except Unusable as problem:
            self.passed_over.append(str(problem))
            return None
        if only_with_pytest and not interpreters.has_pytest(environment):
            return None
        real = root.resolve()
        if real.is_relative_to(self.repository):
            mounts += (Mount(real, Path(WORKDIR) / real.relative_to(self.repository)),)
        return self._toolchain(root / "bin" / "python", mounts, reason)

    def _installation(self, executable: Path, reason: str) -> Toolchain | None:
        try:
            mounts = interpreters.installation_mounts(executable, self._home, self.repository)
        except Unusable as problem:
            self.passed_over.append(str(problem))
            return None
        return self._toolchain(executable, mounts, reason)

    def _toolchain(self, python: Path, mounts: tuple[Mount, ...], reason: str) -> Toolchain:
        path = () if interpreters.is_system(python) else (str(python.parent),)
        return Toolchain(
            python=str(python), mounts=mounts, path=path, alias=_alias(self.repository), why=self._why(reason)
        )

    def _why(self, reason: str) -> str:
        rest = f" (passed over: {'; '.join(self.passed_over)})" if self.passed_over else ""
        return f"{reason[0].upper()}{reason[1:]}{rest}."

    def _probe(self, program: str, path: str) -> tuple[Path, bool] | None:
        """Its real executable and whether that is in a virtual environment; None without pytest.

        It runs from / and isolated: nothing of the repository is on its way.
        """
        env = {"PATH": path} | {name: self.environ[name] for name in _PASSED if name in self.environ}
        command = [program, "-I", "-c", _PROBE]
        try:
            done = subprocess.run(
                command, cwd="/", env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS, check=False,
            )  # fmt: skip
            executable, in_environment, has_pytest = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return None
        return (Path(executable), in_environment) if has_pytest else None


def detect(repository: Path, environ: Mapping[str, str], fallback_python: Path) -> Toolchain:
    """Choose a Python: the active environment, the repository's, python3 on PATH with pytest, `fallback_python`.

    The toolchains of the other languages of the repository are shown with it. Nothing of the repository is run, and no directory is chosen that holds more than a Python. Takes up to
    5 seconds when python3 on PATH is slow to answer.
    """
    repository = repository.resolve()
    search = _Search(repository, environ, fallback_python)
    toolchain = search.active() or search.own() or search.on_path() or search.fallback()
    others = toolchains.find_all(repository, environ)
    return _with_others(toolchain, others, repository) if others else toolchain


def _with_others(toolchain: Toolchain, others: Sequence[toolchains.Found], repository: Path) -> Toolchain:
    mounts = [mount for other in others for mount in other.mounts]
    if toolchain.alias is None:  # the copy is not mounted there
        mounts = [
            mount
            for mount in mounts
            if mount.target.is_relative_to(WORKDIR) or not mount.target.is_relative_to(repository)
        ]
    phrases = [other.why[0].upper() + other.why[1:] for other in others]
    return replace(
        toolchain,
        mounts=(*toolchain.mounts, *mounts),
        path=(*toolchain.path, *(folder for other in others for folder in other.path)),
        env={name: value for other in others for name, value in other.env.items()},
        why=" ".join((toolchain.why, *(f"{phrase}." for phrase in phrases))),
    )


def of_this_program(repository: Path, environ: Mapping[str, str], python: Path) -> Toolchain:
    """The Python of this program, which has pytest, and the toolchains of the repository's other languages."""
    repository = repository.resolve()
    toolchain = replace(_Search(repository, environ, python).fallback(), fallback=False)
    others = toolchains.find_all(repository, environ)
    return _with_others(toolchain, others, repository) if others else toolchain
