"""`coder doctor` from outside: what it prints where, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

from tests.doctor.support import Served, serving
from tests.scripted_server import ScriptedServer, Turn


def doctor(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coder", "doctor", "--no-sandbox", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def examined(served: Served, *words: str) -> subprocess.CompletedProcess[str]:
    with serving(served) as server:
        return doctor("--base-url", server.base_url, *words)


def test_all_is_well_with_a_healthy_server() -> None:
    done = examined(Served())
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ok          server: vllm 0.32.0, model nemotron-3-super")
    assert lines[-1].startswith("12 ok; ")
    assert "probing tool calls" in done.stderr
    assert "probing" not in done.stdout


def test_a_fault_is_told_with_its_cost_and_its_flag_and_changes_the_status() -> None:
    done = examined(Served(calls="refused"), "--quick")
    assert done.returncode == 1
    assert "broken      tool calls: tools are refused" in done.stdout
    assert "            costs: the agent cannot work here" in done.stdout
    assert "            fix: start vLLM with --enable-auto-tool-choice" in done.stdout


def test_json_is_one_object_and_nothing_else() -> None:
    done = examined(Served(), "--json")
    assert done.returncode == 0
    result: dict[str, Any] = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert set(result) == {
        "version",
        "endpoint",
        "backend",
        "backend_version",
        "model",
        "context_length",
        "rows",
        "speed",
        "error",
    }
    assert (result["backend"], result["backend_version"], result["error"]) == ("vllm", "0.32.0", None)
    assert len(result["rows"]) == 12
    for row in result["rows"]:
        assert set(row) == {"probe", "verdict", "seen", "cost", "fix", "seconds", "figures"}
        assert row["verdict"] == "ok"
    assert result["speed"]["together"] == 8


def test_verbose_adds_times_and_figures() -> None:
    done = examined(Served(), "--quick", "-v")
    assert "pieces 14" in done.stdout


def test_without_a_server_the_status_is_4() -> None:
    done = doctor("--base-url", "http://127.0.0.1:9/v1")
    assert (done.returncode, done.stdout) == (4, "")
    assert "no model server answers at http://127.0.0.1:9/v1" in done.stderr


def test_without_a_server_json_says_so_too() -> None:
    done = doctor("--base-url", "http://127.0.0.1:9/v1", "--json")
    assert done.returncode == 4
    result = json.loads(done.stdout)
    assert (result["endpoint"], result["rows"]) == (None, [])
    assert "no model server answers" in result["error"]


def test_wrong_usage_is_status_2() -> None:
    assert doctor("--timeout", "0").returncode == 2
    assert doctor("--base-url", "ftp://x").returncode == 2
    assert doctor("--profile", "no-such").returncode == 2


def test_what_the_server_says_cannot_steer_the_terminal() -> None:
    refusal = Turn(
        status=400, body={"error": {"message": "no \u202etools\x1b[2J here\n\nok  all: well", "code": 400}}
    )
    with ScriptedServer([refusal], after="repeat", model="evil\x1b]0;x\x07") as server:
        done = doctor("--base-url", server.base_url, "--quick")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    assert "\u202e" not in done.stdout
    assert "\nok  all" not in done.stdout


def test_ctrl_c_ends_it_with_what_was_found_so_far() -> None:
    with ScriptedServer([Turn(text="x" * 100, hang_after=2)], after="repeat") as server:
        command = [sys.executable, "-m", "coder", "doctor", "--base-url", server.base_url, "--json"]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not server.requests:
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert running.returncode == 130
    result = json.loads(out)
    assert [row["probe"] for row in result["rows"]] == ["server"]
    assert result["error"] == "interrupted"
    assert "Traceback" not in err
