"""`action.yml` and the example workflows: what can be seen in them, and the installing step, run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.action_file import EXPRESSION, PROJECT, action, step

WORKFLOWS = sorted((PROJECT / "docs" / "workflows").glob("*.yml"))
COMMIT = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")


def steps_of(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        yield from job["steps"]


def test_no_script_holds_an_expression() -> None:
    """Text that somebody else wrote would become a part of the program."""
    assert [found for each in action()["runs"]["steps"] if (found := EXPRESSION.findall(each["run"]))] == []


def test_every_input_reaches_the_program_and_is_said_what_it_is() -> None:
    found = action()
    used = {name for each in found["runs"]["steps"] for value in each["env"].values() for name in EXPRESSION.findall(value)}  # fmt: skip
    assert {f"inputs.{name}" for name in found["inputs"]} <= used
    assert all(value["description"] for value in found["inputs"].values())


def test_what_it_installs_is_pinned_by_hashes(tmp_path: Path) -> None:
    """Installed for real, but without what the network would have to give: only the program itself."""
    source = tmp_path / "source"
    shutil.copytree(PROJECT / "coder", source / "coder", ignore=shutil.ignore_patterns("__pycache__"))
    (source / "requirements.txt").write_text("# nothing\n")
    install = step("Install", inputs={}, token="", temp=tmp_path, source=source)
    done = subprocess.run(
        install.words(tmp_path), env={**os.environ, **install.environ}, cwd=tmp_path, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--require-hashes" in install.script
    words = [tmp_path / "coder" / "bin" / "python", "-I", "-c", "import coder; print(coder.__file__)"]
    found = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert found.stdout.strip() == str(source / "coder" / "__init__.py"), found.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_gives_only_what_there_is(workflow: Path) -> None:
    inputs = action()["inputs"]
    (own,) = [each for each in steps_of(workflow) if each["uses"].startswith("OWNER/coder@")]
    assert set(own["with"]) <= set(inputs)
    assert {name for name, value in inputs.items() if value.get("required")} <= set(own["with"])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_pins_others_to_a_commit_and_leaves_no_token_in_the_copy(workflow: Path) -> None:
    for each in steps_of(workflow):
        if not each["uses"].startswith("OWNER/coder@"):
            assert COMMIT.fullmatch(each["uses"])
        if each["uses"].startswith("actions/checkout@"):
            assert each["with"]["persist-credentials"] is False


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_says_its_permissions_and_how_long(workflow: Path) -> None:
    found = yaml.safe_load(workflow.read_text())
    assert found["permissions"]
    assert "write-all" not in str(found["permissions"])
    assert all(job["timeout-minutes"] for job in found["jobs"].values())
    assert "pull_request_target" not in found[True]  # YAML 1.1 reads `on` so


def test_there_is_a_workflow_for_each_mode() -> None:
    modes = {
        each["with"]["mode"]
        for workflow in WORKFLOWS
        for each in steps_of(workflow)
        if "mode" in each["with"]
    }
    assert modes == {"fix", "review", "eval"}
