"""Going back, and going on: rewind, undo, resume after a kill, fork."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from coder import events, sessions
from coder.errors import UsageError
from coder.journal import FILE, load
from coder.workflows.port import Mode
from tests.agent.test_prefix import rendered
from tests.e2e.test_interrupt import wait_until
from tests.sandboxes import sleepers
from tests.scripted_server import ScriptedServer, Turn
from tests.session.conftest import (
    MEND,
    Opener,
    bash,
    edit,
    remembered,
    same_as_live,
    until,
)

END = Turn(text="That is all.")


async def test_rewinding_restores_the_files_and_cuts_the_conversation(open_session: Opener) -> None:
    turns = [*MEND, bash("echo 1 > one.txt; rm calc.py"), END, Turn(text="Again."), Turn(text="New.")]
    made = await open_session(turns, profile="nemotron-3-super")
    await made.task("mend add")
    await made.task("second\nwith two lines")
    await made.task("third")
    points = made.session.checkpoints()
    assert [(p.index, p.line, p.paths) for p in points] == [
        (0, "mend add", ("calc.py",)),
        (1, "second", ("calc.py", "one.txt")),
        (2, "third", ()),
    ]
    assert await made.session.rewind(1) == "second\nwith two lines"
    assert "a + b" in made.copy("calc.py")
    assert "one.txt" not in await made.session.files()
    assert len(made.session.checkpoints()) == 1
    before = made.bodies()[3]
    await made.task("another second")
    after = made.bodies()[-1]
    assert after["messages"][:-1] == before["messages"][:-1]
    assert after["messages"][-1]["content"] == "another second"
    shared = rendered(before).partition("second")[0]
    assert rendered(after).startswith(shared)
    assert remembered(made.folder) == made.session._memory
    assert same_as_live(made)


async def test_rewinding_to_the_first_message_gives_the_untouched_copy(open_session: Opener) -> None:
    made = await open_session([*MEND, END])
    await made.task("mend add")
    assert await made.session.rewind(0) == "mend add"
    assert "a - b" in made.copy("calc.py")
    await made.task("again")
    assert [m["role"] for m in made.bodies()[-1]["messages"]] == ["system", "user"]


async def test_what_cannot_be_gone_back_to(open_session: Opener) -> None:
    made = await open_session([bash("sleep 1.7"), END])
    with pytest.raises(UsageError, match="no message 0"):
        await made.session.rewind(0)
    await made.session.send("go")
    await until(lambda: bool(made.of(events.ToolStarted)))
    for going in (made.session.rewind(0), made.session.undo(), made.session.apply()):
        with pytest.raises(UsageError, match="has to wait"):
            await going
    await made.done()


async def test_undo_and_redo_step_through_the_tasks_that_changed_files(open_session: Opener) -> None:
    turns = [*MEND, END, bash("echo 1 > one.txt"), END, END]
    made = await open_session(turns)
    for text in ("mend add", "nothing", "a file"):
        await made.task(text)
    undo, redo = made.session.undo, made.session.redo
    assert await redo() == "There is nothing to redo."
    assert await undo() == "The changes were taken back: one.txt"
    assert await undo() == "The changes were taken back: calc.py"
    assert "a - b" in made.copy("calc.py")
    assert await undo() == "There is nothing to undo."
    assert await redo() == "The changes were made again: calc.py"
    assert "a + b" in made.copy("calc.py")
    await made.task("what now?")
    assert (
        "[The user has redone changes; now different: calc.py]"
        in made.bodies()[-1]["messages"][-1]["content"]
    )
    assert await redo() == "The changes were made again: one.txt"
    assert remembered(made.folder) == made.session._memory


async def test_a_change_after_an_undo_ends_the_way_forward(open_session: Opener) -> None:
    made = await open_session([*MEND, edit("a - b", "b - a"), END])
    await made.task("mend add")
    await made.session.undo()
    await made.task("other way")
    assert await made.session.redo() == "There is nothing to redo."
    assert await made.session.undo() == "The changes were taken back: calc.py"
    assert "a - b" in made.copy("calc.py")


async def test_a_session_goes_on_where_it_was_closed(open_session: Opener) -> None:
    first = await open_session([*MEND, bash("echo 1 > one.txt"), END])
    await first.task("mend add")
    await first.task("a file")
    first.session.set_mode(Mode.EDITS)
    await first.session.rename("adding")
    await first.session.close()
    again = await open_session([Turn(text="Here I am.")])
    assert (again.session.mode, again.session.title) == (Mode.EDITS, "adding")
    assert "a + b" in again.copy("calc.py")
    assert again.copy("one.txt") == "1\n"
    await again.task("still there?")
    sent = again.bodies()[0]["messages"]
    before = first.bodies()[-1]["messages"]
    assert sent[: len(before)] == before
    numbers = [event.seq for event in load(again.folder / FILE)]
    assert numbers == sorted(set(numbers))
    assert await again.session.rewind(1) == "a file"
    assert "one.txt" not in await again.session.files()
    assert await again.session.undo() == "The changes were taken back: calc.py"
    assert same_as_live(again)


async def test_what_the_user_changed_meanwhile_stays(open_session: Opener, repository: Path) -> None:
    (repository / "far.py").write_text("top = 1\n\n\n\n\n\nend = 1\n")
    (repository / "gone.py").write_text("x = 1\n")
    script = "sed -i 's/end = 1/end = 2/' far.py; echo new > new.txt; echo y >> gone.py; sed -i 's/a - b/a + b/' calc.py"
    first = await open_session([bash(script), END])
    await first.task("go")
    await first.session.close()
    (repository / "far.py").write_text("top = 3\n\n\n\n\n\nend = 1\n")
    (repository / "calc.py").write_text("def add(a, b):\n    return sum((a, b))\n")
    (repository / "gone.py").unlink()
    again = await open_session([])
    assert again.copy("far.py") == "top = 3\n\n\n\n\n\nend = 2\n"
    assert again.copy("new.txt") == "new\n"
    assert "sum" in again.copy("calc.py")
    (warning,) = again.of(events.Warning)
    assert "calc.py" in warning.text
    assert "gone.py" in warning.text
    kept = [path.read_text() for path in (again.folder / "conflicts").iterdir()]
    assert sorted(kept) == ["def add(a, b):\n    return a + b\n", "x = 1\ny\n"]


async def test_a_session_that_is_open_cannot_be_opened_again(open_session: Opener) -> None:
    made = await open_session([])
    with pytest.raises(UsageError, match="open elsewhere"):
        await open_session([])
    with pytest.raises(UsageError, match="open elsewhere"):
        sessions.delete(made.folder)


async def test_a_fork_leaves_the_original_alone(open_session: Opener) -> None:
    first = await open_session([*MEND])
    await first.task("mend add")
    await first.session.close()
    before = {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    run = sessions.fork(first.folder.parent, first.folder)
    other = await open_session([bash("rm calc.py"), END], name=run)
    assert "a + b" in other.copy("calc.py")
    await other.task("remove it")
    await other.session.close()
    assert {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()} == before
    assert other.bodies()[0]["messages"][:-1] == remembered(first.folder).messages
    assert sessions.state_of(other.folder).run == run
    assert sessions.state_of(first.folder).tasks == 1
    sessions.rename(first.folder, "the first")
    assert sessions.title_of(sessions.state_of(first.folder)) == "the first"
    assert sessions.title_of(sessions.state_of(other.folder)) == "mend add"
    sessions.delete(first.folder)
    assert [folder.name for folder in sessions.recent(first.folder.parent)] == [run]


KILLED = """
import asyncio, sys
from pathlib import Path
from coder import config
from coder.workflows.request import Request
from coder.workflows.session import Session

