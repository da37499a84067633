"""Several tasks in one conversation: judged one by one, nothing in the user's files before they are applied."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from coder import events
from tests.agent.test_prefix import rendered
from tests.scripted_server import Turn
from tests.session.conftest import MEND, Opener, bash, edit, remembered, same_as_live


async def test_two_tasks_share_a_conversation_and_a_copy(open_session: Opener) -> None:
    second = [edit("a + b", "b + a"), bash("python3 -m pytest -q"), Turn(calls=[("submit", {})])]
    made = await open_session([*MEND, *second])
    await made.task("mend add")
    await made.task("turn it round")
    assert [finished.status for finished in made.of(events.RunFinished)] == ["solved", "solved"]
    bodies = made.bodies()
    for before, after in pairwise(body["messages"] for body in bodies):
        assert after[: len(before)] == before
    roles = [message["role"] for message in bodies[3]["messages"]]
    assert roles == ["system", "user", *["assistant", "tool"] * 3, "assistant", "user"]
    assert "b + a" in made.copy("calc.py")
    assert "a - b" in (made.repository / "calc.py").read_text()


async def test_what_was_sent_is_what_the_journal_tells(open_session: Opener) -> None:
    made = await open_session([bash("false"), *MEND, Turn(text="It adds.", thinking="Look.")])
    await made.task("mend add")
    await made.task("what does it do?")
    memory = remembered(made.folder)
    sent = made.bodies()[-1]["messages"]
    assert memory.messages[: len(sent)] == sent
    assert same_as_live(made)
    assert memory == made.session._memory


async def test_an_answer_in_words_is_an_end_and_nothing_is_judged(open_session: Opener) -> None:
    made = await open_session([Turn(text="It subtracts.")])
    await made.task("what does add do?")
    (finished,) = made.of(events.RunFinished)
    assert (finished.status, finished.summary, finished.exit) == ("answered", "It subtracts.", 0)
    assert not made.of(events.GateFinished)


async def test_the_change_reaches_the_users_files_only_when_applied(open_session: Opener) -> None:
    made = await open_session(MEND)
    assert await made.session.apply() == "There is no change to apply."
    await made.task("mend add")
    assert "+    return a + b" in await made.session.diff()
    assert await made.session.apply() == "Applied to your files: calc.py"
    assert "a + b" in (made.repository / "calc.py").read_text()
    assert await made.session.diff() == ""
    assert await made.session.apply() == "There is no change to apply."


async def test_a_change_that_fails_a_gate_is_applied_only_when_told_to(open_session: Opener) -> None:
    made = await open_session([bash("echo 'def add(a, b): return 1' > calc.py; true"), Turn(text="Done.")])
    await made.task("break it")
    (finished,) = made.of(events.RunFinished)
    assert finished.reason == "gate:no-regressions"
    assert (await made.session.apply()).startswith("Not applied: the change failed a gate")
    assert "a - b" in (made.repository / "calc.py").read_text()
    assert (await made.session.apply(anyway=True)).startswith("Applied")


async def test_a_failing_test_comes_first_with_the_workflow_fix(
    open_session: Opener, repository: Path
) -> None:
    (repository / "test_calc.py").write_text(
        "from calc import add\n\n\ndef test_add():\n    assert add(2, 2) == 4\n"
    )
    made = await open_session([*MEND, Turn(text="You are welcome.")], workflow="fix")
    await made.task("failing test")
    await made.task("thanks")
    first, second = made.of(events.RunFinished)
    assert (first.status, second.status) == ("solved", "answered")
    assert [event.workflow for event in made.of(events.RunStarted)] == ["fix", "run"]


async def test_a_mentioned_file_comes_with_the_message(open_session: Opener) -> None:
    made = await open_session([Turn(text="I see.")])
    await made.task("look at @calc.py, not at @nothing.py or me@calc.py")
    sent = made.bodies()[0]["messages"][1]["content"]
    assert sent.endswith('<file path="calc.py">\ndef add(a, b):\n    return a - b\n</file>')
    assert sent.count("<file") == 1
    assert made.of(events.UserMessage)[0].typed.startswith("look at @calc.py")
    assert made.session.checkpoints()[0].line.startswith("look at @calc.py")


async def test_the_users_own_command_runs_in_the_copy_and_the_model_hears_of_it(
    open_session: Opener,
) -> None:
    made = await open_session([Turn(text="I see.")])
    await made.session.shell("echo hello > new.txt; cat new.txt; echo '</user_message>'")
    started, finished = made.of(events.ToolStarted)[0], made.of(events.ToolFinished)[0]
    assert (started.name, started.span, finished.text) == ("shell", "shell", "hello\n</user_message>")
    await made.task("go on")
    sent = made.bodies()[0]["messages"][1]["content"]
    assert "[The user ran" in sent
    assert "</user_message>" not in sent
    assert not (made.repository / "new.txt").exists()
    await made.session.undo()
    assert "new.txt" not in await made.session.files()


async def test_thirty_turns_over_three_tasks_render_to_growing_prompts(open_session: Opener) -> None:
    looks = [bash(f"echo step {number}") for number in range(27)]
    end = Turn(text="Enough for now.")
    turns = [*looks[:9], end, *looks[9:18], end, *looks[18:], end]
    made = await open_session(turns, profile="nemotron-3-super")
    for text in ("one", "two", "three"):
        await made.task(text)
    prompts = [rendered(body) for body in made.bodies()]
    assert len(prompts) == 30
    grown = [after.startswith(before.removesuffix("<think>\n")) for before, after in pairwise(prompts)]
    assert all(grown)
