"""Python installations on this machine: which are real, which directories they need, what may never be shown.

Everything is read, nothing is run: an environment inside a repository is as hostile as the repository.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sandbox import hostfiles
from sandbox.errors import FileRefused

_NAME = re.compile(r"python(3(\.\d+)?t?)?")
_SYSTEM = tuple(map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/nix/store", "/gnu/store")))
_SHARED = frozenset(
    (
        "/",
        "/boot",
        "/dev",
        "/etc",
        "/home",
        "/media",
        "/mnt",
        "/opt",
        "/proc",
        "/root",
        "/run",
        "/srv",
        "/sys",
    )
) | {"/tmp", "/var", "/var/lib", "/var/tmp"}  # noqa: S108
_PERSONAL = (".cache", ".config", ".gnupg", ".local", ".local/share", ".ssh")
_LINKS = 40  # as many as the kernel follows


class Unusable(Exception):
    """This Python cannot be shown in a sandbox; the message says why."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory or file of the host (no link in its path) and where it appears inside; nothing changes it."""

    source: Path
    target: Path
    writes: Literal["refused", "forgotten", "kept", "shared"] = "refused"
    """What becomes of writes inside. Forgotten: when the command ends. Kept: until the sandbox is reset.
    Where this machine has no overlays both are refused. Shared: they change the directory itself, as while an
    environment is set up.
    """


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment, as its pyvenv.cfg describes it."""

    root: Path
    home: Path
    """The directory of the interpreter that it was made from."""
    sees_system: bool


def is_system(path: Path) -> bool:
    """Whether every sandbox shows it anyway."""
    return any(path.is_relative_to(top) for top in _SYSTEM)


def refuse_sensitive(path: Path, home: str, repository: Path) -> None:
    """Raise Unusable for a directory that holds more than a Python: a home, a shared place, one around the repository."""
    personal = [Path(home, name) for name in ("", *_PERSONAL)] if home else []
    around = [*personal[:1], repository]
    if str(path) in _SHARED or path in personal or any(place.is_relative_to(path) for place in around):
        raise Unusable(f"{path} holds more than a Python installation")


def read_environment(root: Path) -> Environment:
    """The virtual environment at `root`. Raises Unusable when there is none."""
    try:
        text = hostfiles.read_bytes(root, "pyvenv.cfg", 1 << 16, links=False).decode("utf-8", "replace")
    except (OSError, FileRefused) as error:
        raise Unusable(f"{root} is not a virtual environment") from error
    pairs = [line.partition("=") for line in text.splitlines()]
    values = {name.strip().lower(): value.strip() for name, _, value in pairs}
    home = Path(values.get("home", ""))
    if not home.is_absolute():
        raise Unusable(f"{root}/pyvenv.cfg names no home")
    return Environment(root, home, values.get("include-system-site-packages", "").lower() == "true")


def prefix_of(interpreter: Path) -> Path:
    """The installation that `interpreter` (links resolved) belongs to. Raises Unusable unless it is a real one.

    A link planted in a repository could point at any file; only an executable `bin/python3…` beside its own
    standard library counts.
    """
    prefix = interpreter.parent.parent
    libraries = (library for lib in ("lib", "lib64") for library in (prefix / lib).glob("python3*/os.py"))
    named = interpreter.parent.name == "bin" and _NAME.fullmatch(interpreter.name)
    if not (named and interpreter.is_file() and os.access(interpreter, os.X_OK) and any(libraries)):
        raise Unusable(f"{interpreter} is not the interpreter of a Python installation")
    return prefix


def _hops(path: Path) -> list[Path]:
    """The path and every link on the way from it to a file, as they are named."""
    hops = [path]
    while path.is_symlink():
        target = Path(os.readlink(path))
        base = path.parent.resolve() if ".." in target.parts else path.parent
        path = Path(os.path.normpath(base / target))
        hops.append(path)
        if len(hops) > _LINKS:
            raise Unusable(f"{hops[0]} is a chain of links without an end")
    return hops


def _installation(interpreter: Path, home: str, repository: Path) -> list[Mount]:
    """What must be shown for `interpreter`, which may be a link, to run under the name it has."""
    hops = _hops(interpreter)
    real = interpreter.resolve()
    prefix = prefix_of(real)
    mounts: list[Mount] = []
    if not is_system(prefix):
        refuse_sensitive(prefix, home, repository)
        mounts.append(Mount(prefix, prefix))
    for hop in hops:
        if is_system(hop) or any(hop.is_relative_to(mount.target) for mount in mounts):
            continue
        within = hop.parent.name == "bin" and hop.parent.parent.resolve() == prefix
        mounts.append(Mount(prefix, hop.parent.parent) if within else Mount(real, hop))
    return mounts


def _unique(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    kept: list[Mount] = []
    for mount in mounts:
        if not any(mount.target.is_relative_to(other.target) for other in kept):
            kept.append(mount)
    return tuple(kept)


def installation_mounts(interpreter: Path, home: str, repository: Path) -> tuple[Mount, ...]:
    """Mounts for an interpreter outside of any virtual environment. Raises Unusable."""
    return _unique(_installation(interpreter, home, repository))


def environment_mounts(environment: Environment, home: str, repository: Path) -> tuple[Mount, ...]:
    """Mounts for a virtual environment and the installation it was made from. Raises Unusable."""
    root, real_root = environment.root, environment.root.resolve()
    refuse_sensitive(real_root, home, repository)
    mounts = [Mount(real_root, root), Mount(real_root, real_root)]
    python = root / "bin" / "python"
    if not python.exists():
        raise Unusable(f"{python} is missing or leads nowhere")
    names = dict.fromkeys((python.resolve().name, "python3", "python"))
    bases = [environment.home / name for name in names if (environment.home / name).exists()]
    if not python.resolve().is_relative_to(
        real_root
    ):  # a copied interpreter needs only the original's library
        bases.append(python)
    if not bases:
        raise Unusable(f"the Python that {root} was made from is gone from {environment.home}")
    for base in bases:
        mounts += _installation(base, home, repository)
    return _unique(mounts)


def has_pytest(environment: Environment) -> bool:
    """Whether pytest is installed in the environment or in what it builds on."""
    roots = [environment.root]
    if environment.sees_system:
        roots.append(environment.home.parent)
    patterns = ("lib*/python3*/site-packages", "lib*/python3*/dist-packages")
    places = (place for root in roots for pattern in patterns for place in root.glob(pattern))
    return any((place / "pytest" / "__init__.py").is_file() for place in places)
