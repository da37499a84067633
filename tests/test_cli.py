"""The command line as a contract: words, statuses, and where output goes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from coder.cli import cli


def coder(*words: str, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coder", *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.parametrize("words", [["--help"], ["-h"], *[[name, "--help"] for name in cli.commands]])
def test_help_teaches(words: list[str]) -> None:
    done = coder(*words)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ")


def test_every_option_says_what_it_does() -> None:
    for command in cli.commands.values():
        for parameter in command.params:
            if parameter.param_type_name == "option" and "--output-format" not in parameter.opts:
                assert getattr(parameter, "help", ""), f"{command.name} {parameter.opts}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fix"], "Missing argument 'TASK'"),
        (["fix", " "], "the task is empty"),
        (["fix", "x", "--sandbox", "none"], "is spelled --unsafe-no-sandbox"),
        (["fix", "x", "--max-turns", "many"], "not a valid integer"),
        (["fix", "x", "--max-turns", "-1"], "must not be negative"),
        (["fix", "x", "--thinking", "hard"], "must be off, low, full or a number"),
        (["fix", "x", "-C", "/nowhere"], "/nowhere is not a directory"),
        (["no-such-command"], "No such command"),
        (["fxi", "failing test"], "No such command 'fxi'"),
        ([], "there is no terminal to talk in"),
        (["--plain"], "there is no terminal to talk in"),
        (["resume"], "there are no runs yet"),
        (["show", "20200101"], "there is no run '20200101'"),
        (["show"], "there are no runs yet"),
    ],
)
def test_wrong_usage_is_a_sentence_and_status_2(words: list[str], message: str, tmp_path: Path) -> None:
    done = coder(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_without_runs_the_list_says_so() -> None:
    assert coder("sessions").stdout == "No runs yet.\n"


def test_a_run_that_failed_is_listed_and_shown(tmp_path: Path) -> None:
    failed = coder(
        "fix", "-", "--base-url", "http://127.0.0.1:9/v1", "-q", stdin="it fails\x1b[2J\n", cwd=tmp_path
    )
    assert failed.returncode == 4
    assert failed.stderr == ""
    listed = coder("sessions").stdout
    assert " model " in listed
    assert "it fails" in listed
    shown = coder("show", listed.split()[0]).stdout
    assert "The model server failed: no model server answers" in shown
    assert "\x1b" not in listed + shown
    assert coder("show", "--output-format", "json").stdout.startswith('{"version"')


def test_the_version() -> None:
    assert coder("--version").stdout.startswith("coder, version ")


def test_words_that_are_no_command_are_a_task(tmp_path: Path) -> None:
    """Without a terminal nobody is there: it is run unattended, as `coder run` would."""
    for words in (["write tests"], ["please", "write", "tests"], ["--max-turns", "3", "write tests"]):
        done = coder(*words, "--base-url", "http://127.0.0.1:9/v1", cwd=tmp_path)
        assert done.returncode == 4, done.stderr
        assert "run: " in done.stderr
        assert "write tests" in done.stderr


def test_the_window_is_not_loaded_where_nobody_sees_it() -> None:
    script = "import sys; from coder.start import start; from coder.attended import face_of; print(face_of({}, {})); print('textual' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True
    )
    assert done.stdout.split() == ["unattended", "False"]
