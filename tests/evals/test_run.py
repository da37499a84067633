"""`coder eval run` from outside: a scripted model over HTTP, real sandboxes, real grading."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.evals import made
from tests.scripted_server import ScriptedServer, Turn

STEADY = ("instance", "attempt", "status", "reason", "detail", "patch", "repo", "difficulty", "failed_edits")
"""What of a result does not depend on the clock."""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer([made.answer], after="repeat") as server:
        yield server


def results(output: Path) -> dict[str, dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in output.glob("instances/*/*/result.json")]
    return {f"{each['instance']}/{each['attempt']}": each for each in found}


def steady(output: Path) -> dict[str, dict[str, Any]]:
    return {key: {name: each[name] for name in STEADY} for key, each in results(output).items()}


def report(output: Path, folder: Path) -> dict[str, Any]:
    (found,) = json.loads(made.done(made.words("report", output, "--json"), folder).stdout)
    timed = ("folder", "tokens", "wall", "seconds", "span", "at_once", "server", "settings", "spent")
    return {key: value for key, value in found.items() if key not in timed}


def predicted(output: Path) -> dict[str, str]:
    rows = [json.loads(line) for line in (output / "preds.jsonl").read_text().splitlines()]
    assert len({row["instance_id"] for row in rows}) == len(rows)
    return {row["instance_id"]: row["model_patch"] for row in rows}


def test_every_way_that_an_attempt_ends(server: ScriptedServer, tmp_path: Path) -> None:
    data, output = made.data_set(tmp_path, 10), tmp_path / "out"
    done = made.done(made.run_words(data, output, server.base_url, "--workers", "2"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "resolved 6 of 10 (60.0 %, 95 % interval 31.3-83.2 %)" in done.stdout
    statuses = Counter(each["status"] for each in results(output).values())
    assert statuses == {"resolved": 6, "unresolved": 2, "limit_turns": 2}
    patches = predicted(output)
    assert len(patches) == 10
    assert patches["made__task-4"] == ""
    assert "+right" in patches["made__task-0"]
    assert "[10/10]" in done.stderr


def test_a_limit_still_grades_what_there_is(server: ScriptedServer, tmp_path: Path) -> None:
    data, output = made.data_set(tmp_path, 1), tmp_path / "out"
    made.done(made.run_words(data, output, server.base_url, "--max-turns", "1"), tmp_path)
    (result,) = results(output).values()
    assert result["reason"] == "turns"
    assert result["status"] == "resolved"


def test_the_agent_never_sees_the_hidden_tests(server: ScriptedServer, tmp_path: Path) -> None:
    data = made.data_set(tmp_path, 1)
    made.done(made.run_words(data, tmp_path / "out", server.base_url), tmp_path)
    seen = json.dumps([request.body for request in server.requests])
    assert "value.txt says wrong" in seen
    for hidden in ("made::value", "tests/value.txt", "made__task", "gold"):
        assert hidden not in seen


def test_going_on_runs_nothing_twice(server: ScriptedServer, tmp_path: Path) -> None:
    data, output = made.data_set(tmp_path, 3), tmp_path / "out"
    command = made.run_words(data, output, server.base_url)
    made.done(command, tmp_path)
    before, requests = results(output), len(server.requests)
    again = made.done(command, tmp_path)
    assert again.returncode == 0
    assert results(output) == before
    assert len(server.requests) == requests
    made.done([*command, "--rerun", "unresolved"], tmp_path)
    after = results(output)
    assert [key for key in after if after[key] != before[key]] == ["made__task-2/1"]


def test_settings_are_not_mixed(server: ScriptedServer, tmp_path: Path) -> None:
    data, output = made.data_set(tmp_path, 1), tmp_path / "out"
    command = made.run_words(data, output, server.base_url)
    made.done(command, tmp_path)
    other = made.done([*command, "--thinking", "low"], tmp_path)
    assert other.returncode == 2
    assert "thinking (None there, 'low' now)" in other.stderr
    assert "another folder" in other.stderr
    made.data_set(tmp_path, 2)
    changed = made.done(command, tmp_path)
    assert changed.returncode == 2
    assert "the data set's content" in changed.stderr


def test_a_folder_that_is_something_else_is_left(server: ScriptedServer, tmp_path: Path) -> None:
    data, output = made.data_set(tmp_path, 1), tmp_path / "out"
    output.mkdir()
    (output / "thesis.txt").write_text("mine")
    done = made.done(made.run_words(data, output, server.base_url), tmp_path)
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert [path.name for path in output.iterdir()] == ["thesis.txt"]


def test_several_attempts(server: ScriptedServer, tmp_path: Path) -> None:
    data, output = made.data_set(tmp_path, 3), tmp_path / "out"
    command = made.run_words(data, output, server.base_url, "--attempts", "2", "--workers", "2", "--json")
    (found,) = json.loads(made.done(command, tmp_path).stdout)
    assert found["pass_at"] == {"1": 0.6667, "2": 0.6667}
    assert found["pass_all"] == {"1": 0.6667, "2": 0.6667}
    assert found["best_of"]["resolved"] == 2
    assert found["done"] == 6
    assert (output / "preds-2.jsonl").read_text().count("\n") == 3


def test_candidates_in_each_attempt(server: ScriptedServer, tmp_path: Path) -> None:
    data, output = made.data_set(tmp_path, 3), tmp_path / "out"
    command = made.run_words(data, output, server.base_url, "--candidates", "2")
    done = made.done(command, tmp_path)
    assert done.returncode == 0, done.stderr
    found = results(output)
    assert [found[f"made__task-{number}/1"]["status"] for number in range(3)] == [
        "resolved",
        "resolved",
        "unresolved",
    ]
    journal = (output / "instances/made__task-0/1/journal.jsonl").read_text()
    assert journal.count('"type":"CandidateStarted"') == 2
    assert found["made__task-0/1"]["spent"]["requests"] > 2


def test_a_reviewer_in_each_attempt_and_what_it_refuses_is_graded_all_the_same(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> Turn:
        if "report_review" not in json.dumps(body.get("tools", [])):
            return made.answer(body)
        finding = {"file": "value.txt", "line": 1, "severity": "error", "reason": "no", "quote": "right"}
        return Turn(calls=[("report_review", {"verdict": "REQUEST_CHANGES", "findings": [finding]})])

    data, output = made.data_set(tmp_path, 1), tmp_path / "out"
    with ScriptedServer([answer], after="repeat") as server:
        flags = ["--reviewer", "--max-turns", "30"]
        done = made.done(made.run_words(data, output, server.base_url, *flags), tmp_path)
        assert done.returncode == 0, done.stderr
    (result,) = results(output).values()
    assert (result["status"], result["reason"]) == ("resolved", "review")


def test_a_dead_server_ends_the_run_and_loses_nothing(tmp_path: Path) -> None:
    data, output = made.data_set(tmp_path, 12), tmp_path / "out"
    broken = Turn(status=400, body={"error": {"message": "no such model"}})
    with ScriptedServer([made.answer] * 3 + [broken], after="repeat") as server:
        command = made.run_words(data, output, server.base_url)
        done = made.done(command, tmp_path)
        assert done.returncode == 4, done.stderr
        assert "run the same command again" in done.stderr
        assert 0 < len(results(output)) < 12
        server.turns, server.requests[:] = [made.answer], []
        again = made.done(command, tmp_path)
    assert again.returncode == 0, again.stderr
    assert Counter(each["status"] for each in results(output).values())["resolved"] == 8


def test_ctrl_c_ends_it_and_the_next_start_goes_on(server: ScriptedServer, tmp_path: Path) -> None:
    data, output = made.data_set(tmp_path, 6), tmp_path / "out"
    command = made.run_words(data, output, server.base_url)
    process = subprocess.Popen(command, env=made.environ(tmp_path), stderr=subprocess.PIPE, text=True)
    assert server.wait(lambda: len(server.requests) >= 8, 60)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert list((tmp_path / "cache/coder/evals/places").iterdir()) == []
    kept = results(output)
    assert 0 < len(kept) < 6
    assert made.done(command, tmp_path).returncode == 0
    assert {key: results(output)[key] for key in kept} == kept


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_ten_times_it_comes_to_the_same(server: ScriptedServer, tmp_path: Path) -> None:
    data, whole, cut = made.data_set(tmp_path, 40), tmp_path / "whole", tmp_path / "cut"
    more = ("--workers", "4", "-q")
    assert made.done(made.run_words(data, whole, server.base_url, *more), tmp_path).returncode == 0
    rng = random.Random(5)
    command = made.run_words(data, cut, server.base_url, *more)
    first = len(server.requests)
    for _ in range(10):
        kept = results(cut)
        process = subprocess.Popen(command, env=made.environ(tmp_path))
        until = time.monotonic() + rng.uniform(0.5, 5.0)
        while time.monotonic() < until and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert {key: results(cut)[key] for key in kept} == kept, "what was done was done again"
    last = made.done(command, tmp_path)
    assert last.returncode == 0, last.stderr
    assert steady(cut) == steady(whole)
    assert report(cut, tmp_path) == report(whole, tmp_path)
    assert predicted(cut) == predicted(whole)
    assert list((tmp_path / "cache/coder/evals/places").iterdir()) == []
    begun = Counter(_task(request.body) for request in server.requests[first:] if _is_first(request.body))
    assert max(begun.values()) <= 11
    assert sum(begun.values()) <= 40 + 10 * 4, "only what was cut off is begun again"


def _task(body: dict[str, Any]) -> str:
    text = json.dumps(body["messages"])
    return text[text.index("Task ") :].partition(":")[0]


def _is_first(body: dict[str, Any]) -> bool:
    return not any(message["role"] == "assistant" for message in body["messages"])
