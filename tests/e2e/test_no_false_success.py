"""Exit 0 means a patch whose tests were seen to fail before and pass after. Each other ending says what it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import EDIT, LIST, SUBMIT, TEST, Coder, scripted, tree
from tests.scripted_server import Turn, gives_up

BASH = "bash"
WRONG = Turn(
    calls=[
        (
            "str_replace_editor",
            {"command": "str_replace", "path": "calc.py", "old_str": "a - b", "new_str": "a * b"},
        )
    ]
)
CHEAT = Turn(
    calls=[
        (
            "str_replace_editor",
            {"command": "str_replace", "path": "test_calc.py", "old_str": "== 5", "new_str": "== -1"},
        )
    ]
)
CONFTEST = "import pytest\n\n\ndef pytest_collection_modifyitems(items):\n    items.clear()\n"
PLUGIN = Turn(
    calls=[("str_replace_editor", {"command": "create", "path": "conftest.py", "file_text": CONFTEST})]
)
GIVE_UP = gives_up("the test contradicts itself")
FORGED = Turn(
    calls=[(BASH, {"command": "printf 'import os\\nprint(\"2 passed\")\\nos._exit(0)\\n' > calc.py"})]
)

ENDINGS = [
    pytest.param([Turn(text="")], 1, "empty_answers", id="empty answers"),
    pytest.param([Turn(text="I fixed it, all tests pass!")], 1, "no_tool_call", id="only words"),
    pytest.param([Turn(thinking="hm", text="")], 1, "empty_answers", id="only thoughts"),
    pytest.param([Turn(text="", finish="length")], 1, "empty_answers", id="cut"),
    pytest.param([Turn(text='<tool_call>{"name": "bash", "argu')], 1, "stuck", id="half a call"),
    pytest.param([LIST, SUBMIT], 1, "stuck", id="submits without a change"),
    pytest.param([LIST], 1, "stuck", id="the same call for ever"),
    pytest.param([WRONG, TEST, SUBMIT, GIVE_UP], 1, "gate:fixed", id="a wrong change, then gives up"),
    pytest.param([WRONG, TEST, SUBMIT], 1, "gate:fixed", id="insists on a wrong change"),
    pytest.param([CHEAT, TEST, SUBMIT, GIVE_UP], 1, "gate:tests-unchanged", id="changes the test"),
    pytest.param([PLUGIN, TEST, SUBMIT, GIVE_UP], 1, "gate:tests-unchanged", id="switches the tests off"),
    pytest.param([FORGED, TEST, SUBMIT, GIVE_UP], 1, "gate:fixed", id="forges the verdict"),
    pytest.param([GIVE_UP], 1, "gave_up", id="gives up"),
    pytest.param([Turn(calls=[("no_such_tool", {})]), GIVE_UP], 1, "gave_up", id="unknown tool"),
    pytest.param([Turn(calls=[(BASH, '{"command": "ls')]), GIVE_UP], 1, "gave_up", id="cut arguments"),
]


@pytest.mark.parametrize(("turns", "status", "reason"), ENDINGS)
def test_each_ending_has_its_own_status_and_sentence(
    repository: Path, coder: Coder, turns: list[Turn], status: int, reason: str
) -> None:
    before = tree(repository)
    with scripted(turns, after="repeat") as server:
        done = coder(server, "--max-turns", "16", "--apply")
    assert (done.exit, done.result["reason"]) == (status, reason), done.result
    assert done.result["status"] != "solved"
    assert len(done.result["sentence"]) > 10
    assert tree(repository) == before


def test_the_best_attempt_is_still_written(repository: Path, coder: Coder, tmp_path: Path) -> None:
    patch = tmp_path / "attempt.diff"
    with scripted([WRONG, TEST, SUBMIT], after="repeat") as server:
        done = coder(server, "--patch", str(patch))
    assert done.exit == 1
    assert "+    return a * b" in patch.read_text()
    assert done.result["patch"] == patch.read_text()


def test_the_refused_submit_tells_the_model_why(coder: Coder) -> None:
    with scripted([WRONG, TEST, SUBMIT, EDIT, GIVE_UP]) as server:
        coder(server)
        told = server.requests[3].body["messages"][-1]["content"]
    assert told.startswith("The failing test does not pass yet.")
    assert "assert" in told


def test_a_test_that_passes_already_is_said_at_once(repository: Path, coder: Coder) -> None:
    with scripted([Turn(calls=[(BASH, {"command": "sleep 20"})])], after="repeat") as server:
        done = coder(server, task="test_double")
    assert (done.exit, done.result["reason"]) == (1, "already_passes")


def test_a_cap_on_time_holds_in_the_middle_of_an_answer(repository: Path, coder: Coder) -> None:
    with scripted([Turn(text="x" * 100, hang_after=3)]) as server:
        done = coder(server, "--timeout", "3")
        assert server.requests[0].left or server.requests[0].finished
    assert (done.exit, done.result["reason"]) == (3, "seconds")


def test_a_cap_on_tokens_holds(coder: Coder) -> None:
    usage = {"prompt_tokens": 900, "completion_tokens": 200, "total_tokens": 1100}
    turns = [Turn(calls=[(BASH, {"command": f"echo {n}"})], usage=usage) for n in range(9)]
    with scripted(turns) as server:
        done = coder(server, "--max-tokens", "2000")
    assert (done.exit, done.result["reason"]) == (3, "tokens")
    assert done.result["usage"]["requests"] == 2


def test_a_test_file_that_cannot_be_imported_hides_no_regression(repository: Path, coder: Coder) -> None:
    """pytest would run nothing at all beside it, so nothing would have been seen to pass before."""
    (repository / "test_elsewhere.py").write_text("import nowhere\n")
    breaks = Turn(
        calls=[(BASH, {"command": "sed -i 's/a - b/a + b/; s/a \\* 2/a * 3/' calc.py && cat calc.py"})]
    )
    with scripted([breaks, TEST, SUBMIT], after="repeat") as server:
        done = coder(server, task="test_add fails")
    assert done.result["reason"] == "gate:no-regressions", done.result
    assert "test_calc.py::test_double" in done.result["sentence"]


def test_a_test_file_that_cannot_be_imported_is_in_nobodys_way(repository: Path, coder: Coder) -> None:
    """What it imports may not be installed here."""
    (repository / "test_elsewhere.py").write_text("import nowhere\n")
    with scripted([EDIT, TEST, SUBMIT], after="repeat") as server:
        done = coder(server, task="test_add fails")
    assert done.exit == 0, done.result
