"""`[environment]` in configuration files: how a project is set up, and which of the user's variables that may see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from coder.errors import ConfigError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSettings:
    """How the project's own file says that its dependencies are set up. Hostile: used only after the user agreed."""

    image: str = ""
    dockerfile: str = ""
    """Relative to the repository, like `context`, the directory that it is built in."""
    context: str = "."
    target: str = ""
    setup: tuple[str, ...] = ()
    """Shell commands; None of them runs before the user agreed."""
    inputs: tuple[str, ...] = ()
    """Files that decide what comes of the set-up."""
    env: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    python: str = ""


def environment_of(table: object, path: Path) -> EnvironmentSettings | None:
    """What a project's file says of its set-up. Raises ConfigError that names the file and the key."""
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: environment must be a table, as in [environment]")
    known = {each.name: each for each in fields(EnvironmentSettings)}
    values: dict[str, Any] = {}
    for name, value in table.items():
        where = f"{path}: environment.{name}"
        if name == "pass":
            raise ConfigError(
                f"{path} sets environment.pass, which a project file may not",
                hint="Which of your variables a set-up sees is said in your own configuration file.",
            )
        if name not in known:
            raise ConfigError(
                f"{path} sets environment.{name}, which is no setting", hint=f"Known are {', '.join(known)}."
            )
        if name == "env":
            values[name] = _variables(value, where)
        elif isinstance(known[name].default, tuple):
            values[name] = _texts(value, where)
        elif isinstance(value, str) and "\0" not in value:
            values[name] = value
        else:
            raise ConfigError(f"{where} must be text, not {value!r}")
    return EnvironmentSettings(**values)


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and "\0" not in each for each in value):
        raise ConfigError(f"{where} must be a list of texts")
    return tuple(value)


def _variables(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ConfigError(f"{where} must be a table of texts")
    for name, text in value.items():
        if not _VARIABLE.fullmatch(name) or "\0" in text:
            raise ConfigError(f"{where}.{name} is no usable variable")
    return value


def passed_by(table: object, path: Path) -> tuple[str, ...]:
    """The user's variables that a set-up may see. Raises ConfigError.

    Names, one by one: a pattern would some day take one that nobody meant.
    """
    if not isinstance(table, dict) or table.keys() - {"pass"}:
        raise ConfigError(
            f"{path}: environment holds `pass` alone", hint="How a project is set up stands in its own file."
        )
    names = _texts(table.get("pass", []), f"{path}: environment.pass")
    for name in names:
        if not _VARIABLE.fullmatch(name):
            raise ConfigError(f"{path}: environment.pass: {name!r} is no variable's name")
    return names
