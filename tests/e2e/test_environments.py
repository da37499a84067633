"""Projects with dependencies: set up once from the real registries, then tested in sandboxes without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from coder.config import load
from coder.workflows.site import Site
from sandbox.repository import find_repository
from tests.e2e.conftest import EDIT, SOLVES, SUBMIT, TEST, Coder, command, git, scripted
from tests.scripted_server import Turn

PURE = {
    "pyproject.toml": """[project]
name = "shop"
version = "1"
description = "Sells."
dependencies = ["six==1.17.0"]
[project.optional-dependencies]
test = ["pytest"]
[build-system]
requires = ["flit_core"]
build-backend = "flit_core.buildapi"
[tool.flit.module]
name = "shop"
""",
    "shop.py": '"""Sells."""\nimport six\n\n\ndef total(prices):\n    return sum(six.itervalues(prices))\n',
    "test_shop.py": "from shop import total\n\n\ndef test_total():\n    assert total({'a': 1, 'b': 2}) == 3\n",
}
NUMPY = {
    "requirements.txt": "numpy\n",
    "norm.py": "import numpy as np\n\n\ndef norm(x):\n    return float(np.linalg.norm(x))\n",
    "test_norm.py": "from norm import norm\n\n\ndef test_norm():\n    assert norm([3, 4]) == 5\n",
}
NODE = {
    "package.json": json.dumps({"name": "pad", "version": "1.0.0", "scripts": {"test": "node test.js"}, "dependencies": {"left-pad": "1.3.0"}}),
    "test.js": 'require("assert").equal(require("left-pad")("7", 3, "0"), "007"); console.log("1 passed");\n',
}  # fmt: skip

OFFLINE = "(echo > /dev/tcp/1.1.1.1/443) 2>&1 | grep -q unreachable && ! env | grep -qi _proxy="
BACKENDS = ["bubblewrap", pytest.param("docker", marks=pytest.mark.docker)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "coder" / "environments"


def project(directory: Path, files: Mapping[str, str]) -> Path:
    root = directory / "project"
    root.mkdir()
    for name, text in files.items():
        (root / name).write_text(text)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "start")
    return root


def init(root: Path, *flags: str) -> dict[str, Any]:
    words = [sys.executable, "-m", "coder", "init", "-C", str(root), "--json", *flags]
    done = subprocess.run(words, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("files", "test"),
    [
        pytest.param(PURE, "{python} -m pytest -q", id="pure-python"),
        pytest.param(NUMPY, "{python} -m pytest -q", id="numpy"),
        pytest.param(NODE, "npm test", id="node"),
    ],
)
async def test_a_project_is_set_up_once_and_its_tests_pass_without_a_network(
    tmp_path: Path, files: Mapping[str, str], test: str, backend: str
) -> None:
    root = project(tmp_path, files)
    made = init(root, "--yes", "--sandbox", backend)
    assert (made["status"], made["backend"]) == ("ready", backend)
    assert made["reached"]
    assert all(check["ok"] for check in made["checks"]), made["checks"]
    assert init(root, "--sandbox", backend)["status"] == "cached"

    settings = load(project=root, flags={"sandbox": backend}, environ=os.environ)
    site = Site(find_repository(root), tmp_path / "state", settings)
    try:
        sandbox = await site.sandbox()
        result = await sandbox.run(f"{OFFLINE} && {test.format(python=await site.python())}", timeout=120)
        assert result.exit == 0, result.text()
        assert "1 passed" in result.text()
        assert sandbox.workspace.changes() == []
        assert "`coder init`" in await site.why()
        assert await site.advice() == ""
        async with site.clean() as clean:
            assert (await clean.run(test.format(python=await site.python()), timeout=120)).exit == 0
    finally:
        await site.close()


def test_a_changed_lock_file_is_another_environment(tmp_path: Path) -> None:
    root = project(
        tmp_path, {**NODE, ".coder.toml": "[environment]\nsetup = ['true']\ninputs = ['package.json']\n"}
    )
    first = init(root, "--yes")
    (root / "package.json").write_text(NODE["package.json"].replace("1.3.0", "1.2.0"))
    second = init(root)
    assert second["status"] == "ready"
    assert second["key"] != first["key"]


# -- runs ------------------------------------------------------------------------------------------------------------

SETUP = """[environment]
setup = ["mkdir -p $CODER_ENV/lib && echo 'FIVE = 5' > $CODER_ENV/lib/needed.py"]
env = { PYTHONPATH = "/opt/coder/env/lib" }
inputs = ["requirements.txt"]
"""
NEEDS = "from needed import FIVE\nfrom calc import add\n\n\ndef test_add():\n    assert add(2, 3) == FIVE\n"


@pytest.fixture
def needy(repository: Path) -> Path:
    """The usual repository, whose tests now need something that only its set-up makes."""
    (repository / "test_calc.py").write_text(NEEDS)
    (repository / "requirements.txt").write_text("needed\n")
    (repository / ".coder.toml").write_text(SETUP)
    return repository


def test_a_run_without_a_set_up_says_what_would_help(
    needy: Path, coder: Coder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.defpath}")  # no python3 of the user's with pytest
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    with scripted([TEST, EDIT, TEST, SUBMIT]) as server:
        done = coder(server)
    assert done.exit != 0
    assert "`coder init` sets them up once" in done.stderr


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_uses_what_was_set_up(needy: Path, coder: Coder, backend: str) -> None:
    init(needy, "--yes", "--sandbox", backend)
    with scripted(SOLVES) as server:
        done = coder(server, "--sandbox", backend)
    assert done.exit == 0, done.stderr
    assert "coder init` made of .coder.toml" in done.stderr
    assert "sets them up once" not in done.stderr


def test_yes_sets_up_before_the_run(needy: Path, coder: Coder) -> None:
    with scripted(SOLVES) as server:
        done = coder(server, "--yes")
    assert done.exit == 0, done.stderr
    assert "step   1" in done.stderr


@pytest.mark.docker
def test_an_image_that_the_repository_names_is_not_used_before_the_user_agreed(
    repository: Path, coder: Coder
) -> None:
    (repository / ".coder.toml").write_text("[sandbox]\nimage = 'coder-sandbox:base'\n")
    looks = [Turn(calls=[("bash", {"command": "ls"})]), *SOLVES[1:]]
    with scripted(looks) as server:
        refused = coder(server)
    assert refused.exit == 2
    assert "to which you have not agreed" in refused.stderr + str(refused.result)
    with scripted(looks) as server:
        words = command(repository, server, "--yes")
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "docker" in done.stderr
