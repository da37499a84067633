"""A model server that misbehaves costs a clear message and nothing else."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.e2e.conftest import EDIT, SOLVES, Coder, scripted, tree
from tests.scripted_server import Turn


class Nowhere:
    """A port on which nobody listens."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.base_url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


def test_nobody_listens(repository: Path, coder: Coder) -> None:
    before = tree(repository)
    done = coder(Nowhere())
    assert (done.exit, done.result["status"]) == (4, "model")
    assert "no model server answers" in done.result["sentence"]
    assert "coder serve" in done.result["sentence"]
    assert tree(repository) == before


BROKEN = [
    pytest.param(Turn(text="x" * 80, die_after=3), id="dies in the middle of an answer"),
    pytest.param(
        Turn(body="<html>Bad gateway</html>", content_type="text/html"), id="answers with a web page"
    ),
    pytest.param(
        Turn(body=b"\x00\xff\xfe garbage", content_type="text/event-stream"), id="answers with garbage"
    ),
    pytest.param(Turn(text="x" * 80, error_after=3), id="its engine dies"),
    pytest.param(Turn(status=400, body={"error": {"message": "no \x1b[31m way"}}), id="refuses"),
]


@pytest.mark.parametrize("turn", BROKEN)
def test_a_broken_answer_ends_with_status_4(repository: Path, coder: Coder, turn: Turn) -> None:
    before = tree(repository)
    with scripted([turn], after="repeat") as server:
        done = coder(server, "--apply")
    assert (done.exit, done.result["status"]) == (4, "model"), done.result
    assert "\x1b" not in done.result["sentence"] + done.stderr
    assert tree(repository) == before


def test_what_was_done_until_then_is_kept(repository: Path, coder: Coder, tmp_path: Path) -> None:
    patch = tmp_path / "attempt.diff"
    with scripted([EDIT, Turn(status=400, body={"error": {"message": "no"}})]) as server:
        done = coder(server, "--patch", str(patch))
    assert done.exit == 4
    assert "+    return a + b" in patch.read_text()


def test_one_broken_answer_is_survived(coder: Coder) -> None:
    with scripted([Turn(text="x" * 80, die_after=3), *SOLVES]) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr
    assert "retry" in done.stderr


def test_a_full_context_is_masked_and_the_run_goes_on(coder: Coder) -> None:
    looks = [Turn(calls=[("bash", {"command": f"echo {n}; cat calc.py"})]) for n in range(12)]
    with scripted([*looks, Turn(overflow=True), *SOLVES]) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr
    assert "left out to make room" in done.stderr
