"""Ctrl-C at any moment: the user's tree as it was, exit status 130, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from coder import sessions
from tests.e2e.conftest import EDIT, LIST, SOLVES, TEST, command, scripted, tree
from tests.scripted_server import ScriptedServer, Turn

SLEEP = Turn(calls=[("bash", {"command": "sleep 61.8"})])


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)


def sleeping() -> bool:
    return subprocess.run(["pgrep", "-f", "sleep 61.8"], capture_output=True, check=False).returncode == 0


MOMENTS = [
    pytest.param([Turn(text="x", delay=30)], lambda server: len(server.requests) == 1, id="the model reads"),
    pytest.param(
        [Turn(text="x" * 400, pause=0.2)], lambda server: len(server.requests) == 1, id="the model writes"
    ),
    pytest.param([SLEEP], lambda server: sleeping(), id="a command runs"),
    pytest.param(
        [LIST, EDIT, TEST, Turn(text="", delay=30)],
        lambda server: len(server.requests) == 4,
        id="after edits",
    ),
]


@pytest.mark.parametrize(("turns", "moment"), MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_everything_as_it_was(
    repository: Path, turns: list[Turn], moment: Callable[[ScriptedServer], bool], number: signal.Signals
) -> None:
    before = tree(repository)
    with scripted(turns, after="repeat") as server:
        process = subprocess.Popen(
            command(repository, server, "--apply"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_until(lambda: moment(server))
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert '"status": "interrupted"' in stdout
    assert tree(repository) == before
    assert not sleeping()
    runs = sessions.home(os.environ)
    assert [path.name for path in runs.glob("*/workspace")] == []


@pytest.mark.parametrize("after", [0.05, 0.15, 0.3, 0.5, 0.7, 0.9, 1.2])
def test_at_any_moment_of_the_start(repository: Path, after: float) -> None:
    before = tree(repository)
    with scripted(SOLVES, after="repeat") as server:
        words = command(repository, server, "--headless")
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode in (130, -signal.SIGINT), (
        stderr
    )  # before Python is up, the signal itself ends it
    assert "Traceback" not in stderr or process.returncode == -signal.SIGINT
    assert tree(repository) == before


def test_a_second_ctrl_c_ends_it_at_once(repository: Path) -> None:
    with scripted([SLEEP], after="repeat") as server:
        process = subprocess.Popen(
            command(repository, server), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(sleeping)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) in (130, -signal.SIGINT)
        wait_until(lambda: not sleeping(), 5)
