"""The floors: every import runs down, and the command line stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("coder", "sandbox", "tools", "evals")

FLOORS = {
    "coder._siblings": 0,
    "sandbox": 1,
    "tools": 2,
    "coder": 1,
    "coder.envelope": 0,
    "coder.errors": 1,
    "coder.groups": 12,
    "coder.session_events": 1,
    "coder.review_events": 1,
    "coder.tomlfile": 2,
    "coder.setup_table": 2,
    "coder.lookup": 2,
    "coder.events": 2,
    "coder.config": 3,
    "coder.journal": 3,
    "coder.sessions": 4,
    "coder.environment": 4,
    "coder.model": 4,
    "coder.agent": 5,
    "coder.workflows": 6,
    "coder.transcript": 6,
    "coder.doctor": 7,
    "coder.headless": 7,
    "coder.tui": 8,
    "coder.show": 8,
    "coder.attended": 9,
    "coder.web": 9,
    "coder.start": 10,
    "coder.demo": 11,
    "coder.init": 11,
    "coder.reviews": 11,
    "coder.github": 12,
    "evals": 11,
    "coder.cli": 13,
    "coder.__main__": 14,
}
"""A module imports only from floors below its own, or from its own room."""

NOT_FOR = {
    "sandbox": ("coder", "tools", "evals"),
    "tools": ("coder", "evals"),
    "coder.model": ("sandbox", "tools"),
}
"""Rooms that know nothing of others, whatever their floors."""


def room(module: str) -> str:
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "coder" and len(parts) > 1 else parts[0]


def modules() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "demo_repository" not in path.parts:
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                yield name.removesuffix(".__init__"), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide their floor"
            assert node.module is not None
            if node.module == "coder":
                yield from (f"coder.{alias.name}" for alias in node.names if alias.name != "__version__")
            else:
                yield node.module


@pytest.mark.parametrize(("module", "path"), [pytest.param(m, p, id=m) for m, p in modules()])
def test_no_import_runs_up(module: str, path: Path) -> None:
    own = room(module)
    assert own in FLOORS, f"{own} has no floor yet: add it to FLOORS and to docs/architecture.md"
    for name in imports(path):
        other = room(name)
        if name.split(".")[0] in PACKAGES and other != own:
            assert FLOORS[other] < FLOORS[own], f"{module} imports {name}, which stands above it"
            assert not name.startswith(NOT_FOR.get(own, ("\0",))), f"{module} must not know {name}"


@pytest.mark.parametrize(("module", "path"), [pytest.param(m, p, id=m) for m, p in modules()])
def test_modules_and_functions_stay_short(module: str, path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= 400
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            assert length <= 60, f"{module}.{node.name} has {length} lines"


def test_help_imports_nothing_heavy() -> None:
    heavy = ("openai", "docker", "git", "textual", "rich", "tree_sitter", "xllamacpp", "asyncio", "unidiff")
    script = f"""
import sys
from coder.cli import cli
try:
    cli.main(["--help"], standalone_mode=True)
except SystemExit:
    pass
print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "Usage:" in done.stdout
    assert done.stderr.strip() == "[]"
