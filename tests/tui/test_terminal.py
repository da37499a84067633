"""The real program in a real terminal (tmux), with a scripted model and both sandboxes."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import CALC, EDIT, READ, SANDBOXES, SUBMIT, TEST, git, scripted, tree
from tests.e2e.conftest import TESTS as TEST_FILE
from tests.scripted_server import ScriptedServer, Turn
from tests.tui.states import HOSTILE
from tests.tui.terminals import Terminal

pytestmark = pytest.mark.tmux
Open = Callable[..., Terminal]
LOOK = Turn(text="I look first.", calls=[("bash", {"command": "ls"})])
SLEEP = Turn(calls=[("bash", {"command": "sleep 47.3"})])
SHOUT = Turn(
    text=HOSTILE.replace("\ud800", ""),
    calls=[("bash", {"command": r"printf '\033[2J\033]0;owned\007\233\342\200\256evil\010\010'; exit 3"})],
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    (path / "calc.py").write_text(CALC)
    (path / "test_calc.py").write_text(TEST_FILE)
    git(path, "init", "-q")
    git(path, "add", "-A")
    git(path, "commit", "-qm", "start")
    return path


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def start(
        repository: Path, server: ScriptedServer | None, *words: str, program: str = "", **named: str
    ) -> Terminal:
        folder = tmp_path / f"terminal{len(opened)}"
        folder.mkdir()
        url = ["--base-url", server.base_url, "--strategy", "agent"] if server else []
        line = " ".join([sys.executable, "-m", "coder", *words, "-C", str(repository), *url])
        root = Path(__file__).resolve().parents[2]
        environ = {"XDG_STATE_HOME": str(tmp_path / "xdg-state"), "PYTHONPATH": str(root), **named}
        opened.append(Terminal(folder, program or line, **environ))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_task_is_steered_approved_interrupted_rewound_and_resumed(
    terminal: Open, repository: Path, sandbox: list[str]
) -> None:
    before = tree(repository)
    turns = [LOOK, READ, EDIT, TEST, SUBMIT, SLEEP]
    with scripted(turns, after="repeat") as server:
        shown = terminal(repository, server, *sandbox, "--mode", "ask")
        shown.shows("? keys")
        shown.write("fix the sign")
        shown.press("Enter")
        shown.shows("May it run this command?")
        shown.shows("1 y once")
        time.sleep(1.0)
        shown.press("n")
        shown.shows("Why not?")
        shown.write("look at calc.py instead")
        shown.press("Enter")
        shown.shows("May it change this file?")
        time.sleep(1.0)
        shown.press("2")
        shown.shows("May it run these tests?")
        time.sleep(1.0)
        shown.press("y")
        shown.shows("Solved")
        assert tree(repository) == before, "nothing reaches the user's files before they say so"
        told = str([request.body for request in server.requests])
        assert "look at calc.py instead" in told

        shown.write("now wait")
        shown.press("Enter")
        shown.shows("sleep 47.3")
        shown.shows("May it run this command?")
        time.sleep(1.0)
        shown.press("1")
        shown.until(lambda text: "May it" not in text)
        shown.write("and hurry")
        shown.press("Enter")
        shown.shows("queued ▸ and hurry")
        shown.press("Escape")
        shown.shows("Interrupted")
        shown.until(lambda text: "and hurry" in text and "queued" not in text)
        shown.press("C-c")
        time.sleep(0.2)
        shown.press("Escape", "Escape")
        shown.shows("Back to before")
        shown.press("Enter")
        shown.until(lambda text: "now wait" in text.splitlines()[-2])
        shown.press("C-c")
        shown.press("C-d")
        shown.shows("EXIT 0")
        assert "I look first." in shown.history, "the transcript stays in the scrollback"

        again = terminal(repository, None, "resume")
        again.shows("Solved")
        again.press("C-d")
        again.shows("EXIT 0")
    assert tree(repository) == before


def test_keys_typed_while_it_starts_are_not_lost(terminal: Open, repository: Path) -> None:
    """Everything is typed before the program has drawn anything; Return sends it, and nothing is echoed."""
    with scripted([SLEEP], after="repeat") as server:
        shown = terminal(repository, server)
        time.sleep(0.25)
        shown.write("fix what")
        shown.write("ever fails")
        shown.press("Enter")
        shown.shows("sleep 47.3")
        assert "fix whatever fails" in str(server.requests[0].body)


def test_nothing_hostile_reaches_the_terminal(terminal: Open, repository: Path) -> None:
    (repository / "\x1b]0;owned\x07.py").write_text("")
    with scripted([SHOUT, SUBMIT], after="repeat") as server:
        shown = terminal(repository, server, "'do it'")
        shown.until(lambda text: "Answered" in text)
        shown.write("look at @own")
        time.sleep(1.0)
        shown.press("C-c")
        shown.press("C-d")
        shown.shows("EXIT 0")
    written = shown.log.read_bytes()
    assert b"owned" in written, "it was shown"
    for sequence in (b"\x1b]0;owned", b"\xc2\x9b", "\u202e".encode(), b"\x08\x08"):
        assert sequence not in written
    left = shown.left_over()
    assert b"\x1b" not in left, left[max(0, left.find(b"\x1b") - 40) :][:120]


def test_random_sizes_never_end_it(terminal: Open, repository: Path) -> None:
    chance = random.Random(11)
    with scripted([LOOK, SLEEP], after="repeat") as server:
        shown = terminal(repository, server, "--mode", "ask", "'do it'")
        shown.shows("May it")
        for _ in range(40):
            shown.resize(chance.randint(2, 200), chance.randint(2, 60))
            shown.press(
                chance.choice(["C-p", "Escape", "?", "PPage", "NPage", "C-o", "C-f", "Down", "M-Up", "x"])
            )
            time.sleep(0.05)
        shown.resize(100, 30)
        shown.press("Escape", "Escape", "Escape")
        shown.until(lambda text: "│ step" in text or "ask │" in text)


def test_words_alone_move_no_cursor(terminal: Open, repository: Path) -> None:
    with scripted([LOOK, EDIT, SUBMIT], after="repeat") as server:
        shown = terminal(repository, server, "--plain", "--mode", "ask", "'fix it'")
        shown.shows("1: yes, once.")
        for _ in range(2):
            time.sleep(0.8)
            shown.write("1")
            shown.press("Enter")
            time.sleep(2)
        shown.shows("olved")
        shown.write("/quit")
        shown.press("Enter")
        shown.shows("EXIT")
    assert b"\x1b" not in shown.log.read_bytes()


@pytest.mark.parametrize(("variable", "value"), [("TERM", "dumb"), ("ACCESSIBLE", "1")])
def test_who_cannot_be_drawn_on_gets_words(
    terminal: Open, repository: Path, variable: str, value: str
) -> None:
    shown = terminal(repository, None, "--base-url", "http://127.0.0.1:9/v1", **{variable: value})
    shown.shows("Write a task and press Return")
    shown.write("/quit")
    shown.press("Enter")
    shown.shows("EXIT 0")
    assert b"\x1b" not in shown.log.read_bytes()


def test_a_redirected_standard_error_is_refused_with_a_sentence(terminal: Open, repository: Path) -> None:
    shown = terminal(
        repository,
        None,
        program=f"{sys.executable} -m coder -C {repository} 2>errors; cat errors",
        PYTHONPATH=str(Path(__file__).resolve().parents[2]),
    )
    shown.shows("standard error is redirected, and the window is drawn there")
    (Path.cwd() / "errors").unlink(missing_ok=True)


def test_the_editor_is_lent_the_terminal_while_the_work_goes_on(
    terminal: Open, repository: Path, tmp_path: Path
) -> None:
    editor = tmp_path / "editor.sh"
    editor.write_text(
        '#!/bin/sh\necho EDITING; sleep 2; printf "%s and more\\n" "$(cat "$1")" >"$1.new"; mv "$1.new" "$1"\n'
    )
    editor.chmod(0o755)
    with scripted([LOOK, SLEEP], after="repeat") as server:
        shown = terminal(repository, server, VISUAL=str(editor))
        shown.shows("? keys")
        shown.write("do this")
        shown.press("C-g")
        shown.shows("EDITING")
        shown.shows("do this and more")
        shown.press("Enter")
        shown.shows("sleep 47.3")
        assert "do this and more" in str(server.requests[0].body)


def test_a_draft_outlives_a_crash(terminal: Open, repository: Path, tmp_path: Path) -> None:
    shown = terminal(
        repository, None, "--session", str(tmp_path / "kept"), "--base-url", "http://127.0.0.1:9/v1"
    )
    shown.shows("? keys")
    shown.write("half a thought")
    draft = tmp_path / "kept" / "draft.txt"
    shown.until(lambda _: draft.exists() and draft.read_text() == "half a thought")
    shown.tmux("kill-session")
    again = terminal(
        repository, None, "--session", str(tmp_path / "kept"), "--base-url", "http://127.0.0.1:9/v1"
    )
    again.shows("half a thought")
