"""The same over the Docker engine: a task, an interruption, a rewind."""

from __future__ import annotations

import pytest

from coder import events
from tests.conftest import IMAGE
from tests.sandboxes import sleepers
from tests.scripted_server import Turn
from tests.session.conftest import MEND, Opener, bash, until

pytestmark = pytest.mark.docker


async def test_a_task_an_interruption_and_a_rewind(open_session: Opener) -> None:
    turns = [*MEND, bash("echo 1 > one.txt; sleep 77.45"), Turn(text="Here.")]
    made = await open_session(turns, sandbox="docker", image=IMAGE)
    await made.task("mend add")
    await made.session.send("wait")
    await until(lambda: bool(sleepers("77.45")))
    await made.session.interrupt()
    assert not sleepers("77.45")
    assert "one.txt" in await made.session.files()
    assert await made.session.rewind(1) == "wait"
    assert "one.txt" not in await made.session.files()
    await made.task("still there?")
    statuses = [event.status for event in made.of(events.RunFinished)]
    assert statuses == ["solved", "interrupted", "answered"]
