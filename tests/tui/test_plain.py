"""The window in words: nothing moves the cursor, every question has numbers, silence is broken."""

from __future__ import annotations

import asyncio
import io
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from coder import events
from coder.tui import plain
from coder.tui.plain import Plain
from coder.workflows.port import Answer, CheckpointInfo, Mode
from tests.tui.ports import CLOCK, ScriptedPort, connecting
from tests.tui.states import COMMAND, EDIT, EDITED, HOSTILE, PLAN, PREPARED, finished


@dataclass
class Spoken:
    port: ScriptedPort
    stream: io.StringIO
    lines: asyncio.Queue[str | None]
    ending: asyncio.Task[int]

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    async def until(self, condition: Callable[[], object], seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"it did not happen: {self.port.asked}\n{self.text}"
            await asyncio.sleep(0.02)

    def say(self, line: str) -> None:
        self.lines.put_nowait(line)

    def asked(self, what: str) -> list[object]:
        return [value for name, value in self.port.asked if name == what]


Speak = Callable[..., AbstractAsyncContextManager[Spoken]]


@pytest.fixture
def spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Speak:
    monkeypatch.setattr(plain, "CALM_SECONDS", 0.0)

    @asynccontextmanager
    async def open_session(*, task: str = "fix it") -> AsyncIterator[Spoken]:
        points = [CheckpointInfo(index=0, time=CLOCK, line="fix it")]
        port = ScriptedPort(script=[PREPARED], points=points)
        stream, lines = io.StringIO(), asyncio.Queue[str | None]()
        session = Plain(connecting(port, tmp_path), stream=stream, task=task)
        ending = asyncio.create_task(session.run(lines))
        found = Spoken(port, stream, lines, ending)
        if task:
            await found.until(lambda: port.busy)
        yield found
        lines.put_nowait("/quit")
        await asyncio.wait_for(ending, 10)

    return open_session


async def test_a_task_is_told_in_words_that_are_never_taken_back(spoken: Speak) -> None:
    async with spoken() as found:
        await found.port.tell(*EDITED, finished("solved", "every gate was passed", 0))
        text = found.text
        assert "Running: tool bash cat calc.py" in text
        assert "Done: tool bash cat calc.py" in text
        assert "Solved" in text
        assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text) is None
        assert not set(text) & set("▸▾●✓✗│─❯")


async def test_hostile_words_stay_words(spoken: Speak) -> None:
    async with spoken() as found:
        await found.port.tell(
            events.Activity(text=HOSTILE),
            events.AssistantMessage(text=HOSTILE, thinking=HOSTILE),
            events.ApprovalRequested(id="h", call="h", tool=HOSTILE, what=HOSTILE, why=HOSTILE, diff=HOSTILE),
        )
        assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u200b]", found.text) is None


@pytest.mark.parametrize(
    ("line", "answer"),
    [("1", Answer.once()), ("y", Answer.once()), ("2", Answer.session()), ("3", Answer.prefix("pytest"))],
)
async def test_questions_have_numbers(spoken: Speak, line: str, answer: Answer) -> None:
    async with spoken() as found:
        await found.port.tell(COMMAND)
        for expected in (
            "Question: bash wants: pytest -q",
            "1: yes, once.",
            "3: yes, every command",
            "4: no.",
        ):
            assert expected in found.text
        found.say(line)
        await found.until(lambda: found.asked("answer") == [("a1", answer)])


async def test_a_no_asks_why_and_an_unclear_answer_asks_again(spoken: Speak) -> None:
    async with spoken() as found:
        await found.port.tell(EDIT)
        for line in ("3", "perhaps", "4", "not this file"):
            found.say(line)
        await found.until(lambda: found.asked("answer") == [("a2", Answer.no("not this file"))])
        assert found.text.count("Question:") == 3


async def test_what_was_typed_before_the_question_is_no_answer(
    spoken: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "CALM_SECONDS", 3600.0)
    async with spoken() as found:
        await found.port.tell(COMMAND)
        found.say("y")
        await found.until(lambda: "too soon" in found.text)
        assert found.asked("answer") == []


async def test_plans_steering_commands_and_rewinding(spoken: Speak) -> None:
    async with spoken() as found:
        found.say("also this")
        await found.until(lambda: found.asked("send") == ["fix it", "also this"])
        for line in ("!ls", "/mode ask", "/mode nonsense", "/think low", "/rewind", "/apply", "/status"):
            found.say(line)
        await found.until(lambda: found.asked("apply") == [False] and "there is no mode" in found.text)
        assert found.asked("shell") == ["ls"]
        assert found.port.mode is Mode.ASK
        assert "0: fix it" in found.text
        found.say("/stop")
        await found.until(lambda: "Not sent: also this" in found.text)
        found.say("/rewind 0")
        await found.until(lambda: found.asked("rewind") == [0])
        await found.port.tell(PLAN)
        found.say("1")
        await found.until(lambda: found.asked("carry_out") == [("\n".join(PLAN.steps), Mode.AUTO)])


async def test_silence_is_broken(spoken: Speak, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "HEARTBEAT_SECONDS", 0.0)
    async with spoken() as found:
        await found.until(lambda: "Still working. Now: reads. Step 1." in found.text)
        assert "It does not enforce memory, cpu." in found.text


async def test_the_end_of_the_lines_waits_for_the_task(spoken: Speak) -> None:
    async with spoken() as found:
        found.lines.put_nowait(None)
        await asyncio.sleep(1.5)
        assert not found.ending.done()
        await found.port.tell(finished("unsolved", "it was not", 1))
        assert await asyncio.wait_for(found.ending, 10) == 1
