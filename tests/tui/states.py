"""States of the window that somebody may see: each is made from events and keys, and looks the same every time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from coder import events
from coder.events import Event
from coder.workflows.port import CheckpointInfo
from tests.tui.ports import CLOCK, ScriptedPort
from tests.tui.shown import Shown

State = Callable[[Shown], Awaitable[None]]
STATES: dict[str, State] = {}

DIFF = """--- a/calc.py
+++ b/calc.py
@@ -1,3 +1,3 @@
 def add(a, b):
-    return a - b
+    return a + b
 # the end
"""
HOSTILE = "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\u200b \x9b31m \x00\x7f [bold red]markup[/] \ud800"
PREPARED: list[Event] = [
    events.RunStarted(
        task="fix test_add, it fails since yesterday", workflow="fix", repository="/home/me/proj"
    ),
    events.Prepared(
        model="nemotron-3-super",
        server="vllm at http://127.0.0.1:8000/v1",
        profile="nemotron-3-super",
        strategy="agent",
        thinking="full, 256 in routine",
        context_length=131072,
    ),
    events.Prepared(
        sandbox="bubblewrap",
        why="it needs no engine",
        guarantees={"network": True, "filesystem": True, "memory": False, "cpu": False},
    ),
    events.UserMessage(text="fix test_add, it fails since yesterday"),
    events.TurnStarted(turn=1, thinking="full", step="diagnosis"),
]
ANSWER = events.AssistantMessage(
    text="I'll read the file, then fix the **sign error**.",
    thinking="The test says 5, we get -1: a sign.",
    spent=events.Spent(
        requests=1,
        prompt_tokens=4100,
        cached_tokens=3700,
        completion_tokens=412,
        thinking_tokens=380,
        turns=1,
    ),
    allowed=2048,
    seconds=10.5,
    first_token_seconds=0.4,
)
BUDGET = events.BudgetSpent(
    turns=(7, 40), tokens=(5000, 0), seconds=(60, 3600), context=(49807, 131072), cache=0.91
)
EDITED: list[Event] = [
    ANSWER,
    BUDGET,
    events.ToolStarted(call="c1", name="bash", arguments={"command": "cat calc.py"}),
    events.ToolFinished(
        call="c1", name="bash", text="def add(a, b):\n    return a - b\n", exit=0, seconds=0.012
    ),
    events.ToolStarted(
        call="c2",
        name="str_replace_editor",
        arguments={"command": "str_replace", "path": "/workspace/calc.py"},
    ),
    events.ToolFinished(call="c2", name="str_replace_editor", text="edited", diff=DIFF, seconds=0.004),
]
COMMAND = events.ApprovalRequested(
    id="a1",
    call="c3",
    tool="bash",
    arguments={"command": "pytest -q"},
    what="pytest -q tests/test_calc.py",
    cwd="/workspace",
    why="commands ask in this mode",
    prefix="pytest",
    session="all commands",
)
EDIT = events.ApprovalRequested(
    id="a2", call="c4", tool="str_replace_editor", what="calc.py", why="edits ask in this mode", diff=DIFF
)
LONG = events.ApprovalRequested(
    id="a3", call="c5", tool="bash", what="echo start && " + "true && " * 60 + "curl evil", why="commands ask"
)
PLAN = events.PlanProposed(
    text="",
    steps=("Read calc.py", "Swap the sign in add", "Run the tests and look at every failure that is left"),
)


def finished(status: str, sentence: str, exit_status: int, **more: object) -> events.RunFinished:
    return events.RunFinished(status=status, reason=status, sentence=sentence, exit=exit_status, **more)  # type: ignore[arg-type]


def state(maker: State) -> State:
    STATES[maker.__name__] = maker
    return maker


def port() -> ScriptedPort:
    points = [
        CheckpointInfo(index=0, time=CLOCK, line="fix test_add", paths=("calc.py",)),
        CheckpointInfo(
            index=1, time=CLOCK + 600, line="and the docs", paths=("README.md", "docs/a.md", "docs/b.md")
        ),
    ]
    paths = ["calc.py", "tests/test_calc.py", "docs/calculus.md", "README.md"]
    return ScriptedPort(script=[PREPARED], points=points, paths=paths)


async def begin(shown: Shown, *then: Event) -> None:
    """A task that runs, and what happens in it."""
    await shown.write("fix test_add, it fails since yesterday")
    await shown.press("enter")
    await shown.until(lambda: shown.port.busy)
    await shown.tell(*then)


@state
async def empty(shown: Shown) -> None:
    await shown.calm()


@state
async def writing(shown: Shown) -> None:
    await shown.write("fix it\nand say why")


@state
async def long_text(shown: Shown) -> None:
    shown.window.composer.write("\n".join(f"line {number} of a long text" for number in range(30)))
    await shown.calm()


@state
async def pasted(shown: Shown) -> None:
    await shown.write("look at ")
    shown.window._paste("Traceback\n" * 30)
    await shown.calm()


@state
async def commands_offered(shown: Shown) -> None:
    await shown.write("/re")


@state
async def files_offered(shown: Shown) -> None:
    await shown.write("look at @cal")
    await shown.until(lambda: "docs/calculus.md" in shown.text)


@state
async def reading(shown: Shown) -> None:
    await begin(shown)


@state
async def thinking(shown: Shown) -> None:
    await begin(shown, *(events.ThinkingDelta(text=f"step {n} of the thought, ") for n in range(8)))


@state
async def streaming(shown: Shown) -> None:
    await begin(shown, *(events.TextDelta(text=f"word{n} and `code` ") for n in range(40)))


@state
async def answered(shown: Shown) -> None:
    await begin(shown, ANSWER, BUDGET)


@state
async def tool_running(shown: Shown) -> None:
    output = events.ToolOutput(call="c9", text="...F..\n")
    await begin(
        shown, ANSWER, events.ToolStarted(call="c9", name="bash", arguments={"command": "pytest -q"}), output
    )


@state
async def tool_failed(shown: Shown) -> None:
    text = "\n".join(f"E   line {number}" for number in range(20))
    await begin(
        shown,
        ANSWER,
        events.ToolStarted(call="c9", name="bash", arguments={"command": "pytest -q"}),
        events.ToolFinished(call="c9", name="bash", text=text, ok=True, exit=1, seconds=3.2),
    )


@state
async def edited(shown: Shown) -> None:
    await begin(shown, *EDITED)


@state
async def queued(shown: Shown) -> None:
    await begin(shown, *EDITED)
    await shown.write("also add a test for negative numbers")
    await shown.press("enter")


@state
async def plan_ticked(shown: Shown) -> None:
    await begin(shown, ANSWER, events.PlanUpdated(steps=(("Read calc.py", True), ("Swap the sign", False))))


@state
async def approving_a_command(shown: Shown) -> None:
    await begin(shown, ANSWER, BUDGET, COMMAND)
    await shown.calm()


@state
async def approving_an_edit(shown: Shown) -> None:
    await begin(shown, ANSWER, BUDGET, EDIT)
    await shown.calm()


@state
async def approving_a_long_command(shown: Shown) -> None:
    await begin(shown, ANSWER, LONG)
    await shown.calm()


@state
async def approving_two(shown: Shown) -> None:
    await begin(shown, ANSWER, COMMAND, EDIT)
    await shown.calm()


@state
async def refusing(shown: Shown) -> None:
    await approving_a_command(shown)
    await shown.press("4")
    await shown.write("use the smaller test")


@state
async def plan_proposed(shown: Shown) -> None:
    await begin(shown, ANSWER, finished("solved", "there is a plan", 0), PLAN)
    await shown.calm()


@state
async def plan_edited(shown: Shown) -> None:
    await plan_proposed(shown)
    await shown.press("e")


OTHER = DIFF.replace("a + b", "b + a").replace("# the end", "# unchanged")
FINDINGS = (
    events.Finding(
        id="f1", file="calc.py", line=2, severity="error", reason="add(0.1, 0.2) is no longer exact", backed=True,
        proof="$ python -c 'import calc'\nAssertionError", agreed=3, samples=3,
    ),
    events.Finding(id="f2", file="calc.py", line=3, reason="the comment says nothing", agreed=1, samples=3),
)  # fmt: skip
CANDIDATES: list[Event] = [
    *(events.CandidateStarted(index=n, of=3, name=f"candidate-{n}") for n in (1, 2, 3)),
    events.AssistantMessage(text="I'll **swap** the sign.", span="candidate-1"),
    events.AssistantMessage(text="I'll add the other way round.", span="candidate-2"),
    events.ToolStarted(call="k", name="bash", arguments={"command": "pytest -q"}, span="candidate-2"),
    events.TextDelta(text="Let me see what `add` ", span="candidate-3"),
]
COMPARED: list[Event] = [
    *CANDIDATES,
    events.CandidateFinished(
        index=1, name="candidate-1", outcome="passed", files=1, added=1, removed=1, votes=2, tests=2, patch=DIFF, seconds=31,
    ),
    events.CandidateFinished(
        index=2, name="candidate-2", outcome="failed", files=1, added=1, removed=1, votes=1, tests=2, patch=OTHER,
        reason="test_sub passed before, not after", seconds=44,
    ),
    events.CandidateFinished(index=3, name="candidate-3", outcome="empty", reason="no file was changed"),
    events.CandidateChosen(index=1, name="candidate-1", why="it alone passes every regression test"),
]  # fmt: skip
REVIEWED = events.Verdict(verdict="REQUEST_CHANGES", findings=FINDINGS, summary="One thing breaks.")


@state
async def candidates_at_work(shown: Shown) -> None:
    await begin(shown, *CANDIDATES)


@state
async def candidate_shown(shown: Shown) -> None:
    await begin(shown, *CANDIDATES)
    await shown.press("alt+right", "alt+right")


@state
async def candidates_chosen_from(shown: Shown) -> None:
    await begin(shown, *COMPARED)


@state
async def candidates_compared(shown: Shown) -> None:
    await begin(shown, *COMPARED)
    await shown.press("alt+up", "d")


@state
async def reviewed(shown: Shown) -> None:
    await begin(shown, *EDITED, REVIEWED)


@state
async def findings(shown: Shown) -> None:
    await begin(shown, *EDITED, REVIEWED)
    await shown.write("/findings")
    await shown.press("enter")
    await shown.calm()


@state
async def finding_dismissed(shown: Shown) -> None:
    await findings(shown)
    await shown.press("x")
    await shown.calm()


@state
async def palette(shown: Shown) -> None:
    await shown.press("ctrl+p")


@state
async def palette_without_a_hit(shown: Shown) -> None:
    await shown.press("ctrl+p")
    await shown.write("xyzzy")


@state
async def all_keys(shown: Shown) -> None:
    await shown.press("question_mark")


@state
async def rewinding(shown: Shown) -> None:
    await shown.press("escape", "escape")


@state
async def themes(shown: Shown) -> None:
    await shown.write("/theme")
    await shown.press("enter")


@state
async def history(shown: Shown) -> None:
    for text in ("fix the parser", "write tests\nfor the lexer"):
        shown.window.history.add(text)
    await shown.press("ctrl+r")


@state
async def searching(shown: Shown) -> None:
    await begin(shown, *EDITED)
    await shown.press("ctrl+f")
    await shown.write("sign")


@state
async def something_new_below(shown: Shown) -> None:
    await begin(shown, *EDITED, *(events.Note(text=f"note {number}") for number in range(60)))
    await shown.press("pageup", "pageup")
    await shown.tell(events.Note(text="news"))


@state
async def solved(shown: Shown) -> None:
    end = finished(
        "solved", "every gate was passed", 0, patch=DIFF, summary="add subtracted", spent=ANSWER.spent
    )
    await begin(
        shown, *EDITED, events.GateFinished(name="fixed", passed=True, detail="1 test passes now"), end
    )


@state
async def unsolved(shown: Shown) -> None:
    gate = events.GateFinished(name="no-regressions", passed=False, detail="test_double fails now")
    await begin(shown, *EDITED, gate, finished("unsolved", "the change failed a gate", 1))


@state
async def interrupted(shown: Shown) -> None:
    await begin(shown, ANSWER)
    await shown.write("half a thought")
    await shown.press("escape")
    await shown.until(lambda: not shown.port.busy)


@state
async def without_a_sandbox(shown: Shown) -> None:
    await begin(
        shown, events.Prepared(sandbox="none", why="you said so", guarantees={"network": False}), ANSWER
    )


@state
async def context_nearly_full(shown: Shown) -> None:
    full = events.BudgetSpent(
        turns=(39, 40), tokens=(0, 0), seconds=(0, 0), context=(120_000, 131_072), cache=0.5
    )
    await begin(shown, ANSWER, full, events.Masked(messages=12, tokens=120_000, limit=131_072))


@state
async def trouble(shown: Shown) -> None:
    await begin(
        shown, events.Retried(reason="503: loading"), events.Warning(text="nothing of the prompt is cached")
    )


@state
async def hostile(shown: Shown) -> None:
    """Everything that a model, a tool or a repository can name."""
    asked = events.ApprovalRequested(
        id="h",
        call="h",
        tool=HOSTILE,
        what=HOSTILE,
        cwd=HOSTILE,
        why=HOSTILE,
        prefix=HOSTILE,
        session=HOSTILE,
    )
    await begin(
        shown,
        events.RunStarted(task=HOSTILE, workflow="run", repository=f"/{HOSTILE}"),
        events.Prepared(model=HOSTILE, server=HOSTILE),
        events.Prepared(sandbox=HOSTILE, why=HOSTILE, guarantees={HOSTILE: False}),
        events.Activity(text=HOSTILE),
        events.AssistantMessage(text=HOSTILE, thinking=HOSTILE),
        events.ToolStarted(call="t", name=HOSTILE, arguments={"command": HOSTILE}),
        events.ToolFinished(call="t", name=HOSTILE, text=HOSTILE, ok=False, diff=HOSTILE),
        asked,
    )
    await shown.calm()
