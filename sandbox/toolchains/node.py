"""Node.js: from the system, nvm, fnm, Volta, asdf or mise, and the packages that the repository has installed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from sandbox import hostfiles
from sandbox.base import WORKDIR
from sandbox.errors import FileRefused
from sandbox.interpreters import Mount, Unusable, is_system
from sandbox.toolchains.machine import Found, Machine, is_program, versions

# Directories with a directory for each version, and where `bin` lies in that
_MANAGERS = (
    ("NVM_DIR", ".nvm", "versions/node", ""),
    ("FNM_DIR", ".local/share/fnm", "node-versions", "installation"),
    ("FNM_DIR", ".fnm", "node-versions", "installation"),
    ("VOLTA_HOME", ".volta", "tools/image/node", ""),
    ("ASDF_DATA_DIR", ".asdf", "installs/nodejs", ""),
    ("MISE_DATA_DIR", ".local/share/mise", "installs/node", ""),
)
_ENVIRONMENT = {
    "npm_config_offline": "true",
    "npm_config_update_notifier": "false",
    "npm_config_manage_package_manager_versions": "false",
    "COREPACK_ENABLE_NETWORK": "0",
}
"""Without these npm waits minutes for a network, and pnpm and corepack for a version of themselves."""
_MODULES = "node_modules"
_DEPTH, _VISITED, _SHOWN = 4, 2_000, 50


def find_node(machine: Machine) -> Found:
    """Node and the repository's own `node_modules`."""
    packages = tuple(_packages(machine.repository))
    shown = f"{len(packages)} of the repository's own {_MODULES}" if packages else ""
    mounts = tuple(
        Mount(folder, top / folder.relative_to(machine.repository), "forgotten")
        for folder in packages
        for top in (Path(WORKDIR), machine.repository)
    )
    try:
        prefix = _prefix(machine)
        installation = machine.installation(prefix) if prefix else ()
    except Unusable as problem:
        return Found(why=_phrase(f"no Node.js ({problem})", shown), mounts=mounts, env=_ENVIRONMENT)
    if prefix is None:
        return Found(why=_phrase("no Node.js", shown), mounts=mounts, env=_ENVIRONMENT)
    corepack = machine.cache(machine.place("COREPACK_HOME", ".cache/node/corepack"), ".cache/node/corepack")
    return Found(
        why=_phrase(f"Node.js from {prefix}", shown),
        mounts=(*installation, *corepack, *mounts),
        path=() if is_system(prefix) else (str(prefix / "bin"),),
        env=_ENVIRONMENT,
    )


def _phrase(*parts: str) -> str:
    return " with ".join(filter(None, parts))


def _prefix(machine: Machine) -> Path | None:
    """Where Node is installed: the version that the repository asks for, else the one on PATH, else the newest."""
    installed = dict(_installed(machine))
    wanted = _wanted(machine)
    if wanted and (matching := versions(wanted, list(installed))):
        return installed[matching[0]]
    program = machine.program("node")
    if program is not None and is_program(real := program.resolve()) and real.name == "node":
        if not (real.parent.parent / "include/node").is_dir() and not is_system(real):
            raise Unusable(f"{real} is not in an installation of its own")
        return real.parent.parent
    chosen = versions(_voltas_own(machine), list(installed))
    return installed[chosen[0]] if chosen else None


def _voltas_own(machine: Machine) -> str:
    """The version that Volta runs by default; empty, which any version is, without Volta."""
    top = machine.place("VOLTA_HOME", ".volta")
    try:
        text = hostfiles.read_bytes(top or Path("/"), "tools/user/platform.json", 1 << 16)
        return str(json.loads(text)["node"]["runtime"])
    except (OSError, FileRefused, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _installed(machine: Machine) -> Iterator[tuple[str, Path]]:
    for variable, default, folder, inner in _MANAGERS:
        top = machine.place(variable, default)
        if top is None or not (top / folder).is_dir():
            continue
        for version in sorted(os.listdir(top / folder)):
            prefix = top / folder / version / inner
            if is_program(prefix / "bin" / "node"):
                yield version, prefix


def _wanted(machine: Machine) -> str:
    """The version that the repository names for its developers; empty when it does not, or by a word like `lts`."""
    for name in (".nvmrc", ".node-version"):
        if words := machine.wanted(name).split():
            return words[0]
    for line in machine.wanted(".tool-versions").splitlines():
        if len(words := line.split()) > 1 and words[0] in ("nodejs", "node"):
            return words[1]
    try:
        volta = json.loads(machine.wanted("package.json") or "{}")["volta"]["node"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return volta if isinstance(volta, str) else ""


def _packages(repository: Path) -> Iterator[Path]:
    """The `node_modules` beside a package.json, in the outer few levels. No link is followed."""
    waiting = [(repository, 0)]
    visited = shown = 0
    while waiting and visited < _VISITED and shown < _SHOWN:
        folder, depth = waiting.pop(0)
        visited += 1
        try:
            with os.scandir(folder) as found:
                entries = {entry.name: entry for entry in found if not entry.is_symlink()}
        except OSError:
            continue
        if _MODULES in entries and "package.json" in entries and entries[_MODULES].is_dir():
            shown += 1
            yield folder / _MODULES
        if depth < _DEPTH:
            waiting += [
                (folder / name, depth + 1)
                for name, entry in sorted(entries.items())
                if name != _MODULES and not name.startswith(".") and entry.is_dir()
            ]
