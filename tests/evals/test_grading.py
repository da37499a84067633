"""What a grading says of patches, good and bad, in real sandboxes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from evals.data import load
from evals.environments import Environments, Place
from evals.grading import grade
from evals.grading.outcome import judge
from evals.instance import Instance
from evals.result import Status
from tests.conftest import IMAGE
from tests.evals import made

KINDS = ["bubblewrap", pytest.param("docker", marks=pytest.mark.docker)]
BAD = made.GOLD.replace("+right", "+left")
CHEATS = """diff --git a/tests/value.txt b/tests/value.txt
new file mode 100644
--- /dev/null
+++ b/tests/value.txt
@@ -0,0 +1 @@
+wrong
"""
LOOPS = """diff --git a/check.py b/check.py
--- a/check.py
+++ b/check.py
@@ -1,1 +1,2 @@
+while True: pass
 import os, pathlib
"""
NO_REPORT = LOOPS.replace("while True: pass", "raise SystemExit(0)")


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return load(str(made.data_set(tmp_path, 1))).instances[0]


@asynccontextmanager
async def placed(instance: Instance, tmp_path: Path, kind: str = "bubblewrap") -> Iterator[Place]:
    async with Environments(kind, tmp_path / "cache", image=IMAGE if kind == "docker" else "").place(
        instance
    ) as place:
        yield place


@pytest.mark.parametrize("kind", KINDS)
async def test_gold_is_resolved_and_others_are_not(instance: Instance, tmp_path: Path, kind: str) -> None:
    async with placed(instance, tmp_path, kind) as place:
        right = await grade(instance, made.GOLD, place)
        assert right.status is Status.RESOLVED, right.detail
        assert right.tests is not None
        assert right.tests.fail_to_pass_success == ("made::value",)
        wrong = await grade(instance, BAD, place)
        assert wrong.status is Status.UNRESOLVED
        assert "made::value" in wrong.detail


async def test_the_tests_are_restored(instance: Instance, tmp_path: Path) -> None:
    """A change that brings the hidden test's own file along is graded with the real one."""
    async with placed(instance, tmp_path) as place:
        assert (await grade(instance, CHEATS, place)).status is Status.UNRESOLVED
        assert (await grade(instance, CHEATS + made.GOLD, place)).status is Status.RESOLVED


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        ("", Status.EMPTY_PATCH),
        ("no patch at all", Status.PATCH_FAILED),
        (made.GOLD.replace("value.txt", "nowhere.txt"), Status.PATCH_FAILED),
        (made.GOLD.replace("a/value.txt", "a/../../outside").replace("b/value.txt", "b/../../outside"), Status.PATCH_FAILED),
        (LOOPS, Status.TESTS_TIMED_OUT),
        (NO_REPORT, Status.UNRESOLVED),
    ],
)  # fmt: skip
async def test_patches_that_break(instance: Instance, tmp_path: Path, patch: str, status: Status) -> None:
    async with placed(instance, tmp_path) as place:
        graded = await grade(instance, patch, place, timeout=3.0)
    assert graded.status is status, graded.detail
    assert not (tmp_path / "outside").exists()


async def test_there_is_no_history_to_read(instance: Instance, tmp_path: Path) -> None:
    async with placed(instance, tmp_path) as place:
        log = subprocess.run(
            ["git", "log", "--oneline", "--all"], cwd=place.tree, capture_output=True, text=True
        )
        remotes = subprocess.run(["git", "remote"], cwd=place.tree, capture_output=True, text=True)
        assert log.stdout.count("\n") == 1
        assert remotes.stdout == ""
    assert list((tmp_path / "cache/places").iterdir()) == []


@pytest.mark.parametrize(
    ("found", "resolved"),
    [
        ({"made::value": "PASSED", "made::kept": "PASSED"}, True),
        ({"made::value": "XFAIL", "made::kept": "SKIPPED"}, True),
        ({"made::value": "SKIPPED", "made::kept": "PASSED"}, False),
        ({"made::value": "PASSED"}, False),
        ({}, False),
    ],
)
def test_rules_of_the_harness(instance: Instance, found: dict[str, str], resolved: bool) -> None:
    assert judge(instance, found).resolved is resolved


def test_only_failures_count_where_the_set_says_so(instance: Instance) -> None:
    found = {"made::value": "PASSED"}
    assert judge(msgspec.structs.replace(instance, eval_type="fail_only"), found).resolved
