"""Reads a devcontainer.json: what of it becomes a recipe, and by name everything that does not.

The reference is the Dev Container metadata specification. The file may be hostile: nothing that would loosen the
sandbox, reach the host or take something from the user is honoured.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import hostfiles
from sandbox.base import WORKDIR
from sandbox.environments.recipe import Recipe
from sandbox.errors import FileRefused

__all__ = ["PLACES", "Devcontainer", "read"]

PLACES = (".devcontainer/devcontainer.json", ".devcontainer.json")
_LARGEST = 256 * 1024

_COMMANDS = ("onCreateCommand", "updateContentCommand", "postCreateCommand")
_READ = frozenset(("image", "build", "dockerFile", "context", "containerEnv", "remoteEnv", *_COMMANDS))
# About editors, ports and people: without meaning here, and without harm
_SILENT = frozenset(
    (
        "$schema", "name", "customizations", "settings", "extensions", "forwardPorts", "portsAttributes",
        "otherPortsAttributes", "appPort", "shutdownAction", "updateRemoteUserUID", "userEnvProbe", "waitFor",
        "hostRequirements", "overrideCommand", "init", "devPort",
    )
)  # fmt: skip
_WHY = {
    "capAdd": "the sandbox has no capabilities",
    "containerUser": "steps run as an ordinary user",
    "dockerComposeFile": "compose files are not read",
    "features": "they are programs of strangers that run as root; put what is needed into a Dockerfile",
    "initializeCommand": "it would run on your machine, outside of any sandbox",
    "mounts": "nothing of your machine is shown",
    "postAttachCommand": "it belongs to an editor",
    "postStartCommand": "nothing is started for later",
    "privileged": "the sandbox is never privileged",
    "remoteUser": "steps run as an ordinary user",
    "runArgs": "they could undo the sandbox",
    "secrets": "name variables of yours in your own configuration file: [environment] pass",
    "securityOpt": "they could undo the sandbox",
    "service": "compose files are not read",
    "workspaceFolder": f"the copy lies at {WORKDIR}",
    "workspaceMount": f"the copy lies at {WORKDIR}",
}
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_KNOWN = {"containerWorkspaceFolder": WORKDIR, "containerWorkspaceFolderBasename": WORKDIR.strip("/")}
# strings first, so that what looks like a comment inside one stays
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[\]}])', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Devcontainer:
    """`recipe` is None when nothing of the file can be used; `ignored` names what is not honoured, and why."""

    recipe: Recipe | None
    ignored: tuple[str, ...] = ()


def read(root: Path) -> Devcontainer | None:
    """The devcontainer of the repository at `root`; None when there is none. Never raises for its content."""
    for place in PLACES:
        try:
            text = hostfiles.read_bytes(root, place, _LARGEST).decode()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, FileRefused, UnicodeDecodeError) as error:
            return Devcontainer(recipe=None, ignored=(f"{place} cannot be read: {error}",))
        try:
            found = _parse(text)
        except (ValueError, RecursionError) as error:
            return Devcontainer(recipe=None, ignored=(f"{place} is not JSON with comments: {error}",))
        return _Reading(place, found).result()
    return None


def _parse(text: str) -> dict[str, Any]:
    plain = _TOKEN.sub(lambda token: token[0] if token[0].startswith('"') else " ", text)
    found = json.loads(_TRAILING.sub(lambda match: match[1] or "", plain))
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


class _Reading:
    """One file on its way to a recipe; collects what is left out."""

    def __init__(self, place: str, found: Mapping[str, Any]) -> None:
        self._place = place
        self._found = found
        self._ignored: list[str] = []

    def result(self) -> Devcontainer:
        for key, value in self._found.items():
            if key not in _READ and key not in _SILENT and value not in (None, False, [], {}):
                self._leave_out(key, _WHY.get(key, "it is not known here"))
        build = self._build()
        image = "" if build else self._text(self._found, "image")
        steps = tuple(self._steps())
        env = dict(self._variables())
        recipe = Recipe(
            source=self._place,
            image=image,
            dockerfile=build.get("dockerfile", ""),
            context=build.get("context", "."),
            build_args=self._build_args(),
            target=build.get("target", ""),
            steps=steps,
            inputs=tuple(filter(None, (self._place, build.get("dockerfile", "")))),
            env=env,
        )
        usable = bool(image or recipe.dockerfile or steps)
        return Devcontainer(recipe=recipe if usable else None, ignored=tuple(self._ignored))

    def _leave_out(self, what: str, why: str) -> None:
        self._ignored.append(f"{what}: {why}")

    def _text(self, table: Mapping[str, Any], key: str) -> str:
        value = table.get(key, "")
        if isinstance(value, str) and "\0" not in value and not _VARIABLE.search(value):
            return value
        self._leave_out(key, "it is no plain text")
        return ""

    def _build(self) -> dict[str, str]:
        """Dockerfile, context and target, relative to the repository's root; empty when the file has none."""
        table = self._found.get("build")
        if not isinstance(table, dict):
            table = {"dockerfile": self._found.get("dockerFile"), "context": self._found.get("context", ".")}
        if not table.get("dockerfile"):
            return {}
        for key in table.keys() - {"dockerfile", "context", "args", "target", "cacheFrom"}:
            self._leave_out(f"build.{key}", "it is not known here")
        folder = posixpath.dirname(self._place)
        found: dict[str, str] = {"target": self._text(table, "target")}
        for key in ("dockerfile", "context"):
            path = posixpath.normpath(posixpath.join(folder, self._text(table, key) or "."))
            if path.startswith(("/", "../")) or path == "..":
                self._leave_out(f"build.{key}", f"{path} lies outside of the repository")
                return {}
            found[key] = path
        return found

    def _build_args(self) -> dict[str, str]:
        table = self._found.get("build")
        args = table.get("args") if isinstance(table, dict) else None
        return dict(self._pairs("build.args", args or {}))

    def _variables(self) -> Iterator[tuple[str, str]]:
        for key in ("containerEnv", "remoteEnv"):
            for name, value in self._pairs(key, self._found.get(key) or {}):
                if name == "PATH":
                    self._leave_out(f"{key}.PATH", "the image's own path is used")
                else:
                    yield name, value

    def _pairs(self, key: str, table: object) -> Iterator[tuple[str, str]]:
        if not isinstance(table, dict):
            self._leave_out(key, "it is no object")
            return
        for name, value in table.items():
            if value is None:
                continue
            filled = _filled(value) if isinstance(value, str) else None
            if filled is None or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                self._leave_out(f"{key}.{name}", "only plain text and the workspace's own path are put in")
            else:
                yield name, filled

    def _steps(self) -> Iterator[str]:
        for key in _COMMANDS:
            value = self._found.get(key)
            commands = list(value.values()) if isinstance(value, dict) else [value]
            for command in commands:
                if command in (None, "", []):
                    continue
                step = _step(command)
                if step is None:
                    self._leave_out(key, "it is no command")
                else:
                    yield step


def _filled(text: str) -> str | None:
    """`text` with the workspace's path put in; None when it wants anything else, such as a variable of the user's."""
    names = _VARIABLE.findall(text)
    if "\0" in text or any(name not in _KNOWN for name in names):
        return None
    return _VARIABLE.sub(lambda match: _KNOWN[match[1]], text)


def _step(command: object) -> str | None:
    """A shell command from the forms that the specification has: text for a shell, or a list of words."""
    if isinstance(command, str):
        return None if "\0" in command else command.replace("${containerWorkspaceFolder}", WORKDIR)
    if isinstance(command, list) and all(isinstance(word, str) and "\0" not in word for word in command):
        return shlex.join(command)
    return None
