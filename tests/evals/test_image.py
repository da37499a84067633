"""Instances with images of their own, as SWE-bench publishes them: the repository at /testbed, its history inside."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evals.data import load
from evals.environments import Environments
from evals.environments.failed import EnvironmentFailed
from evals.environments.image import only_tests
from evals.grading import grade
from evals.result import Status
from tests.conftest import IMAGE
from tests.evals import made
from tests.scripted_server import ScriptedServer

TAG = "sweb.eval.x86_64.made_1776_task-0:latest"
DOCKERFILE = f"""FROM {IMAGE}
USER root
COPY testbed /testbed
RUN cd /testbed && git init -q && git config user.email a@b && git config user.name a && git add -A && git commit -qm base \\
 && echo right > value.txt && git commit -qam 'the fix' && git checkout -q HEAD~1 && echo built > /testbed/made.so
RUN echo 'export MARK=set' > /etc/profile.d/task.sh
WORKDIR /testbed
"""
SCRIPT = f"""#!/bin/bash
set -uxo pipefail
. /etc/profile.d/task.sh
cd /testbed
git status
git checkout abc123 -- tests/value.txt
git apply -v - <<'EOF_114329324912'
{made.HIDDEN}EOF_114329324912
: '>>>>> Start Test Output'
test "$MARK" = set && test -f made.so && {made.TESTED}
: '>>>>> End Test Output'
git checkout abc123 -- tests/value.txt
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("image")
    (row,) = made.rows(folder, 1)
    (folder / "tree").rename(folder / "testbed")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    words = ["docker", "build", "--quiet", "--network", "none", "--tag", TAG, str(folder)]
    built = subprocess.run(words, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    row |= {"image": TAG, "eval_script": SCRIPT, "log_parser": "parse_log_pytest"}
    del row["environment"]
    path = folder / "images.jsonl"
    path.write_text(json.dumps(row) + "\n")
    yield path
    subprocess.run(["docker", "rmi", "--force", TAG], capture_output=True)


def test_a_script_keeps_what_runs_the_tests() -> None:
    assert only_tests(SCRIPT).splitlines()[1:] == [
        "set -uxo pipefail",
        ". /etc/profile.d/task.sh",
        "cd /testbed",
        ": '>>>>> Start Test Output'",
        f'test "$MARK" = set && test -f made.so && {made.TESTED}',
        "exit $?",
    ]


@pytest.mark.docker
async def test_the_image_is_the_environment(data: Path, tmp_path: Path) -> None:
    instance = load(str(data)).instances[0]
    async with Environments("docker", tmp_path / "cache").place(instance) as place:
        log = subprocess.run(
            ["git", "log", "--all", "--format=%s"], cwd=place.tree, capture_output=True, text=True
        )
        assert log.stdout == "base\n"
        assert (place.tree / "made.so").read_text() == "built\n"
        async with place.sandbox() as sandbox:
            seen = await sandbox.run("cat /testbed/value.txt; echo x > /testbed/new; cat new", timeout=20)
            assert seen.text().split() == ["wrong", "x"]
        assert (await grade(instance, made.GOLD, place)).status is Status.RESOLVED
        assert (
            await grade(instance, made.GOLD.replace("+right", "+left"), place)
        ).status is Status.UNRESOLVED


@pytest.mark.docker
def test_a_run_in_its_image(data: Path, tmp_path: Path) -> None:
    with ScriptedServer([made.answer], after="repeat") as server:
        words = made.run_words(data, tmp_path / "out", server.base_url, "--sandbox", "docker")
        done = made.done(words, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "resolved 1 of 1" in done.stdout
    seen: dict[str, Any] = json.loads(next((tmp_path / "out").glob("instances/*/1/result.json")).read_text())
    assert seen["sandbox"] == "docker"


@pytest.mark.docker
async def test_an_image_that_is_nowhere_is_said(data: Path, tmp_path: Path) -> None:
    row = json.loads(data.read_text()) | {"image": "127.0.0.1:9/no/such:image"}
    path = tmp_path / "nowhere.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(EnvironmentFailed, match="is not here and could not be pulled") as error:
        async with Environments("docker", tmp_path / "cache").place(load(str(path)).instances[0]):
            pass
    assert "docker load" in error.value.hint


@pytest.mark.docker
async def test_without_a_recipe_bubblewrap_has_nothing_to_show(data: Path, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="how its environment is made is not known"):
        async with Environments("bubblewrap", tmp_path / "cache").place(load(str(data)).instances[0]):
            pass
