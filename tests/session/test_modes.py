"""Every mode with every kind of tool, and what the user can answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from coder import config, events
from coder.errors import ConfigError, UsageError
from coder.workflows.port import Answer, Mode
from coder.workflows.request import Request
from coder.workflows.session import Session
from tests.scripted_server import Turn
from tests.session.conftest import MEND, SUBMIT, TEST, Open, Opener, bash, edit, same_as_live, until

VIEW = Turn(calls=[("str_replace_editor", {"command": "view", "path": "calc.py"})])
SEARCH = Turn(calls=[("search", {"pattern": "add"})])
PLAN = Turn(calls=[("plan", {"steps": ["look", "mend"]})])
CREATE = Turn(calls=[("str_replace_editor", {"command": "create", "path": "new.py", "file_text": "x = 1\n"})])
END = Turn(text="That is all.")
KINDS = {
    "view": VIEW,
    "search": SEARCH,
    "plan": PLAN,
    "create": CREATE,
    "replace": edit("a - b", "a + b"),
    "bash": bash("echo x > made.txt"),
    "looking": bash("cat calc.py"),
    "run_tests": TEST,
}
READING = ("view", "search", "plan")
EDITING = ("create", "replace")


def expected(mode: Mode, kind: str) -> str:
    if mode is Mode.AUTO or kind in READING:
        return "runs"
    if mode is Mode.PLAN:
        return "refused"
    return "runs" if mode is Mode.EDITS and kind in EDITING else "asks"


def answering(made: Open, *answers: Answer) -> Callable[[events.Event], None]:
    """A user who gives these answers in turn, and the last one from then on."""
    waiting = list(answers)

    def answer(event: events.Event) -> None:
        if isinstance(event, events.ApprovalRequested):
            given = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            asyncio.get_running_loop().call_soon(made.session.answer, event.id, given)

    return answer


@pytest.mark.parametrize("mode", Mode)
async def test_what_a_mode_lets_pass(open_session: Opener, mode: Mode) -> None:
    made = await open_session([*KINDS.values(), END], mode=mode)
    made.session.listen(answering(made, Answer.no("not today")))
    await made.task("go")
    asked = {event.call for event in made.of(events.ApprovalRequested)}
    results = made.of(events.ToolFinished)
    went = {}
    for kind, result in zip(KINDS, results, strict=True):
        refused = "wants a plan first" in result.text
        went[kind] = "refused" if refused else "asks" if "not today" in result.text else "runs"
    assert went == {kind: expected(mode, kind) for kind in KINDS}
    assert bool(asked) == ("asks" in went.values())
    written = [path for path in ("new.py", "made.txt") if (made.folder / "workspace" / path).exists()]
    assert written == {Mode.AUTO: ["new.py", "made.txt"], Mode.EDITS: ["new.py"]}.get(mode, [])
    assert same_as_live(made)


async def test_the_tools_are_the_same_in_every_mode(open_session: Opener) -> None:
    made = await open_session([END] * 4)
    for mode in Mode:
        made.session.set_mode(mode)
        await made.task("go")
    tools = [body["tools"] for body in made.bodies()]
    assert all(each == tools[0] for each in tools)


async def test_the_question_shows_the_command_or_the_diff(open_session: Opener) -> None:
    made = await open_session([edit("a - b", "a + b"), bash("pytest -q 2>&1 | tail -3"), TEST, END])
    made.session.set_mode(Mode.ASK)
    made.session.listen(answering(made, Answer.once()))
    await made.task("go")
    first, second, third = made.of(events.ApprovalRequested)
    assert (first.what, first.session) == ("calc.py", "every edit")
    assert "-    return a - b\n+    return a + b" in first.diff
    assert (second.what, second.prefix) == ("pytest -q 2>&1 | tail -3", "pytest")
    assert second.cwd == "/workspace"
    assert third.session == "every run of the tests"
    assert [event.answer for event in made.of(events.ApprovalResolved)] == ["once"] * 3
    assert "a + b" in made.copy("calc.py")


async def test_an_edit_that_would_fail_is_not_asked(open_session: Opener) -> None:
    made = await open_session([edit("nowhere", "x"), END], mode=Mode.ASK)
    await made.task("go")
    assert not made.of(events.ApprovalRequested)
    assert not made.of(events.ToolFinished)[0].ok


async def test_asking_changes_nothing(open_session: Opener) -> None:
    made = await open_session([edit("a - b", "a + b"), CREATE, END], mode=Mode.ASK)
    made.session.listen(answering(made, Answer.no()))
    await made.task("go")
    assert "a - b" in made.copy("calc.py")
    assert made.of(events.ToolFinished)[0].text == "The user refused this call."
    assert made.of(events.RunFinished)[0].status == "answered"


async def test_a_session_answer_covers_all_edits_but_only_the_very_same_command(
    open_session: Opener,
) -> None:
    turns = [edit("a - b", "a + b"), CREATE, bash("echo 1"), bash("echo 1"), bash("echo 2"), END]
    made = await open_session(turns, mode=Mode.ASK)
    made.session.listen(answering(made, Answer.session()))
    await made.task("go")
    assert [event.what for event in made.of(events.ApprovalRequested)] == ["calc.py", "echo 1", "echo 2"]


async def test_a_prefix_rule_covers_what_it_says_until_the_session_ends(open_session: Opener) -> None:
    hostile = [
        "python3 -m pytest -q; echo x > evil",
        "python3 -m pytest $(echo x > evil)",
        "python3 -m pytest && echo x > evil",
        "python3 -m pytest\necho x > evil",
        "PYTHONPATH=. python3 -m pytest",
        "python3 -m pytest <<EOF\n$(echo x > evil)\nEOF",
    ]
    turns = [bash("python3 -m pytest"), bash("cd /workspace && python3 -m pytest -q 2>&1 | tail -3")]
    made = await open_session([*turns, *map(bash, hostile), END], mode=Mode.EDITS)
    made.session.listen(answering(made, Answer.prefix("python3 -m pytest"), Answer.no()))
    await made.task("go")
    assert [event.what for event in made.of(events.ApprovalRequested)] == ["python3 -m pytest", *hostile]
    assert not (made.folder / "workspace" / "evil").exists()


async def test_a_rule_that_could_not_be_sure_is_refused_and_the_question_stays(open_session: Opener) -> None:
    made = await open_session([bash("echo 1"), END], mode=Mode.ASK)
    await made.session.send("go")
    await until(lambda: bool(made.of(events.ApprovalRequested)))
    (asked,) = made.of(events.ApprovalRequested)
    with pytest.raises(UsageError, match="no rule"):
        made.session.answer(asked.id, Answer.prefix("bash -c"))
    made.session.answer("unknown", Answer.once())
    made.session.answer(asked.id, Answer.once())
    await made.done()
    made.session.answer(asked.id, Answer.no())
    assert made.of(events.ToolFinished)[0].text == "1"


async def test_a_wider_mode_answers_the_open_question(open_session: Opener) -> None:
    made = await open_session([bash("echo 1"), END], mode=Mode.ASK)
    await made.session.send("go")
    await until(lambda: bool(made.of(events.ApprovalRequested)))
    made.session.set_mode(Mode.EDITS)
    await asyncio.sleep(0.1)
    assert not made.of(events.ApprovalResolved)
    made.session.set_mode(Mode.AUTO)
    await made.done()
    assert made.of(events.ApprovalResolved)[0].answer == "mode"
    assert made.of(events.ToolFinished)[0].text == "1"


async def test_an_open_question_can_be_interrupted(open_session: Opener) -> None:
    made = await open_session([bash("echo 1"), END], mode=Mode.ASK)
    await made.session.send("go")
    await until(lambda: bool(made.of(events.ApprovalRequested)))
    await made.session.interrupt()
    assert made.of(events.ApprovalResolved)[0].answer == "interrupted"
    assert made.of(events.RunFinished)[0].status == "interrupted"
    await made.task("and now?")
    assert made.of(events.RunFinished)[1].status == "answered"


async def test_waiting_for_the_user_costs_no_time_of_the_task(open_session: Opener) -> None:
    made = await open_session([bash("echo 1"), END], mode=Mode.ASK, timeout=4.0)
    await made.session.send("go")
    await until(lambda: bool(made.of(events.ApprovalRequested)))
    await asyncio.sleep(5)
    made.session.answer(made.of(events.ApprovalRequested)[0].id, Answer.once())
    await made.done()
    assert made.of(events.RunFinished)[0].status == "answered"


async def test_a_plan_is_made_by_reading_approved_and_carried_out_in_the_same_conversation(
    open_session: Opener,
) -> None:
    steps = [{"text": "mend add", "done": True}, {"text": "run the tests", "done": False}]
    tick = Turn(calls=[("plan", {"steps": steps})])
    planned = Turn(calls=[("submit", {"summary": "Two steps will do."})])
    turns = [VIEW, edit("a - b", "a + b"), PLAN, planned, MEND[0], tick, TEST, SUBMIT]
    made = await open_session(turns, mode=Mode.PLAN)
    await made.task("mend add")
    (proposed,) = made.of(events.PlanProposed)
    assert (proposed.text, proposed.steps) == ("Two steps will do.", ("look", "mend"))
    assert "wants a plan first" in made.bodies()[2]["messages"][-1]["content"]
    assert "a - b" in made.copy("calc.py")
    assert made.of(events.RunFinished)[0].status == "planned"
    await made.session.carry_out("- mend add\n- run the tests", Mode.EDITS)
    made.session.listen(answering(made, Answer.once()))
    await made.done()
    assert made.session.mode is Mode.EDITS
    before, after = made.bodies()[3]["messages"], made.bodies()[4]["messages"]
    assert after[: len(before)] == before
    assert after[-1]["content"].endswith("[ ] mend add\n[ ] run the tests")
    plans = [event.steps for event in made.of(events.PlanUpdated)]
    assert plans[-2:] == [
        (("mend add", False), ("run the tests", False)),
        (("mend add", True), ("run the tests", False)),
    ]
    assert made.of(events.RunFinished)[1].status == "solved"


async def test_a_plan_in_words_is_a_plan_too(open_session: Opener) -> None:
    made = await open_session([Turn(text="First look, then mend.")], mode=Mode.PLAN)
    await made.task("mend add")
    (proposed,) = made.of(events.PlanProposed)
    assert (proposed.text, proposed.steps) == ("First look, then mend.", ())


async def test_the_level_of_thinking_holds_from_the_next_task_on(open_session: Opener) -> None:
    made = await open_session([END, END], profile="nemotron-3-super")
    await made.task("one")
    made.session.set_thinking("off")
    await made.task("two")
    assert [event.thinking for event in made.of(events.TurnStarted)][1] == "off"
    with pytest.raises(ConfigError):
        made.session.set_thinking("a lot")


async def test_without_a_sandbox_everything_asks_until_the_user_says_otherwise(
    repository: Path, tmp_path: Path
) -> None:
    settings = replace(config.load(project=None, flags={}, environ={}), sandbox="none")
    for number, (asked, mode) in enumerate([(None, Mode.ASK), (Mode.AUTO, Mode.AUTO)]):
        folder = tmp_path / str(number)
        request = Request(
            task="",
            workflow="run",
            directory=repository,
            config=settings,
            session=folder,
            state=folder,
            run="run",
        )
        session = Session(request, mode=asked)
        await session.open()
        assert session.mode is mode
        await session.close()
