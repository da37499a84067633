"""What pip would have to install: a project with its extras for tests, dependency groups, files of requirements."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.environments.project import Project, strings, table

_TESTING = ("test", "tests", "testing", "dev", "develop", "development")
_STEMS = (
    "requirements-{}", "requirements_{}", "requirements.{}", "{}-requirements", "{}_requirements", "requirements/{}",
    "requirements/requirements-{}",
)  # fmt: skip
_ALSO = ("tests/requirements.txt", "test/requirements.txt")
_PLAIN = (
    "requirements.txt",
    "requirements/base.txt",
    "requirements/requirements.txt",
    "requirements/main.txt",
)


def _named(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{stem.format(word)}.txt" for word in words for stem in _STEMS)


_FOR_TESTS = (*_named(_TESTING[:3]), *_ALSO)
_FOR_DEVELOPMENT = _named(_TESTING[3:])
FILES = (*_PLAIN, *_FOR_TESTS, *_FOR_DEVELOPMENT)

# PEP 508 begins with a name; pip would take what begins with a dash for an option
_REQUIREMENT = re.compile(r"[A-Za-z0-9][^\n\r]*")
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,100}[A-Za-z0-9])?", re.ASCII)
_INCLUDED = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[ \t=]+([^\s#]+)", re.MULTILINE)
_MOST = 500
_SETUP = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """Everything for one `pip install`."""

    installable: bool = False
    """The project itself is a package."""
    compiled: bool = False
    """It has modules in C, Cython or Rust."""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Names of dependency groups; `requirements` holds what is in them."""
    requirements: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


def test_names(names: Iterable[str]) -> tuple[str, ...]:
    """Those of `names` that mean what tests need, as they are written."""
    wanted = [name for name in names if isinstance(name, str) and _NAME.fullmatch(name)]
    return tuple(dict.fromkeys(name for word in _TESTING for name in wanted if name.lower() == word))


def from_pyproject(pyproject: dict[str, Any]) -> Wants:
    """What a pyproject.toml says."""
    groups = table(pyproject, "dependency-groups")
    names = test_names(groups)
    found = [item for name in names for item in _group(groups, name)]
    for _, items in _tool_groups(pyproject):
        found += items
    build = strings(table(pyproject, "build-system").get("requires"))
    return Wants(
        installable=bool(table(pyproject, "build-system") or table(pyproject, "project")),
        compiled=any(re.match(r"(cython|maturin|scikit-build|meson|setuptools-rust|pybind11|cffi)", item, re.IGNORECASE) for item in build),
        extras=test_names(table(pyproject, "project", "optional-dependencies")),
        groups=names,
        requirements=tuple(dict.fromkeys(found))[:_MOST],
    )  # fmt: skip


def gather(project: Project, pyproject: dict[str, Any]) -> Wants:
    """What the project says in all its files together. Raises ManifestProblem."""
    declared = from_pyproject(pyproject)
    manifests = project.present(("pyproject.toml", "setup.cfg", "setup.py"))
    installable = declared.installable or "setup.py" in manifests
    extras = declared.extras
    if installable:
        extras = extras or test_names(_cfg_extras(project)) or test_names(_setup_extras(project))
    files = _files(project, told=bool(extras or declared.requirements), installable=installable)
    included = _included(project, files)
    tox = _tox(project) if not (extras or declared.requirements or files[1:]) else ()
    manifests = manifests if installable or declared.requirements else ()
    sources = [*manifests, *files, *(("tox.ini",) if tox else ())]
    inputs = dict.fromkeys((*files, *included, *manifests, *(("tox.ini",) if tox else ())))
    return Wants(
        installable=installable,
        compiled=declared.compiled or "ext_modules" in project.text("setup.py"),
        extras=extras,
        groups=declared.groups,
        requirements=tuple(dict.fromkeys((*declared.requirements, *tox))),
        files=files,
        inputs=tuple(inputs),
        sources=tuple(sources),
    )


def _files(project: Project, *, told: bool, installable: bool) -> tuple[str, ...]:
    """Files of requirements to install. A package that says itself what its tests need has no need of them."""
    plain = () if installable and told else project.present(_PLAIN)[:1]
    if told:
        return plain
    return plain + (project.present(_FOR_TESTS) or project.present(_FOR_DEVELOPMENT))


def _included(project: Project, files: Iterable[str]) -> tuple[str, ...]:
    """Files that `files` name with -r or -c, and those that they name."""
    found: dict[str, None] = {}
    waiting = list(files)
    while waiting and len(found) < _MOST:
        name = waiting.pop()
        folder = name.rpartition("/")[0]
        for other in _INCLUDED.findall(project.text(name)):
            path = _joined(folder, other)
            if path is not None and path not in found and project.has(path):
                found[path] = None
                waiting.append(path)
    return tuple(found)


def _joined(folder: str, name: str) -> str | None:
    parts = folder.split("/") if folder else []
    for part in name.split("/"):
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return None if name.startswith("/") else "/".join(parts)


def _group(groups: dict[str, Any], name: str) -> list[str]:
    """The requirements of a dependency group (PEP 735) and of those that it includes."""
    found: list[str] = []
    seen, waiting = {name}, [name]
    while waiting:
        items = groups.get(waiting.pop())
        for item in items if isinstance(items, list) else []:
            other = item.get("include-group") if isinstance(item, dict) else None
            if isinstance(item, str) and _REQUIREMENT.fullmatch(item):
                found.append(item)
            elif isinstance(other, str) and other not in seen:
                seen.add(other)
                waiting.append(other)
    return found[:_MOST]


def _tool_groups(pyproject: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """What uv, pdm and hatch were told in tables of their own, before there were dependency groups."""
    tool = table(pyproject, "tool")
    found = [("uv", strings(table(tool, "uv").get("dev-dependencies")))]
    pdm = table(tool, "pdm", "dev-dependencies")
    found += [(name, strings(pdm[name])) for name in test_names(pdm)]
    for name in ("default", "test", "hatch-test"):
        environment = table(tool, "hatch", "envs", name)
        for key in ("dependencies", "extra-dependencies"):
            found.append((name, strings(environment.get(key))))
    return [(name, [item for item in items if _REQUIREMENT.fullmatch(item)]) for name, items in found]


def _cfg_extras(project: Project) -> list[str]:
    parser = _ini(project.text("setup.cfg"))
    return list(parser["options.extras_require"]) if parser.has_section("options.extras_require") else []


def _setup_extras(project: Project) -> list[str]:
    """The extras that a setup.py names as a plain dictionary."""
    text = project.text("setup.py")
    try:
        tree = ast.parse(text if len(text) < _SETUP else "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    for node in ast.walk(tree):
        named = isinstance(node, ast.keyword) and node.arg == "extras_require"
        if isinstance(node, ast.keyword) and named and isinstance(node.value, ast.Dict):
            keys = [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
            return [key for key in keys if isinstance(key, str)]
    return []


def _tox(project: Project) -> tuple[str, ...]:
    """What tox would install for every environment; lines with factors and substitutions are left out."""
    parser = _ini(project.text("tox.ini"))
    lines = parser.get("testenv", "deps", fallback="").splitlines()
    plain = (line.partition(" #")[0].strip() for line in lines)
    return tuple(
        line for line in plain if _REQUIREMENT.fullmatch(line) and not re.search(r"[{}/]|^[\w-]+:", line)
    )


def _ini(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return configparser.RawConfigParser()
    return parser
