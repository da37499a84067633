"""The official harness says the same (swebench 5.x, an extra that most machines do not have)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.grading.outcome import FAILED, PASSED, SKIPPED, XFAIL, judge
from evals.instance import Instance
from tests.conftest import IMAGE
from tests.evals import made
from tests.evals.test_image import SCRIPT
from tests.evals.test_run import results
from tests.scripted_server import ScriptedServer

pytestmark = pytest.mark.swebench
NAMES = ["a.py::t", "a.py::u[1]", "a.py::u[1 2]", "a.py::u[1", "test_x (mod.Case)", "b::[", "b::[x y]"]
LISTS = st.lists(st.sampled_from(NAMES), unique=True)
OUTCOMES = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([PASSED, FAILED, SKIPPED, XFAIL]))


@given(LISTS, LISTS, OUTCOMES, st.sampled_from(["pass_and_fail", "fail_only"]))
def test_the_same_rules(must: list[str], keep: list[str], found: dict[str, str], kind: str) -> None:
    from swebench.harness.constants import EvalType
    from swebench.harness.grading import get_eval_tests_report, get_resolution_status

    keep = [name for name in keep if name not in must]
    official = get_eval_tests_report(
        found, {"FAIL_TO_PASS": must, "PASS_TO_PASS": keep}, eval_type=EvalType(kind)
    )
    ours = judge(
        Instance(id="i", statement="s", fail_to_pass=tuple(must), pass_to_pass=tuple(keep), eval_type=kind),
        found,
    )
    assert list(ours.fail_to_pass_success) == official["FAIL_TO_PASS"]["success"]
    assert list(ours.fail_to_pass_failure) == official["FAIL_TO_PASS"]["failure"]
    assert list(ours.pass_to_pass_success) == official["PASS_TO_PASS"]["success"]
    assert list(ours.pass_to_pass_failure) == official["PASS_TO_PASS"]["failure"]
    assert ours.resolved == (get_resolution_status(official) == "RESOLVED_FULL")


@pytest.mark.docker
@pytest.mark.slow
def test_predictions_from_here_are_graded_alike_there_and_back(tmp_path: Path) -> None:
    """Five tasks in one image of their own: ours run, the official harness on our predictions, ours on the same file."""
    rows, tag = made.rows(tmp_path, 5), "sweb.eval.x86_64.made:latest"
    (tmp_path / "tree").rename(tmp_path / "testbed")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {IMAGE}\nUSER root\nCOPY testbed /testbed\nWORKDIR /testbed\n"
        "RUN git init -q && git config user.email a@b && git config user.name a && git add -A && git commit -qm base\n"
    )
    words = ["docker", "build", "--quiet", "--network", "none", "--tag", tag, str(tmp_path)]
    subprocess.run(words, check=True, capture_output=True)
    script = SCRIPT.replace('test "$MARK" = set && test -f made.so && ', "").replace("abc123", "HEAD")
    script = script.replace(". /etc/profile.d/task.sh\n", "").replace(
        made.TESTED, f"{made.TESTED}; sh /tmp/log.sh"
    )
    told = "for n in value kept; do t=tests/$n.txt; if [ $n = kept ] || cmp -s $t value.txt; then echo PASSED made::$n; else echo FAILED made::$n; fi; done"
    script = script.replace("sh /tmp/log.sh", told)
    for row in rows:
        del row["environment"]
        row |= {
            "image": tag,
            "eval_script": script,
            "log_parser": "parse_log_pytest",
            "eval_type": "pass_and_fail",
            "base_commit": "HEAD",
            "version": "1",
            "hints_text": "",
            "created_at": "2026-01-01T00:00:00Z",
            "PASS_TO_PASS": json.dumps(row["PASS_TO_PASS"]),
        }
    data = tmp_path / "official.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with ScriptedServer([made.answer], after="repeat") as server:
        run = made.run_words(
            data, tmp_path / "out", server.base_url, "--sandbox", "docker", "-q", "--name", "ours"
        )
        done = made.done(run, tmp_path)
    assert done.returncode == 0, done.stderr
    ours = {each["instance"]: each["status"] == "resolved" for each in results(tmp_path / "out").values()}
    assert sum(ours.values()) == 3
    assert official(data, tmp_path / "out/preds.jsonl", tmp_path) == {
        name for name, good in ours.items() if good
    }
    again = made.words(
        "grade", data, tmp_path / "out/preds.jsonl", "-o", tmp_path / "again", "--sandbox", "docker"
    )
    assert "3 of 5 resolved" in made.done(again, tmp_path).stdout


def official(data: Path, predictions: Path, folder: Path) -> set[str]:
    """What the official harness resolves."""
    program = Path(sys.executable).with_name("swebench")
    words = [str(program), "eval", str(data), "-p", str(predictions), "--run-id", "parity", "-j", "2"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = [
        found for path in folder.glob("*.json") if "resolved_ids" in (found := json.loads(path.read_text()))
    ]
    resolved: list[Any] = report["resolved_ids"]
    return set(resolved)
