"""No sandbox, as asked for: what is kept all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.unconfined import Unconfined
from tests.sandboxes import SMALL, make_workspace, sleepers, text


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Unconfined]:
    workspace = make_workspace(tmp_path)
    sandbox = Unconfined(workspace, SMALL)
    await sandbox.start()
    yield sandbox
    await sandbox.close()
    workspace.close()


async def test_it_promises_nothing(bare: Unconfined) -> None:
    assert not any(item.enforced for item in bare.guarantees())


async def test_commands_run_in_the_copy_under_the_name_that_models_know(bare: Unconfined) -> None:
    assert text(await bare.run("cat /workspace/calc.py | head -1; pwd", timeout=10)).splitlines() == [
        "def add(a, b):",
        "/workspace",
    ]
    assert (await bare.run("echo x > /workspace/new; cd /tmp; ls /workspace-not-this", timeout=10)).exit == 2
    assert bare.workspace.exists("new")


async def test_none_of_the_environment_is_handed_on(
    bare: Unconfined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2")
    answer = text(await bare.run("env; echo $GIVEN", timeout=10, env={"GIVEN": "x"}))
    assert "hunter2" not in answer
    assert answer.endswith("x")


async def test_input_status_and_flood(bare: Unconfined) -> None:
    assert (await bare.run("read x; exit $x", timeout=10, stdin=b"7\n")).exit == 7
    assert (await bare.run("kill -9 $$", timeout=10)).exit == 137
    assert (await bare.run("yes", timeout=20)).killed == "output"


async def test_what_it_started_ends_with_it(bare: Unconfined) -> None:
    result = await bare.run("setsid sleep 1041.1 & (setsid sh -c 'sleep 1041.2' &) ; sleep 0.2", timeout=10)
    assert result.ok
    assert not sleepers("1041.")
    assert (await bare.run("trap '' TERM; sleep 1041.3", timeout=0.3)).timed_out
    running = asyncio.create_task(bare.run("sleep 1041.4", timeout=60))
    await asyncio.sleep(0.3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not sleepers("1041.")


async def test_only_its_own_places_are_left_behind(bare: Unconfined) -> None:
    await bare.run("echo x > ~/x; echo x > $TMPDIR/y", timeout=10)
    await bare.reset()
    assert text(await bare.run("ls ~ $TMPDIR | grep '[xy]$'", timeout=10)) == ""
    state = bare.workspace.root.parent
    await bare.close()
    assert not list(state.glob("scratch-*"))
