"""A task of an evaluation: one row of a data set, and how its environment is made."""

from __future__ import annotations

from typing import Any

import msgspec


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where an instance's tree comes from. `kind` is sdist (from the Python package index, by `name` and `version`),
    git (a repository on this machine, `path` and `commit`) or directory (`path`); paths are absolute."""

    kind: str
    name: str = ""
    version: str = ""
    file: str = ""
    sha256: str = ""
    path: str = ""
    commit: str = ""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How an environment is made where no image has it. `pins` is a complete lock, installed without dependencies."""

    source: Source
    python: str = ""
    """The interpreter's version, such as 3.11; empty for any."""
    pins: tuple[str, ...] = ()
    editable: bool = False
    """The tree itself is installed, in place."""
    pythonpath: str | None = None
    """A folder of the tree for PYTHONPATH; "" is the tree itself."""
    env: dict[str, str] = msgspec.field(default_factory=dict)
    test_command: str = ""
    toolchain: str = "python"
    """The language whose programs the tests need: python or node."""


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One task, whatever data set it came from.

    The agent sees `repo`, the tree and `statement`; never `gold`, `test_patch`, or the lists of tests.
    """

    id: str
    statement: str
    repo: str = ""
    base_commit: str = ""
    version: str = ""
    gold: str = ""
    """The patch that is known to solve it, empty where the set has none."""
    test_patch: str = ""
    fail_to_pass: tuple[str, ...] = ()
    pass_to_pass: tuple[str, ...] = ()
    difficulty: str = ""
    image: str = ""
    """The row's own image, or the one that the known naming rule gives."""
    eval_script: str = ""
    log_parser: str = ""
    eval_type: str = "pass_and_fail"
    """pass_and_fail, or fail_only: then only `fail_to_pass` counts."""
    recipe: Recipe | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    """Every field of the row that this class does not name, as it was."""


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """Instances under one name, in the set's own order. `sha256` is that of the file, or of all of a suite's files."""

    name: str
    sha256: str
    instances: tuple[Instance, ...]
