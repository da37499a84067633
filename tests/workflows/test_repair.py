"""Guided repair on real files with real pytest runs; only the model's answers are written by hand."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from textwrap import dedent

import pytest

from coder.errors import LimitReached
from coder.workflows.repair import Failure, RepairOutcome, TestOutcome, plan, repair
from coder.workflows.share import Share
from coder.workflows.trace import plugin_source, read_trace, trace_command

CALC = """\
def double(x):
    return x * 3


def negative(x):
    return x


def both(x):
    return negative(double(x))
"""
TEST_CALC = """\
from calc import both, double, negative


def test_double():
    assert double(2) == 4


def test_negative():
    assert negative(2) == -2


def test_zero():
    assert both(0) == 0
"""
RIGHT_DOUBLE = "It triples.\n```python\ndef double(x):\n    return x * 2\n```"
WRONG_DOUBLE = "```python\ndef double(x):\n    return x * 4\n```"
RIGHT_NEGATIVE = "It does nothing.\n```python\ndef negative(x):\n    return -x\n```"


class FolderBench:
    """Files in a folder, pytest in a subprocess, answers from a list."""

    def __init__(self, root: Path, answers: Sequence[str]) -> None:
        self.root = root
        self.answers = list(answers)
        self.asked: list[list[dict[str, str]]] = []
        self.temperatures: list[float] = []
        self.seeds: list[int | None] = []
        self.notes: list[str] = []
        self.runs: list[tuple[str, ...]] = []

    def files(self) -> list[str]:
        return sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file())

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        (self.root / path).write_bytes(data)

    async def test(self, targets: Sequence[str]) -> TestOutcome:
        self.runs.append(tuple(targets))
        done = self._python("-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "--color=no", *targets)
        failed = tuple(re.findall(r"^FAILED (\S+)", done.stdout, re.MULTILINE))
        return TestOutcome(done.returncode == 0, failed, done.stdout)

    def _python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-B", *arguments]
        # Without the plugins of this project's environment each run takes a fraction of the time.
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=60
        )

    async def trace(self, targets: Sequence[str]) -> str:
        command = ["bash", "-c", trace_command(sys.executable, targets)]
        done = subprocess.run(command, cwd=self.root, input=plugin_source(), capture_output=True, timeout=60)
        return done.stdout.decode()

    async def ask(
        self,
        messages: list[dict[str, str]],
        *,
        temperature: float,
        max_tokens: int,
        seed: int | None,
        done: Callable[[str], bool],
    ) -> str:
        if not self.answers:
            raise LimitReached("tokens", "no more answers")
        self.asked.append([dict(message) for message in messages])
        self.temperatures.append(temperature)
        self.seeds.append(seed)
        return self.answers.pop(0)

    async def note(self, text: str) -> None:
        self.notes.append(text)

    def remaining(self) -> bool:
        return bool(self.answers)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "calc.py").write_text(CALC)
    (tmp_path / "test_calc.py").write_text(TEST_CALC)
    return tmp_path


def run(bench: FolderBench, *tests: str, **options) -> RepairOutcome:
    before = asyncio.run(bench.test(tests))
    return asyncio.run(repair(bench, Failure(before.failed, before.output), **options))


def test_samples_are_taken_until_the_failing_test_passes(root):
    bench = FolderBench(root, ["I do not know.", WRONG_DOUBLE, WRONG_DOUBLE, RIGHT_DOUBLE])
    outcome = run(bench, "test_calc.py::test_double", regression=["test_calc.py::test_zero"])
    assert outcome == RepairOutcome(True, 4, {"calc.py": ("double",)}, "It triples.")
    assert (root / "calc.py").read_text() == CALC.replace("x * 3", "x * 2")
    assert [note.split(": ", 1)[1] for note in bench.notes] == [
        "the answer has no Python function that parses: not tested",
        "double: still failing",
        "the same answer as before: not tested",
        "double: the tests pass",
    ]


def test_the_first_prompt_shows_what_the_test_ran_and_what_it_returned(root):
    bench = FolderBench(root, [RIGHT_DOUBLE])
    run(bench, "test_calc.py::test_double", task="Doubling is broken since Monday.")
    prompt = bench.asked[0][0]["content"]
    assert "def double(x):" in prompt
    assert "double(x=2) returned 6" in prompt
    assert "assert 6 == 4" in prompt
    assert "Doubling is broken since Monday." in prompt
    assert "def negative" not in prompt
    assert bench.temperatures == [0.0]


def test_later_prompts_hide_the_suspected_code(root):
    bench = FolderBench(root, [WRONG_DOUBLE, RIGHT_DOUBLE])
    run(bench, "test_calc.py::test_double")
    assert "return x * 3" in bench.asked[0][0]["content"]
    assert "return x * 3" not in bench.asked[1][0]["content"]


def test_an_answer_without_code_is_asked_for_its_code_in_the_same_conversation(root):
    bench = FolderBench(root, ["It triples.", RIGHT_DOUBLE])
    assert run(bench, "test_calc.py::test_double").solved
    first, second = bench.asked
    assert second[: len(first)] == first
    assert [message["role"] for message in second] == ["user", "assistant", "user"]


def test_a_new_exception_is_told_to_the_model(root):
    broken = "```python\ndef double(x):\n    return x * two\n```"
    bench = FolderBench(root, [broken, RIGHT_DOUBLE])
    assert run(bench, "test_calc.py::test_double").solved
    assert "NameError: name 'two' is not defined" in bench.asked[1][-1]["content"]


def test_two_bugs_are_repaired_one_after_the_other(root):
    bench = FolderBench(root, [RIGHT_DOUBLE, RIGHT_NEGATIVE])
    outcome = run(bench, "test_calc.py::test_double", "test_calc.py::test_negative")
    assert outcome.solved
    assert outcome.changed == {"calc.py": ("double", "negative")}
    assert (root / "calc.py").read_text() == CALC.replace("x * 3", "x * 2").replace(
        "return x\n", "return -x\n"
    )


def test_what_breaks_other_tests_is_not_kept(root):
    breaks = "```python\ndef double(x):\n    return 4\n```"
    bench = FolderBench(root, [breaks])
    outcome = run(bench, "test_calc.py::test_double", regression=["test_calc.py::test_zero"])
    assert not outcome.solved
    assert bench.notes == ["sample 1: double: breaks other tests"]
    assert (root / "calc.py").read_text() == CALC


def test_a_partial_repair_stays_when_nothing_better_comes(root):
    bench = FolderBench(root, [RIGHT_DOUBLE, WRONG_DOUBLE, WRONG_DOUBLE])
    outcome = run(bench, "test_calc.py::test_double", "test_calc.py::test_negative")
    assert not outcome.solved
    assert outcome.changed == {"calc.py": ("double",)}
    assert (root / "calc.py").read_text() == CALC.replace("x * 3", "x * 2")


def test_a_run_without_a_list_of_failures_is_no_progress(root):
    bench = FolderBench(root, ["```python\ndef double(x):\n    raise SystemExit\n```", WRONG_DOUBLE])
    real = bench.test

    async def without_names(targets: Sequence[str]) -> TestOutcome:
        return replace(await real(targets), failed=())

    before = asyncio.run(bench.test(["test_calc.py::test_double", "test_calc.py::test_negative"]))
    bench.test = without_names
    outcome = asyncio.run(repair(bench, Failure(before.failed, before.output)))
    assert outcome == RepairOutcome(False, 2)
    assert (root / "calc.py").read_text() == CALC


def test_a_limit_ends_the_repair_and_the_files_are_as_before(root):
    bench = FolderBench(root, [WRONG_DOUBLE])
    bench.remaining = lambda: True
    with pytest.raises(LimitReached):
        run(bench, "test_calc.py::test_double")
    assert (root / "calc.py").read_text() == CALC


def test_test_files_are_never_written(root):
    cheat = "```python\ndef test_double():\n    pass\n```"
    bench = FolderBench(root, [cheat, cheat])
    assert not run(bench, "test_calc.py::test_double").solved
    assert (root / "test_calc.py").read_text() == TEST_CALC


def test_the_number_of_attempts_is_a_limit(root):
    bench = FolderBench(root, [WRONG_DOUBLE, RIGHT_DOUBLE])
    assert run(bench, "test_calc.py::test_double", attempts=1) == RepairOutcome(False, 1)


def test_without_a_trace_the_static_order_serves(root):
    bench = FolderBench(root, [RIGHT_DOUBLE])
    bench.trace = nothing
    assert run(bench, "test_calc.py::test_double").solved


async def nothing(targets: Sequence[str]) -> str:
    return "no trace: [unreadable"


def test_a_repository_without_suspects_ends_at_once(tmp_path):
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert 0\n")
    bench = FolderBench(tmp_path, [WRONG_DOUBLE] * 3)
    assert run(bench, "test_it.py").solved is False


def test_the_plan_varies_the_view_before_it_repeats():
    first = list(islice(plan(()), 3))
    assert [attempt.temperature for attempt in first] == [0.0, 0.8, 0.8]


def test_attempts_side_by_side_share_the_plan_and_never_ask_the_same(root):
    elsewhere = "```python\ndef nothing_of_this():\n    pass\n```"
    whole, first, second = (FolderBench(root, [elsewhere] * count) for count in (6, 3, 3))
    run(whole, "test_calc.py::test_double")
    run(first, "test_calc.py::test_double", share=Share(0, 2))
    run(second, "test_calc.py::test_double", share=Share(1, 2))
    assert (first.asked, second.asked) == (whole.asked[::2], whole.asked[1::2])
    assert (whole.seeds, first.seeds, second.seeds) == ([1, 2, 3, 4, 5, 6], [1, 3, 5], [2, 4, 6])


def test_a_trace_has_calls_arguments_results_and_exceptions(tmp_path):
    (tmp_path / "lib.py").write_text(
        dedent("""\
        class Box:
            def __init__(self, size):
                self.size = size

            def half(self):
                return self.size / 2


        def fail(x):
            raise ValueError(x)


        def numbers(n):
            yield from range(n)
        """)
    )
    (tmp_path / "test_lib.py").write_text(
        dedent("""\
        from lib import Box, fail, numbers

        def test_it():
            assert list(numbers(2)) == [0, 1]
            assert Box(3).half() == 1
            assert fail("no")

        def test_fail():
            fail("no")
        """)
    )
    bench = FolderBench(tmp_path, [])
    calls = read_trace(asyncio.run(bench.trace(["test_lib.py"])))
    texts = [call.text() for call in calls if call.path == "lib.py"]
    assert "half(self=Box(size=3)) returned 1.5" in texts
    assert "fail(x='no') raised the exception" in texts
    assert calls[-1].test == "test_lib.py::test_fail"
    assert bench.files() == ["lib.py", "test_lib.py"]


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '[{"path": 1}]', "[" * 100_000, '[{"arguments": 3, "line": 1}]']
)
def test_what_is_no_trace_gives_no_calls(text):
    assert read_trace(text) == ()
