"""Every key of the table, pressed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from coder import events, sessions
from coder.errors import ConfigError
from coder.journal import FILE, Journal
from coder.tui.keymap import ACTIONS, Keymap, as_markdown, slash_command
from coder.workflows.port import Answer, CheckpointInfo, Mode
from tests.tui.conftest import Show
from tests.tui.ports import CLOCK, ScriptedPort
from tests.tui.shown import Shown, pressed
from tests.tui.states import CANDIDATES, COMPARED, DIFF, REVIEWED

RUNNING: list[events.Event] = [events.RunStarted(task="fix it", workflow="fix", repository="/proj")]
COMMAND = events.ApprovalRequested(
    id="a1", call="c1", tool="bash", what="pytest -q", cwd="/workspace", why="commands ask", prefix="pytest"
)
EDIT = events.ApprovalRequested(id="a2", call="c2", tool="str_replace_editor", what="calc.py", diff="-a\n+b")
PLAN = events.PlanProposed(text="First\nThen", steps=("First", "Then"))
ANSWER = events.AssistantMessage(text="I found it.")

SCENARIOS: dict[str, Callable[[Shown], Awaitable[None]]] = {}


def key(name: str) -> Callable[[Callable[[Shown], Awaitable[None]]], None]:
    def keep(scenario: Callable[[Shown], Awaitable[None]]) -> None:
        SCENARIOS[name] = scenario

    return keep


@pytest.mark.parametrize("action", [action.id for action in ACTIONS if action.keys])
async def test_key(action: str, show: Show, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    points = [CheckpointInfo(index=0, time=CLOCK, line="fix it", paths=("calc.py",))]
    async with show(
        ScriptedPort(script=[RUNNING], points=points, paths=["calc.py", "test_calc.py"])
    ) as shown:
        await SCENARIOS[action](shown)


async def start(shown: Shown) -> None:
    """A task that runs."""
    await shown.write("fix it")
    await shown.press("enter")
    await shown.until(lambda: shown.port.busy)


@key("send")
async def _(shown: Shown) -> None:
    await start(shown)
    assert (shown.written, shown.asked("send")) == ("", ["fix it"])
    await shown.write("also this")
    await shown.press("enter")
    assert shown.asked("send") == ["fix it", "also this"]
    assert "queued ▸ also this" in shown.text


@key("hold")
async def _(shown: Shown) -> None:
    await start(shown)
    await shown.write("afterwards")
    await shown.press("tab")
    assert shown.asked("hold") == ["afterwards"]
    assert "queued ▸ afterwards" in shown.text
    await shown.write("look at @tca")
    await shown.until(lambda: any(row == " test_calc.py" for row in shown.rows))
    await shown.press("tab")
    assert shown.written == "look at @test_calc.py "


@key("newline")
async def _(shown: Shown) -> None:
    for name in ("shift+enter", "ctrl+j", "alt+enter"):
        await shown.press("x", name)
    assert shown.written == "x\nx\nx\n"


@key("earlier")
async def _(shown: Shown) -> None:
    await start(shown)
    await shown.write("also this")
    await shown.press("enter", "up")
    assert (shown.written, shown.port.waiting) == ("also this", [])
    assert "queued" not in shown.text
    await shown.press("ctrl+c", "up", "up")
    assert shown.written == "fix it"


@key("later")
async def _(shown: Shown) -> None:
    await start(shown)
    await shown.write("half")
    await shown.press("up")
    assert shown.written == "fix it"
    await shown.press("down")
    assert shown.written == "half"


@key("history")
async def _(shown: Shown) -> None:
    await start(shown)
    await shown.write("second")
    await shown.press("enter", "ctrl+r")
    await shown.write("fix")
    await shown.press("enter")
    assert shown.written == "fix it"


@key("editor")
async def _(shown: Shown) -> None:
    await shown.write("this")
    await shown.press("ctrl+g")
    await shown.until(lambda: "cannot be lent" in shown.text)
    assert shown.written == "this", "without a terminal there is no editor, and nothing is lost"


@key("clear")
async def _(shown: Shown) -> None:
    await shown.write("nonsense")
    await shown.press("ctrl+c")
    assert shown.written == ""
    await shown.press("up")
    assert shown.written == "nonsense", "what was cleared is not lost"
    await shown.press("ctrl+c", "ctrl+c")
    assert "once more leaves" in shown.text
    await shown.press("ctrl+c")
    assert shown.window._exit


@key("leave")
async def _(shown: Shown) -> None:
    await shown.write("ab")
    await shown.press("left", "ctrl+d")
    assert shown.written == "a"
    await shown.press("ctrl+c", "ctrl+d")
    assert shown.window._exit


@key("interrupt")
async def _(shown: Shown) -> None:
    await start(shown)
    await shown.write("also this")
    await shown.press("enter")
    await shown.write("half")
    await shown.press("escape")
    await shown.until(lambda: not shown.port.busy)
    assert shown.asked("interrupt") == [None]
    assert shown.written == "also this\n\nhalf"
    await shown.press("ctrl+c", "escape", "escape")
    assert "Back to before" in shown.text
    await shown.press("enter")
    await shown.until(lambda: shown.asked("rewind") == [0])
    await shown.until(lambda: shown.written == "fix it")


@key("keys")
async def _(shown: Shown) -> None:
    await shown.press("question_mark")
    assert "Keys and commands" in shown.text
    await shown.press("escape")
    await shown.write("why")
    await shown.press("question_mark")
    assert shown.written == "why?"


@key("mode")
async def _(shown: Shown) -> None:
    for mode in ("plan", "ask", "edits", "auto"):
        await shown.press("shift+tab")
        assert shown.port.mode == mode
        assert shown.rows[-1].startswith(f" {mode}")


@key("palette")
async def _(shown: Shown) -> None:
    await shown.press("ctrl+p")
    await shown.write("reading tools")
    await shown.press("enter")
    assert shown.port.mode is Mode.PLAN


@key("search")
async def _(shown: Shown) -> None:
    await start(shown)
    await shown.tell(ANSWER)
    await shown.press("ctrl+f")
    await shown.write("found")
    assert "1 hit" in shown.text
    await shown.press("enter")
    assert shown.window.focused is shown.window.transcript


@key("expand")
async def _(shown: Shown) -> None:
    await output(shown, 40)
    before = shown.text
    await shown.press("ctrl+o")
    assert shown.text != before
    await shown.press("ctrl+o")
    assert shown.text == before


@key("thoughts")
async def _(shown: Shown) -> None:
    await start(shown)
    thought = events.AssistantMessage(
        text="So.", thinking="deep down", spent=events.Spent(thinking_tokens=5), allowed=100
    )
    await shown.tell(thought)
    assert "deep down" not in shown.text
    await shown.press("ctrl+t")
    assert "deep down" in shown.text


async def output(shown: Shown, lines: int) -> None:
    await start(shown)
    text = "\n".join(f"line {number}" for number in range(lines))
    await shown.tell(
        events.ToolStarted(call="c1", name="bash", arguments={"command": "seq"}),
        events.ToolFinished(call="c1", name="bash", text=text, ok=False, exit=1),
    )


async def much(shown: Shown) -> None:
    await start(shown)
    for number in range(100):
        await shown.port.tell(events.Note(text=f"note {number}"))
    await shown.settled()


@key("page_up")
async def _(shown: Shown) -> None:
    await much(shown)
    assert "note 99" in shown.text
    await shown.press("pageup", "pageup")
    assert "note 99" not in shown.text


@key("page_down")
async def _(shown: Shown) -> None:
    await much(shown)
    await shown.press("pageup", "pageup", "pagedown", "pagedown")
    assert "note 99" in shown.text


@key("top")
async def _(shown: Shown) -> None:
    await much(shown)
    await shown.press("ctrl+home")
    assert "fix: fix it" in shown.text


@key("end")
async def _(shown: Shown) -> None:
    await much(shown)
    await shown.press("ctrl+home")
    await shown.tell(events.Note(text="the newest"))
    assert "the newest" not in shown.text
    assert "1 new ↓" in shown.text
    await shown.press("ctrl+end")
    assert "the newest" in shown.text
    assert "new ↓" not in shown.text


@key("block_up")
async def _(shown: Shown) -> None:
    await output(shown, 40)
    await shown.press("alt+up")
    assert shown.window.focused is shown.window.transcript
    await shown.write("go on")
    assert shown.written == "go on", "who types is writing"


@key("block_down")
async def _(shown: Shown) -> None:
    await output(shown, 40)
    await shown.press("alt+up", "alt+down")
    assert shown.window.focused is shown.window.transcript


@key("block_toggle")
async def _(shown: Shown) -> None:
    await output(shown, 12)
    assert "line 0" not in shown.text
    await shown.press("alt+up", "enter")
    assert "line 0" in shown.text


@key("block_copy")
async def _(shown: Shown) -> None:
    await output(shown, 12)
    await shown.press("alt+up", "y")
    assert shown.window.clipboard == "\n".join(f"line {number}" for number in range(12))
    await shown.until(lambda: "cannot be known" in shown.text or "was given to" in shown.text)


@key("next_hit")
async def _(shown: Shown) -> None:
    await much(shown)
    await shown.press("ctrl+f")
    await shown.write("note 1")
    await shown.press("enter")
    await shown.press("n")
    assert shown.window.focused is shown.window.transcript
    assert "note 1" in shown.text


@key("previous_hit")
async def _(shown: Shown) -> None:
    await much(shown)
    await shown.press("ctrl+f")
    await shown.write("note 5")
    await shown.press("enter")
    await shown.press("N")
    assert shown.window.focused is shown.window.transcript
    assert "note 5" in shown.text


@key("blocks_leave")
async def _(shown: Shown) -> None:
    await output(shown, 12)
    await shown.press("alt+up", "escape")
    assert shown.window.focused is shown.window.composer


@key("part_next")
async def _(shown: Shown) -> None:
    await start(shown)
    await shown.press("alt+right")
    assert shown.window.transcript.part == "task"
    await shown.tell(*CANDIDATES)
    assert "candidate-1" in shown.text
    assert "swap" not in shown.text
    await shown.press("alt+right")
    assert "I'll swap the sign." in shown.text
    await shown.press("alt+right", "alt+right")
    assert "Let me see what add" in shown.text
    await shown.press("alt+right")
    assert shown.window.transcript.part == "task"


@key("part_previous")
async def _(shown: Shown) -> None:
    await start(shown)
    await shown.tell(*CANDIDATES)
    await shown.press("alt+left")
    assert shown.window.transcript.part == "candidate-3"


@key("compare")
async def _(shown: Shown) -> None:
    await start(shown)
    await shown.tell(*CANDIDATES)
    await shown.press("alt+up", "d")
    assert "no two candidates with a change" in shown.text
    await shown.tell(*COMPARED)
    await shown.press("d")
    assert "candidate-2/calc.py" in shown.text
    assert "return b + a" in shown.text


async def reviewed(shown: Shown) -> None:
    shown.port.patch = DIFF
    await start(shown)
    await shown.tell(REVIEWED)
    assert "/findings goes through them" in shown.text
    await shown.write("/findings")
    await shown.press("enter")
    assert "1 of 2" in shown.text


@key("finding_open")
async def _(shown: Shown) -> None:
    await reviewed(shown)
    await shown.press("enter")
    await shown.until(lambda: "Changes" in shown.text)
    assert "return a + b" in shown.text


@key("finding_accept")
async def _(shown: Shown) -> None:
    await reviewed(shown)
    await shown.press("a")
    await shown.until(lambda: shown.asked("resolve") == [("f1", True)])
    assert "accepted: calc.py:2" in shown.text


@key("finding_dismiss")
async def _(shown: Shown) -> None:
    await reviewed(shown)
    await shown.press("down", "x")
    await shown.until(lambda: shown.asked("resolve") == [("f2", False)])
    assert "dismissed: calc.py:3" in shown.text


@key("finding_up")
async def _(shown: Shown) -> None:
    await reviewed(shown)
    await shown.press("up")
    assert "2 of 2" in shown.text


@key("finding_down")
async def _(shown: Shown) -> None:
    await reviewed(shown)
    await shown.press("down")
    assert "2 of 2" in shown.text
    await shown.press("down")
    assert "1 of 2" in shown.text


@key("finding_leave")
async def _(shown: Shown) -> None:
    await reviewed(shown)
    await shown.press("escape")
    assert shown.window.composer.display


@key("mouse")
async def _(shown: Shown) -> None:
    await shown.press("f6")
    assert not shown.window.mouse_on
    assert "select as ever" in shown.text
    await shown.press("f6")
    assert shown.window.mouse_on


@key("redraw")
async def _(shown: Shown) -> None:
    before = shown.text
    await shown.press("ctrl+l")
    assert shown.text == before


@key("suspend")
async def _(shown: Shown) -> None:
    await shown.press("ctrl+z")
    assert shown.window.is_running, "without a terminal there is nothing to go back to"


@key("quit")
async def _(shown: Shown) -> None:
    await shown.press("ctrl+q")
    assert shown.window._exit


async def ask(shown: Shown, request: events.Event = COMMAND) -> None:
    await start(shown)
    await shown.tell(request)
    await shown.calm()


@key("allow")
async def _(shown: Shown) -> None:
    await ask(shown)
    assert "pytest -q" in shown.text
    await shown.press("y")
    await shown.until(lambda: shown.asked("answer"))
    await shown.tell(EDIT)
    await shown.calm()
    await shown.press("1")
    assert shown.asked("answer") == [("a1", Answer.once()), ("a2", Answer.once())]
    assert shown.window.composer.display


@key("allow_session")
async def _(shown: Shown) -> None:
    await ask(shown)
    await shown.press("a")
    await shown.until(lambda: shown.asked("answer") == [("a1", Answer.session())])


@key("allow_prefix")
async def _(shown: Shown) -> None:
    await ask(shown, EDIT)
    await shown.press("3")
    assert shown.asked("answer") == [], "no rule fits, so there is nothing to allow"
    await shown.press("1")
    await shown.tell(COMMAND)
    await shown.calm()
    await shown.press("p")
    await shown.until(lambda: shown.asked("answer")[1:] == [("a1", Answer.prefix("pytest"))])


@key("refuse")
async def _(shown: Shown) -> None:
    await ask(shown)
    await shown.press("n")
    await shown.until(lambda: "Why not?" in shown.text)
    await shown.write("not now")
    await shown.press("enter")
    assert shown.asked("answer") == [("a1", Answer.no("not now"))]


@key("approval_edit")
async def _(shown: Shown) -> None:
    await ask(shown, PLAN)
    await shown.press("e")
    assert shown.written == "First\nThen"
    await shown.write("\nLast")
    await shown.press("enter")
    await shown.until(lambda: shown.asked("carry_out") == [("First\nThen\nLast", Mode.AUTO)])


@key("approval_up")
async def _(shown: Shown) -> None:
    long = events.ApprovalRequested(
        id="a3", call="c", tool="bash", what="\n".join(f"echo {n}" for n in range(50))
    )
    await ask(shown, long)
    await shown.press("down", "down", "up")
    assert "echo 1" in shown.text
    assert "echo 0" not in shown.text


@key("approval_down")
async def _(shown: Shown) -> None:
    long = events.ApprovalRequested(
        id="a3", call="c", tool="bash", what="\n".join(f"echo {n}" for n in range(50))
    )
    await ask(shown, long)
    assert "more below" in shown.text
    for _ in range(60):
        await shown.press("down")
    assert "echo 49" in shown.text


@key("approval_stop")
async def _(shown: Shown) -> None:
    await ask(shown)
    await shown.press("escape")
    await shown.until(lambda: shown.asked("interrupt") == [None])
    assert shown.asked("answer") == [("a1", Answer.no())]


@key("pick")
async def _(shown: Shown) -> None:
    await shown.press("ctrl+p")
    await shown.write("write in")
    await shown.press("backspace", "enter")
    assert shown.window.composer.display


@key("pick_up")
async def _(shown: Shown) -> None:
    await shown.press("ctrl+p", "up")
    assert "Quit" in next(row for row in shown.rows if row.startswith(" › "))


@key("pick_down")
async def _(shown: Shown) -> None:
    await shown.press("ctrl+p", "down", "down")
    assert "3 of" in shown.text


@key("pick_leave")
async def _(shown: Shown) -> None:
    theme = shown.window.theme
    await shown.write("/theme")
    await shown.press("enter", "down", "down")
    assert shown.window.theme != theme
    await shown.press("escape")
    assert shown.window.theme == theme


async def list_sessions(shown: Shown) -> list[Path]:
    """Two sessions on the disk, and the list of them in the window."""
    home = sessions.home(os.environ)
    for number, task in enumerate(("older task", "newer task")):
        journal = Journal(home / f"2026010{number + 1}-000000-aaaa" / FILE)
        journal(events.RunStarted(task=task, workflow="run", repository="/proj", seq=1, t=CLOCK))
        journal.close()
    await shown.write("/resume")
    await shown.press("enter")
    await shown.until(lambda: "newer task" in shown.text and "older task" in shown.text)
    return sessions.recent(home)


@key("pick_rename")
async def _(shown: Shown) -> None:
    newest, _ = await list_sessions(shown)
    await shown.press("ctrl+n", "ctrl+u")
    await shown.write("the parser")
    await shown.press("enter")
    assert sessions.state_of(newest).title == "the parser"


@key("pick_fork")
async def _(shown: Shown) -> None:
    newest, _ = await list_sessions(shown)
    await shown.press("ctrl+k")
    await shown.until(lambda: len(shown.asked("open")) == 2)
    forked = shown.asked("open")[1]
    assert forked != newest.name
    assert sessions.state_of(sessions.home(os.environ) / forked).task == "newer task"


@key("pick_delete")
async def _(shown: Shown) -> None:
    newest, older = await list_sessions(shown)
    await shown.press("ctrl+x")
    assert "once more deletes" in shown.text
    assert newest.exists()
    await shown.press("ctrl+x")
    await shown.until(lambda: sessions.recent(sessions.home(os.environ)) == [older])


@key("answer")
async def _(shown: Shown) -> None:
    await shown.write("/think")
    await shown.press("enter")
    await shown.press("ctrl+c")
    await shown.press("ctrl+p")
    await shown.write("may think")
    await shown.press("enter")
    await shown.write("512")
    await shown.press("enter")
    await shown.until(lambda: shown.asked("thinking") == ["512"])


@key("answer_leave")
async def _(shown: Shown) -> None:
    await ask(shown)
    await shown.press("4", "escape")
    assert shown.asked("answer") == []
    assert "May it run this command?" in shown.text


def test_a_user_can_change_keys_and_hears_of_mistakes() -> None:
    keymap = Keymap({"palette": ["f2"], "mouse": []})
    assert keymap.find("composer", "f2") == "palette"
    assert keymap.find("composer", "ctrl+p") == ""
    assert keymap.shown("mouse") == ""
    with pytest.raises(ConfigError, match="no such action") as caught:
        Keymap({"pallete": ["f2"]})
    assert caught.value.hint == "Did you mean palette?"
    with pytest.raises(ConfigError, match=r"f6 means both (palette|mouse) and (palette|mouse)"):
        Keymap({"palette": ["f6"]})


def test_slash_commands_come_from_the_same_table() -> None:
    found = slash_command("/think  low")
    assert found is not None
    assert (found[0].id, found[1]) == ("think", "low")
    assert slash_command("/nothing") is None
    assert slash_command("think") is None
    assert "| `Shift+Tab` | `/mode [plan\\|ask\\|edits\\|auto]` |" in as_markdown()


async def test_every_action_has_a_handler(show: Show) -> None:
    async with show() as shown:
        await asyncio.sleep(0)
        assert [action.id for action in ACTIONS if not hasattr(shown.window, f"do_{action.id}")] == []


async def test_no_key_overtakes_another(show: Show) -> None:
    """Typed ahead or pasted by a tool, everything arrives at once: letters, deletions, Return, a mode."""
    port = ScriptedPort(script=[RUNNING])
    async with show(port) as shown:
        for name in [*"fiq", "backspace", *"x it", "ctrl+j", "y", "home", "z", "enter", *"more", "escape"]:
            shown.window.post_message(pressed(name))
        await shown.until(lambda: shown.asked("send"))
        assert shown.asked("send") == ["fix it\nzy"]


async def test_words_are_no_answers(show: Show) -> None:
    """Somebody begins to steer while a request is open: "also …" must not allow anything, nor lose a letter."""
    async with show(ScriptedPort(script=[RUNNING])) as shown:
        await ask(shown)
        await shown.write("also yours")
        assert shown.asked("answer") == []
        assert shown.written == "also yours"
        await shown.calm()
        await shown.press("y")
        await shown.until(lambda: shown.asked("answer") == [("a1", Answer.once())])
        assert shown.written == "also yours"


async def test_a_request_in_the_middle_of_typing_takes_no_answer(show: Show) -> None:
    async with show(ScriptedPort(script=[RUNNING])) as shown:
        await start(shown)
        await shown.write("st")
        await shown.tell(COMMAND)
        await shown.write("ay 1 2 3")
        assert shown.asked("answer") == []
        assert shown.written == "stay 1 2 3"


async def test_the_transcript_can_be_drawn_as_soon_as_it_was_cut(show: Show) -> None:
    """Rewinding takes blocks away; a frame that is drawn before the next tick must not look for them."""
    async with show(ScriptedPort(script=[RUNNING])) as shown:
        await start(shown)
        await shown.tell(events.UserMessage(text="one"), *(events.Note(text=f"note {n}") for n in range(80)))
        await shown.settled()
        await shown.port.tell(events.Rewound(index=0, messages=0, text="one"))
        for row in range(20):
            shown.window.transcript.render_line(row)
        await shown.settled()
        assert "note 7" not in shown.text
