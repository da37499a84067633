"""The repository's own linters and type checkers: where it configures one, the change may bring it nothing new to say.

What a checker says is compared without line numbers, before and after: old complaints are nobody's business here.
Each runs in a clean sandbox, with its cache outside the repository.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from shlex import join, quote
from typing import Any

Complaints = Counter[tuple[str, str]]
"""How often a file (relative to the top folder) is told something."""
Read = Callable[[str], bytes | None]
"""A file of the repository's top folder; None when there is none."""

MAX_PATHS = 200
"""Files named in one command; a change of more has the checker look at all."""


class Unreadable(ValueError):
    """A checker did not print what it should."""


@dataclass(frozen=True, slots=True)
class Checker:
    """One tool. `program` finds it in the sandbox, `arguments` come before the paths."""

    name: str
    gate: str
    """lint or types."""
    suffixes: tuple[str, ...]
    configured: Callable[[Read], bool]
    arguments: str
    parse: Callable[[str], Complaints]
    module: str = ""
    """Python's module of that name, tried before the program."""
    node: bool = False
    """Looked for in node_modules first."""
    whole: bool = False
    """Always looks at the whole project."""

    def command(self, paths: Sequence[str], python: str) -> str:
        """A bash script that runs it on `paths`, with exit status 127 where it is not installed."""
        named = "" if self.whole or len(paths) > MAX_PATHS else join(["--", *paths])
        ways = []
        if self.module:
            ways.append((f"{quote(python)} -c 'import {self.module}'", f"{quote(python)} -m {self.module}"))
        if self.node:
            ways.append((f"test -x node_modules/.bin/{self.name}", f"node_modules/.bin/{self.name}"))
        ways.append((f"command -v {self.name}", self.name))
        tries = "; el".join(
            f"if {found} >/dev/null 2>&1; then {run} {self.arguments} {named}" for found, run in ways
        )
        return f"{tries}; else exit 127; fi 2>/dev/null"

    def concerns(self, path: str) -> bool:
        return path.endswith(self.suffixes)


def fitting(read: Read, paths: Sequence[str]) -> list[Checker]:
    """The checkers that the repository configures and that have something to say about one of `paths`."""
    return [
        checker
        for checker in CHECKERS
        if any(checker.concerns(path) for path in paths) and checker.configured(read)
    ]


def brought(before: Complaints, after: Complaints) -> list[str]:
    """What is said after and was not before, as lines for people."""
    return [
        f"{path}: {text}" for (path, text), count in sorted((after - before).items()) for _ in range(count)
    ]


# -- is it configured? -----------------------------------------------------------------------------------------------


def _in_pyproject(*tables: str) -> Callable[[Read], bool]:
    def is_there(read: Read) -> bool:
        try:
            tool = tomllib.loads((read("pyproject.toml") or b"").decode("utf-8", "replace")).get("tool", {})
        except (tomllib.TOMLDecodeError, RecursionError):
            return False
        return isinstance(tool, dict) and any(table in tool for table in tables)

    return is_there


def _in_ini(section: str, *files: str) -> Callable[[Read], bool]:
    def is_there(read: Read) -> bool:
        for name in files:
            parser = configparser.RawConfigParser(strict=False)
            try:
                parser.read_string((read(name) or b"").decode("utf-8", "replace"))
            except configparser.Error:
                continue
            if parser.has_section(section):
                return True
        return False

    return is_there


def _has(*names: str) -> Callable[[Read], bool]:
    return lambda read: any(read(name) is not None for name in names)


def _any_of(*ways: Callable[[Read], bool]) -> Callable[[Read], bool]:
    return lambda read: any(way(read) for way in ways)


# -- what does it say? -----------------------------------------------------------------------------------------------


def _rows(text: str) -> list[Mapping[str, Any]]:
    try:
        rows = json.loads(text or "[]")
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Unreadable("not a list of objects")
    return rows


def _relative(path: object) -> str:
    return re.sub(r"^(?:/workspace/|\./)", "", str(path))


def _ruff(text: str) -> Complaints:
    rows = _rows(text)
    return Counter(
        (_relative(row.get("filename")), f"{row.get('code')} {row.get('message')}") for row in rows
    )


def _eslint(text: str) -> Complaints:
    found: Complaints = Counter()
    for file in _rows(text):
        messages = file.get("messages")
        for message in messages if isinstance(messages, list) else ():
            if isinstance(message, dict) and message.get("severity") == 2:
                found[
                    _relative(file.get("filePath")), f"{message.get('ruleId')} {message.get('message')}"
                ] += 1
    return found


def _lines(pattern: str) -> Callable[[str], Complaints]:
    compiled = re.compile(pattern, re.MULTILINE)
    return lambda text: Counter((_relative(m["path"]), m["text"].strip()) for m in compiled.finditer(text))


_PYTHON = (".py", ".pyi")
_SCRIPTS = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")

CHECKERS = (
    Checker(
        "ruff",
        "lint",
        _PYTHON,
        _any_of(_has("ruff.toml", ".ruff.toml"), _in_pyproject("ruff")),
        "check --no-cache --quiet --output-format json --force-exclude",
        _ruff,
        module="ruff",
    ),
    Checker(
        "flake8",
        "lint",
        _PYTHON,
        _any_of(_has(".flake8"), _in_ini("flake8", "setup.cfg", "tox.ini")),
        "--format '%(path)s:%(row)d:%(col)d: %(code)s %(text)s'",
        _lines(r"^(?P<path>[^:\n]+):\d+:\d+: (?P<text>.+)$"),
        module="flake8",
    ),
    Checker(
        "eslint",
        "lint",
        _SCRIPTS,
        _has(
            *(f"eslint.config.{suffix}" for suffix in ("js", "mjs", "cjs", "ts")),
            *(f".eslintrc{suffix}" for suffix in ("", ".js", ".cjs", ".json", ".yml", ".yaml")),
        ),
        "--format json --no-color",
        _eslint,
        node=True,
    ),
    Checker(
        "mypy",
        "types",
        _PYTHON,
        _any_of(_has("mypy.ini", ".mypy.ini"), _in_pyproject("mypy"), _in_ini("mypy", "setup.cfg")),
        "--cache-dir=/tmp/coder-mypy --no-error-summary --no-color-output --hide-error-context --show-error-codes",
        _lines(r"^(?P<path>[^:\n]+):\d+(?::\d+)?: error: (?P<text>.+)$"),
        module="mypy",
    ),
    Checker(
        "tsc",
        "types",
        (".ts", ".tsx", ".mts", ".cts"),
        _has("tsconfig.json"),
        "--noEmit --pretty false",
        _lines(r"^(?P<path>[^(\n]+)\(\d+,\d+\): error (?P<text>.+)$"),
        node=True,
        whole=True,
    ),
)
