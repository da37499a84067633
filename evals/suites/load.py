"""A suite's folder as a data set.

SUITE/ID/task.toml    statement, difficulty, kind, toolchain (python or node), fail_to_pass, pass_to_pass
SUITE/ID/tree/        the repository as the agent finds it
SUITE/ID/hidden/      tests that are laid over it for grading
SUITE/ID/gold.patch   a change that solves it
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from pathlib import Path

from evals.instance import Dataset, Instance, Recipe, Source

HOME = Path(__file__).parent
_COMMANDS = {
    "python": "python -m pytest -q -p no:cacheprovider",
    "node": "node --test --test-reporter=junit --test-reporter-destination=$CODER_JUNIT",
}


def names() -> list[str]:
    """The suites that there are."""
    return sorted(path.name for path in HOME.iterdir() if any(path.glob("*/task.toml")))


def load(name: str) -> Dataset | None:
    """The suite of this name, its tasks in the order of their ids; None when there is none."""
    if name not in names():
        return None
    folders = sorted(path.parent for path in (HOME / name).glob("*/task.toml"))
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(HOME)}\0".encode() + path.read_bytes())
    return Dataset(name=name, sha256=digest.hexdigest(), instances=tuple(map(_instance, folders)))


def _instance(folder: Path) -> Instance:
    task = tomllib.loads((folder / "task.toml").read_text())
    toolchain = task.get("toolchain", "python")
    source = Source(kind="directory", path=str(folder / "tree"))
    return Instance(
        id=folder.name,
        statement=task["statement"].strip(),
        repo=f"{folder.parent.name}/{toolchain}",
        gold=(folder / "gold.patch").read_text(),
        test_patch=_overlay(folder),
        fail_to_pass=tuple(task["fail_to_pass"]),
        pass_to_pass=tuple(task["pass_to_pass"]),
        difficulty=task["difficulty"],
        recipe=Recipe(source=source, toolchain=toolchain, test_command=_COMMANDS[toolchain]),
        extra={"kind": task["kind"]},
    )


def _overlay(folder: Path) -> str:
    """The hidden tests as a patch."""
    found = []
    for path in sorted(path for path in (folder / "hidden").rglob("*") if path.is_file()):
        name = str(path.relative_to(folder / "hidden"))
        beneath = folder / "tree" / name
        before = beneath.read_text().splitlines(keepends=True) if beneath.is_file() else []
        after = path.read_text().splitlines(keepends=True)
        old = f"a/{name}" if before else "/dev/null"
        head = [f"diff --git a/{name} b/{name}\n"] + ([] if before else ["new file mode 100644\n"])
        found += [*head, *difflib.unified_diff(before, after, old, f"b/{name}")]
    return "".join(found)
