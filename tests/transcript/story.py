"""A run that shows every kind of block, and text that means harm."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from coder import events
from coder.events import Event

DIFF = """\
--- a/calc.py
+++ b/calc.py
@@ -11,4 +11,4 @@ import math
 # sums
 def add(a, b):
-    return a - b
+    # both are numbers
+    return a + b
--- not a header
"""

MARKDOWN = """\
I'll **read** `calc.py`, *then* fix the sign. See [the manual](https://example.org/manual).

1. read
2. fix
   - the sign
   - the comment

```python
def add(a: int) -> str:
    return "sum"  # of one
```

| case | expected |
|------|----------|
| 1, 2 | three, as everybody knows who has ever added two numbers |

> It worked yesterday.

## Next
---
Done.
"""

STORY: list[Event] = [
    events.RunStarted(
        task="fix test_add, it fails since yesterday", workflow="fix", repository="/home/ada/calc"
    ),
    events.Prepared(
        model="nemotron-super",
        server="vllm at http://127.0.0.1:8000/v1",
        profile="nemotron-3",
        strategy="agent",
        thinking="full",
        context_length=131072,
    ),
    events.UserMessage(text="Find the bug and fix it: fix test_add\n\n" + "It fails.\n" * 9),
    events.TurnStarted(turn=1, thinking="full", step="diagnosis"),
    events.AssistantMessage(
        text=MARKDOWN,
        thinking="The sign is wrong.\nI am sure of it.",
        spent=events.Spent(1, 4000, 3600, 180, 412),
        allowed=2048,
        seconds=6.1,
    ),
    events.Prepared(sandbox="bubblewrap", why="no Docker engine answers", guarantees={"network": True}),
    events.ToolStarted(call="1", name="bash", arguments={"command": "pytest -q tests/test_calc.py"}),
    events.SuiteRan(
        stage="before", passed=11, failed=1, failing=("tests/test_calc.py::test_add",), seconds=2.4
    ),
    events.ToolFinished(
        call="1", name="bash", text="...F\n" + "noise\n" * 20 + "1 failed, 11 passed\n", exit=1, seconds=3.2
    ),
    events.ToolStarted(call="2", name="view", arguments={"path": "calc.py"}),
    events.ToolFinished(call="2", name="view", text="1 def add(a, b):\n", seconds=0.012),
    events.ToolStarted(call="3", name="editor", arguments={"command": "str_replace", "path": "calc.py"}),
    events.ToolFinished(call="3", name="editor", text="Edited calc.py.", diff=DIFF, seconds=0.02),
    events.ToolStarted(call="4", name="plan", arguments={"steps": ["fix", "test"]}),
    events.PlanUpdated(steps=(("fix the sign", False), ("run the tests", False))),
    events.ToolFinished(call="4", name="plan", text="[ ] fix the sign", seconds=0.001),
    events.PlanUpdated(steps=(("fix the sign", True), ("run the tests", False))),
    events.Checkpoint(tree="0123456789abcdef", paths=("calc.py",)),
    events.Masked(messages=3, tokens=120000, limit=131072),
    events.Retried(reason="the server was busy"),
    events.Note(text="the tests run in a clean sandbox"),
    events.Warning(text="the disk is nearly full"),
    events.AssistantMessage(text="", spent=events.Spent(1, 10, 0, 10), finish="length"),
    events.UserMessage(text="[The user says: and a test]", typed="and a test", steer=True),
    events.ApprovalRequested(id="1", call="4", tool="bash", what="pip install x", why="it wants the network"),
    events.ApprovalResolved(id="1", answer="no", text="use what is there"),
    events.ApprovalResolved(id="2", answer="prefix", text="pytest *"),
    events.ModeChanged(mode="edits"),
    events.PlanProposed(text="First **read**, then fix.", steps=("read", "fix")),
    events.Undone(tree="1", paths=("calc.py",)),
    events.Applied(tree="1", paths=("calc.py", "test_calc.py")),
    events.GateFinished(name="tests", passed=True, detail="12 passed, the failing test among them"),
    events.GateFinished(name="scope", passed=False, detail="a test file was changed"),
    events.ToolStarted(call="5", name="bash", arguments={"command": "sleep 9\necho late"}),
    events.RunFinished(
        status="solved",
        reason="submitted",
        sentence="every gate was passed",
        exit=0,
        patch=DIFF,
        summary="The sign in `add` was wrong.",
        evidence={"tests_before": {"passed": 11, "failed": 1}, "flagged": ["setup.py"]},
        spent=events.Spent(2, 4010, 3600, 190, 412, 3, 2),
        thinking={"diagnosis": "full"},
        timings={"seconds": 72.0},
    ),
]

HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "\x1b\x07\x08\x9b\r\n\t\x7f\u202e\u2066\u200b\u200d\ufeff\u0301\u0e49\ufe0f\u3042\u4e2d\U0001f600"
            "\U0001f468\u20e3\ud800\udcff\U000e0041|`*_[]()#>-+@=~ \u00a0\u2028"
        ),
    ),
    max_size=120,
)
"""Text with everything that a terminal, a line or a Markdown reader could stumble over."""

_PIECES = st.one_of(
    HOSTILE,
    st.sampled_from(
        ["```py\n", "```\n", "\n\n", "- a\n", "  - b\n", "1. x\n", "> q\n", "| a | b |\n|---|---|\n", "&#27;[2J ",
         "@@ -1 +1 @@\n-a\n+b\n", "--- a/x\n+++ b/x\n", "\x1b]0;title\x07", "\x1b[31mred\x1b[0m", "x" * 300, "~~~\n"]
    ),
)  # fmt: skip
TEXT = st.lists(_PIECES, max_size=8).map("".join)

SPAN = st.sampled_from(["task", "candidate-2"])
CALL = st.sampled_from("abc")


def _spans(kind: Any, **fields: Any) -> st.SearchStrategy[Event]:
    return st.builds(kind, span=SPAN, **fields)


EVENTS = st.one_of(
    _spans(events.RunStarted, task=TEXT, workflow=HOSTILE, repository=HOSTILE),
    _spans(events.Prepared, model=HOSTILE, server=HOSTILE),
    _spans(events.Prepared, sandbox=HOSTILE, why=TEXT),
    _spans(events.UserMessage, text=TEXT, typed=st.just("") | TEXT, steer=st.booleans()),
    _spans(events.TurnStarted, turn=st.integers(1, 99)),
    _spans(events.ThinkingDelta, text=TEXT),
    _spans(events.TextDelta, text=TEXT),
    _spans(
        events.AssistantMessage, text=TEXT, thinking=TEXT, finish=st.sampled_from(["", "length"]), allowed=st.none()
    ),
    _spans(events.ToolStarted, call=CALL, name=HOSTILE, arguments=st.dictionaries(HOSTILE, TEXT, max_size=2)),
    _spans(events.ToolStarted, call=CALL, name=st.just("bash"), arguments=st.fixed_dictionaries({"command": TEXT})),
    _spans(events.ToolOutput, call=CALL, text=TEXT),
    _spans(
        events.ToolFinished, call=CALL, name=HOSTILE, text=TEXT, diff=st.just("") | TEXT, ok=st.booleans(),
        exit=st.none() | st.integers(0, 255),
    ),
    _spans(events.PlanUpdated, steps=st.lists(st.tuples(TEXT, st.booleans()), max_size=3).map(tuple)),
    _spans(events.SuiteRan, stage=HOSTILE, failed=st.integers(0, 3), failing=st.lists(TEXT, max_size=2).map(tuple)),
    _spans(events.Checkpoint, tree=HOSTILE, paths=st.lists(HOSTILE, max_size=7).map(tuple)),
    _spans(events.GateFinished, name=HOSTILE, passed=st.booleans(), detail=TEXT),
    _spans(events.CandidateStarted, index=st.just(1), of=st.just(2), name=HOSTILE),
    _spans(
        events.CandidateFinished, index=st.just(1), name=HOSTILE, outcome=HOSTILE, reason=TEXT, files=st.integers(0, 2),
        tests=st.integers(0, 2), patch=TEXT,
    ),
    _spans(events.CandidateChosen, index=st.just(1), name=HOSTILE, why=TEXT),
    _spans(
        events.Verdict, verdict=st.sampled_from(["APPROVE", "REQUEST_CHANGES"]), summary=TEXT, overruled=st.booleans(),
        findings=st.lists(
            st.builds(
                events.Finding, id=HOSTILE, file=HOSTILE, reason=TEXT, line=st.integers(0, 9), backed=st.booleans(), proof=TEXT,
            ),
            max_size=2,
        ).map(tuple),
    ),
    _spans(events.FindingResolved, finding=HOSTILE, accepted=st.booleans()),
    _spans(events.Masked, messages=st.integers(0, 9)),
    _spans(events.Activity, text=TEXT),
    _spans(events.ApprovalRequested, id=CALL, call=CALL, tool=HOSTILE, what=TEXT),
    _spans(events.ApprovalResolved, id=CALL, answer=HOSTILE, text=TEXT),
    _spans(events.PlanProposed, text=TEXT, steps=st.lists(HOSTILE, max_size=2).map(tuple)),
    _spans(events.Rewound, index=st.integers(-1, 3), messages=st.just(0), paths=st.lists(HOSTILE, max_size=2).map(tuple)),
    _spans(events.Undone, tree=HOSTILE, again=st.booleans()),
    _spans(events.ModeChanged, mode=HOSTILE),
    _spans(events.Restarted, messages=st.just(2), reason=TEXT),
    _spans(events.Note, text=TEXT),
    _spans(events.Warning, text=TEXT),
    _spans(events.Retried, reason=TEXT),
    _spans(
        events.RunFinished, status=HOSTILE, reason=HOSTILE, sentence=TEXT, exit=st.just(1), patch=TEXT, summary=TEXT
    ),
)  # fmt: skip