async def main():
    repository, folder, url = sys.argv[1:]
    flags = {"base_url": url, "sandbox": "bubblewrap"}
    session = Session(Request(task="", workflow="run", directory=Path(repository), session=Path(folder),
        config=config.load(project=None, flags=flags, environ={}), state=Path(folder), run=Path(folder).name))
    await session.open()
    await session.send("mend add")
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("moment", ["the model answers", "a command runs"])
async def test_after_a_kill_messages_and_files_are_the_same(
    open_session: Opener, repository: Path, tmp_path: Path, moment: str
) -> None:
    folder = tmp_path / "runs" / "killed"
    last = bash("sleep 75.43") if moment == "a command runs" else Turn(text="x" * 400, pause=0.1)
    with ScriptedServer([edit("a - b", "a + b"), bash("echo 1 > one.txt"), last]) as server:
        process = subprocess.Popen([sys.executable, "-c", KILLED, repository, folder, server.base_url])
        try:
            wait_until(lambda: len(server.requests) == 3, 60)
            kept = re.compile(rb'"Checkpoint"[^}]*one\.txt')
            wait_until(lambda: bool(kept.search((folder / FILE).read_bytes())))
            if moment == "a command runs":
                wait_until(lambda: bool(sleepers("75.43")))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        sent = server.requests[-1].body["messages"]
    again = await open_session([Turn(text="Here I am.")], name="killed")
    assert again.copy("one.txt") == "1\n"
    assert "a + b" in again.copy("calc.py")
    assert again.of(events.RunFinished)[0].status == "interrupted"
    assert again.session.past == list(load(folder / FILE)), "a window that listens from now on misses nothing"
    await again.task("go on")
    after = again.bodies()[0]["messages"]
    assert after[: len(sent)] == sent
    rest = [message["role"] for message in after[len(sent) :]]
    call = ["assistant", "tool"] if moment == "a command runs" else []
    assert rest == [*call, "assistant", "user"]
    assert remembered(folder) == again.session._memory


async def test_a_journal_of_an_unattended_run_can_be_gone_on_with(
    open_session: Opener, repository: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "one"
    with ScriptedServer(MEND) as server:
        words = [
            "run",
            "mend add",
            "-C",
            str(repository),
            "--base-url",
            server.base_url,
            "--session",
            str(folder),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "coder", *words, "--apply", "--output-format", "json", "--strategy", "agent"],
            capture_output=True, text=True, check=False, env=os.environ, timeout=120,
        )  # fmt: skip
        assert json.loads(done.stdout)["status"] == "solved", done.stderr
        sent = server.requests[-1].body["messages"]
    again = await open_session([Turn(text="Here I am.")])
    await again.task("what did you do?")
    assert again.bodies()[0]["messages"][: len(sent)] == sent
    assert "a + b" in again.copy("calc.py")


async def test_a_run_that_is_still_at_work_is_left_alone(open_session: Opener, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / FILE).touch()
    owner = "from sandbox.owner import me; print(me(), end='', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", owner], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        (folder / "owner").write_bytes(process.stdout.read1())
        for refused in (sessions.delete, sessions.refuse_in_use):
            with pytest.raises(UsageError, match="still at work"):
                refused(folder)
        with pytest.raises(UsageError, match="still at work"):
            await open_session([])
        process.communicate(b"\n")
    sessions.delete(folder)
    assert not folder.exists()
