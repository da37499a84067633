"""A made-up data set of quick tasks, and a scripted model whose answers depend on the conversation alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.scripted_server import Turn

CHECK = """import os, pathlib
names = sorted(path.stem for path in pathlib.Path("tests").glob("*.txt"))
cases = []
for name in names:
    wanted = pathlib.Path(f"tests/{name}.txt").read_text()
    good = pathlib.Path("value.txt").read_text() == wanted if name.startswith("value") else pathlib.Path("kept.txt").exists()
    cases.append(f'<testcase classname="made" name="{name}">' + ("" if good else "<failure/>") + "</testcase>")
report = "<testsuite>" + "".join(cases) + "</testsuite>"
pathlib.Path(os.environ.get("CODER_JUNIT", "/dev/null")).write_text(report)
raise SystemExit("failure" in report)
"""
TESTED = "python3 check.py"
HIDDEN = """diff --git a/tests/value.txt b/tests/value.txt
new file mode 100644
--- /dev/null
+++ b/tests/value.txt
@@ -0,0 +1 @@
+right
"""
GOLD = """diff --git a/value.txt b/value.txt
--- a/value.txt
+++ b/value.txt
@@ -1 +1 @@
-wrong
+right
"""
OUTCOMES = ("right", "right", "other", "right", "nothing")
"""What the scripted model does with task N: OUTCOMES[N % 5]."""


def rows(folder: Path, count: int) -> list[dict[str, Any]]:
    """Tasks whose value.txt must say `right`, over one tree in `folder`."""
    tree = folder / "tree"
    (tree / "tests").mkdir(parents=True, exist_ok=True)
    (tree / "check.py").write_text(CHECK)
    (tree / "value.txt").write_text("wrong\n")
    (tree / "kept.txt").write_text("kept\n")
    (tree / "tests/kept.txt").write_text("kept\n")
    environment = {"source": {"kind": "directory", "path": str(tree)}, "test_command": TESTED}
    return [
        {
            "instance_id": f"made__task-{number}",
            "repo": f"made/{'odd' if number % 2 else 'even'}",
            "problem_statement": f"Task {number}: value.txt says wrong.",
            "patch": GOLD,
            "test_patch": HIDDEN,
            "FAIL_TO_PASS": json.dumps(["made::value"]),
            "PASS_TO_PASS": ["made::kept"],
            "difficulty": "easy" if number < count / 2 else "hard",
            "environment": environment,
        }
        for number in range(count)
    ]


def data_set(folder: Path, count: int) -> Path:
    """The same as a file."""
    path = folder / "made.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(folder, count)))
    return path


def task_of(body: dict[str, Any]) -> int:
    """The number of the task that a request is about."""
    found = re.search(r"Task (\d+):", json.dumps(body["messages"]))
    assert found is not None
    return int(found[1])


def answer(body: dict[str, Any]) -> Turn:
    """Edit, then submit. How far it is, the messages say, so that any number of attempts may go on at once."""
    number = task_of(body)
    said = sum(message["role"] == "assistant" for message in body["messages"])
    outcome = OUTCOMES[number % len(OUTCOMES)]
    if outcome == "nothing":
        return Turn(calls=[("bash", {"command": f"cat value.txt # {said}"})])
    if said == 0:
        return Turn(calls=[("bash", {"command": f"echo {outcome} > value.txt"})])
    if said == 1:
        return Turn(calls=[("run_tests", {})])
    return Turn(calls=[("submit", {"summary": "value.txt says it now"})])


def words(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "coder", "eval", *map(str, arguments)]


def run_words(data: Path, output: Path, base_url: str, *more: str) -> list[str]:
    limits = ["--max-turns", "4", "--test", TESTED, "--strategy", "agent"]
    return words("run", data, "-o", output, "--base-url", base_url, *limits, *more)


def environ(folder: Path) -> dict[str, str]:
    """With a cache and a state of its own."""
    return {
        **os.environ,
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }


def done(command: list[str], folder: Path, timeout: float = 240.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environ(folder), capture_output=True, text=True, timeout=timeout)
