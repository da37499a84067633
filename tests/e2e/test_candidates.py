"""Several candidates over real HTTP: planted sets in which the right one must win, and for the right reason."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coder.events import SuiteRan
from coder.journal import load
from coder.review_events import CandidateChosen, CandidateFinished
from tests.e2e.conftest import Coder, git, tree
from tests.scripted_server import ScriptedServer, Turn, gives_up

RIGHT = "sed -i 's/a - b/a + b/' calc.py"
SPECIAL = "printf 'def add(a, b):\\n    return 2 if a == b == 1 else a - b\\n\\n\\ndef double(a):\\n    return a * 2\\n' > calc.py"
TAMPERS = "echo 'def test_add(): pass' > test_calc.py"
GIANT = f"{RIGHT}; python3 -c \"print('\\n'.join(f'def helper_{{n}}(x):\\n    return x + {{n}}\\n\\n' for n in range(120)))\" >> calc.py"
STRONG = "printf 'from calc import add\\n\\n\\ndef test_sums():\\n    assert add(2, 3) == 5\\n    assert add(-1, 1) == 0\\n' > test_sums.py"
WEAK = "printf 'from calc import add\\n\\n\\ndef test_one():\\n    assert add(1, 1) == 2\\n' > test_one.py"
TEST = Turn(calls=[("run_tests", {})])
GIVES_UP = gives_up("I cannot")


def turns(*commands: str) -> list[Turn]:
    works = Turn(calls=[("bash", {"command": "; ".join(commands)})])
    return [works, TEST, Turn(calls=[("submit", {"summary": "add added nothing"})])]


class Several:
    """A server for candidates: who begins is the next one, and every conversation carries its own mark."""

    def __init__(self, *scripts: Sequence[Turn], prefers: str = "") -> None:
        self.scripts, self.prefers = scripts, prefers
        self.begun = self.preferences = 0
        self.prompts: list[list[Any]] = []
        self._lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Turn:
        names = {tool["function"]["name"] for tool in body.get("tools", ())}
        if "prefer" in names:
            self.preferences += 1
            text = body["messages"][1]["content"]
            first = text.partition("# Change B")[0]
            return Turn(calls=[("prefer", {"choice": "A" if self.prefers in first else "B"})])
        said = [message for message in body["messages"] if message["role"] == "assistant"]
        if not said:
            with self._lock:
                self.begun += 1
                self.prompts.append(body["messages"])
                return self._marked(self.begun - 1, 0)
        mark = int(json.dumps(said[0]).partition("candidate-mark-")[2][0])
        return self._marked(mark, len(said))

    def _marked(self, which: int, step: int) -> Turn:
        script = self.scripts[which]
        turn = script[step] if step < len(script) else GIVES_UP
        if step:
            return turn
        ((name, arguments),) = turn.calls
        assert isinstance(arguments, dict)
        return replace(turn, calls=[(name, {"command": f"{arguments['command']}; : candidate-mark-{which}"})])


def run(coder: Coder, several: Several, *flags: str, task: str = "failing test") -> Any:
    with ScriptedServer([several], model="scripted-model", after="repeat") as server:
        return coder(server, "--candidates", str(len(several.scripts)), *flags, task=task)


def told(result: dict[str, Any]) -> tuple[dict[int, CandidateFinished], list[CandidateChosen]]:
    stream = list(load(Path(result["journal"])))
    finished = {event.index: event for event in stream if isinstance(event, CandidateFinished)}
    return finished, [event for event in stream if isinstance(event, CandidateChosen)]


@pytest.mark.timeout(400)
def test_the_right_one_wins_by_the_tests_that_candidates_wrote(repository: Path, coder: Coder) -> None:
    """A described bug, no failing test: one special-cases and passes its own weak test, one is right, one changes the tests."""
    (repository / "test_calc.py").write_text(
        "from calc import double\n\n\ndef test_double():\n    assert double(4) == 8\n"
    )
    git(repository, "commit", "-qam", "no test of add")
    several = Several(turns(SPECIAL, WEAK), turns(RIGHT, STRONG), turns(RIGHT, TAMPERS))
    done = run(coder, several, task="adding gives wrong sums")
    assert done.exit == 0, done.stderr
    finished, (chosen,) = told(done.result)
    assert "+    return a + b" in done.result["patch"]
    right, special, tampers = (
        next(each for each in finished.values() if mark in each.patch)
        for mark in ("test_sums", "test_one", "def test_add(): pass")
    )
    assert (chosen.index, right.votes, right.tests) == (right.index, 1, 1)
    assert (special.outcome, special.votes, special.tests) == ("passed", 0, 1)
    assert tampers.outcome == "failed"
    assert "more than with any other" in chosen.why
    assert done.result["evidence"]["candidates"]["chosen"] == right.name


def test_nobody_wins_by_majority(repository: Path, coder: Coder) -> None:
    """Two of three write the same special case; the gates know better."""
    several = Several(turns(SPECIAL), turns(SPECIAL), turns(RIGHT))
    done = run(coder, several)
    assert done.exit == 0, done.stderr
    finished, (chosen,) = told(done.result)
    assert "a + b" in finished[chosen.index].patch
    assert chosen.why == "it alone passed every gate"
    assert [each.outcome for each in finished.values() if each.index != chosen.index] == ["failed"] * 2


def test_the_smaller_of_two_that_nothing_tells_apart(repository: Path, coder: Coder) -> None:
    several = Several(
        turns(f"{RIGHT}; sed -i 's/return a [*] 2/return 2 * a/' calc.py"), turns(RIGHT), prefers="neither"
    )
    done = run(coder, several)
    assert done.exit == 0, done.stderr
    _, (chosen,) = told(done.result)
    assert several.preferences == 2
    assert "2 * a" not in done.result["patch"]
    assert "smallest change" in chosen.why


def test_two_that_differ_in_comments_only_are_the_same_change(repository: Path, coder: Coder) -> None:
    several = Several(turns(RIGHT), turns(f"{RIGHT}; sed -i 's/a + b/a + b  # the sum/' calc.py"))
    done = run(coder, several)
    assert done.exit == 0, done.stderr
    _, (chosen,) = told(done.result)
    assert several.preferences == 0
    assert chosen.why == "2 of the candidates passed every gate, all with the same change"


def test_what_the_tests_say_before_is_seen_once_for_all(coder: Coder) -> None:
    first, *rest = turns(RIGHT)
    several = Several([replace(first, delay=6.0), *rest], turns(RIGHT), turns(RIGHT))
    done = run(coder, several)
    assert done.exit == 0, done.stderr
    before = [
        each
        for each in load(Path(done.result["journal"]))
        if isinstance(each, SuiteRan) and each.stage == "before"
    ]
    assert len(before) == 1


def test_a_model_that_is_too_small_for_tools_is_not_asked_for_its_preference(coder: Coder) -> None:
    sums = iter(["a + b", "b + a", "sum((a, b))"] * 9)

    def repairs(body: dict[str, Any]) -> Turn:
        return Turn(text=f"```python\ndef add(a, b):\n    return {next(sums)}\n```")

    with ScriptedServer([repairs], model="scripted-model", after="repeat") as server:
        done = coder(server, "--candidates", "2", "--strategy", "repair")
        assert not any(request.body.get("tools") for request in server.requests)
    assert done.exit == 0, done.stderr
    _, (chosen,) = told(done.result)
    assert "first in the plan" in chosen.why


def test_a_preference_in_both_orders_counts(repository: Path, coder: Coder) -> None:
    several = Several(
        turns(f"{RIGHT}; sed -i 's/return a [*] 2/return 2 * a/' calc.py"),
        turns(RIGHT),
        prefers="+    return 2 * a",
    )
    done = run(coder, several)
    _, (chosen,) = told(done.result)
    assert "2 * a" in done.result["patch"]
    assert "in either order" in chosen.why


def test_none_passes(repository: Path, coder: Coder) -> None:
    before = tree(repository)
    several = Several(turns(SPECIAL), turns(f"{RIGHT}; {TAMPERS}"))
    done = run(coder, several, "--apply")
    assert (done.exit, done.result["reason"]) == (1, "candidates")
    assert done.result["patch"]
    assert tree(repository) == before


def test_all_begin_with_the_same_words(repository: Path, coder: Coder) -> None:
    """So that the server reads them once."""
    several = Several(turns(RIGHT), turns(RIGHT), turns(RIGHT), turns(RIGHT))
    assert run(coder, several, "--apply").exit == 0
    assert all(messages == several.prompts[0] for messages in several.prompts)
    assert "a + b" in (repository / "calc.py").read_text()
    assert sorted(path.name for path in repository.iterdir()) == [".git", "calc.py", "test_calc.py"]


def test_the_others_begin_when_the_first_answer_does(coder: Coder) -> None:
    """Its prompt is in the server's cache by then; nobody waits for the end of that answer."""
    first, *rest = turns(RIGHT)
    several = Several([replace(first, text="I see what is wrong here.", pause=0.5), *rest], turns(RIGHT))
    with ScriptedServer([several], model="scripted-model", after="repeat") as server:
        assert coder(server, "--candidates", "2").exit == 0
        slow, other = server.requests[:2]
        assert slow.started < other.started < slow.finished


def test_a_model_that_always_says_the_same_says_something_else_as_another_candidate(coder: Coder) -> None:
    several = Several(turns(RIGHT), turns(RIGHT))
    with ScriptedServer([several], model="scripted-model", after="repeat") as server:
        assert coder(server, "--candidates", "2", "--profile", "small-coder").exit == 0
        begun = [request.body for request in server.requests if len(request.body["messages"]) == 2]
    assert sorted(body["temperature"] for body in begun) == [0.0, 0.8]


def test_the_rest_is_stopped_when_enough_agree(repository: Path, coder: Coder) -> None:
    slow = [Turn(calls=[("bash", {"command": "sleep 100"})]), TEST]
    several = Several(turns(RIGHT), turns(RIGHT), slow, slow)
    done = run(coder, several)
    assert done.exit == 0, done.stderr
    finished, _ = told(done.result)
    assert sorted(each.outcome for each in finished.values()) == ["passed", "passed", "stopped", "stopped"]
    assert done.result["timings"]["seconds"] < 90
