"""Real pytest runs in a real sandbox: what they prove, and what hostile tests cannot make them prove."""

from __future__ import annotations

import pytest

from tests.tools.attempts import QUICK, Open
from tools.base import Context, TestCounts
from tools.testing import TestRun, pytest_command, run_command_tests, run_pytest

GOOD = "def test_a():\n    pass\n\n\nclass TestB:\n    def test_b(self):\n        pass\n"
BAD = "def test_c():\n    assert 1 == 2\n"


async def run(context: Context, *targets: str, **more: object) -> TestRun:
    return await run_pytest(context.sandbox, targets, **{"timeout": 30, "command": QUICK, **more})  # type: ignore[arg-type] # mypy: mixed kinds


async def test_passing_tests_give_a_report_with_their_ids(attempt: Open) -> None:
    context = await attempt({"tests/test_good.py": GOOD})
    done = await run(context)
    assert done.ok
    assert done.report is not None
    assert done.report.passed == {"tests/test_good.py::test_a", "tests/test_good.py::TestB::test_b"}
    assert (done.exit, done.trouble) == (0, "")


async def test_ids_from_a_report_select_those_tests_again(attempt: Open) -> None:
    parametrized = "import pytest\n\n\n@pytest.mark.parametrize('x', ['a b', 'c[1]::d', \"e'f\"])\ndef test_p(x):\n    pass\n"
    context = await attempt({"tests/test_p.py": parametrized})
    first = await run(context)
    assert first.report is not None
    chosen = sorted(first.report.passed)[:2]
    again = await run(context, *chosen)
    assert again.report is not None
    assert again.report.passed == set(chosen)


async def test_failing_tests_are_told_from_passing_ones(attempt: Open) -> None:
    context = await attempt({"test_good.py": GOOD, "test_bad.py": BAD})
    done = await run(context)
    assert not done.ok
    assert done.counts == TestCounts(passed=2, failed=1)
    assert (done.exit, done.trouble) == (1, "")


async def test_a_module_that_cannot_be_imported_is_an_error_and_the_others_run(attempt: Open) -> None:
    context = await attempt({"test_good.py": GOOD, "test_broken.py": "import nothing_there\n"})
    done = await run(context)
    assert done.report is not None
    assert done.report.errors == {"test_broken.py"}
    assert len(done.report.passed) == 2
    assert (done.exit, done.trouble) == (1, "")


async def test_no_trace_of_the_report_stays(attempt: Open) -> None:
    context = await attempt({"test_good.py": GOOD})
    before = context.sandbox.workspace.snapshot()
    await run(context)
    assert context.sandbox.workspace.snapshot() == before
    assert [entry.path for entry in context.sandbox.workspace.list()] == ["test_good.py"]


@pytest.mark.parametrize(
    ("content", "trouble"),
    [
        (
            "import os\n\ndef test_a():\n    print('10 passed', flush=True)\n    os._exit(0)\n",
            "exit status 0 and no report",
        ),
        ("", "no tests were collected"),
        ("import sys\nsys.exit(0)\n", "pytest broke down: SystemExit: 0"),
    ],
)
async def test_a_run_without_evidence_proves_nothing(attempt: Open, content: str, trouble: str) -> None:
    context = await attempt({"test_a.py": content})
    done = await run(context)
    assert not done.ok
    assert done.report is None
    assert trouble in done.trouble or "do not agree" in done.trouble


async def test_a_forged_report_that_contradicts_the_exit_status_is_dropped(attempt: Open) -> None:
    forger = (
        "import atexit, os, sys\n"
        "name = next(a.split('=')[1] for a in sys.argv if a.startswith('--junitxml='))\n"
        'good = \'<testsuites><testsuite><testcase classname="test_a" name="test_a"/></testsuite></testsuites>\'\n'
        "atexit.register(lambda: open(name, 'w').write(good))\n\n"
        "def test_a():\n    assert False\n"
    )
    context = await attempt({"test_a.py": forger})
    done = await run(context)
    assert not done.ok
    assert done.report is None
    assert "do not agree" in done.trouble


@pytest.mark.parametrize("trap", ["os.symlink('/etc/passwd', name)", "os.mkfifo(name)", "os.mkdir(name)"])
async def test_a_trap_in_place_of_the_report_is_no_report(attempt: Open, trap: str) -> None:
    test = (
        "import os, sys\n\ndef test_a():\n"
        "    name = next(a.split('=')[1] for a in sys.argv if a.startswith('--junitxml='))\n"
        f"    {trap}\n    os._exit(0)\n"
    )
    context = await attempt({"test_a.py": test})
    done = await run(context)
    assert not done.ok
    assert done.report is None
    assert "root:" not in done.trouble + done.output


async def test_endless_tests_are_stopped_and_said_so(attempt: Open) -> None:
    context = await attempt({"test_a.py": "import time\n\ndef test_a():\n    time.sleep(60)\n"})
    done = await run(context, timeout=2)
    assert done.timed_out
    assert not done.ok
    assert "killed after 2 s" in done.trouble


async def test_a_wrong_target_is_a_usage_problem(attempt: Open) -> None:
    context = await attempt({"test_good.py": GOOD})
    done = await run(context, "test_good.py::test_nowhere")
    assert "did not start" in done.trouble or "no tests" in done.trouble
    assert not done.ok


async def test_a_breakdown_of_pytest_itself_is_no_failing_test(attempt: Open) -> None:
    breaks = "def pytest_collection_finish(session):\n    raise RuntimeError('no such service')\n"
    context = await attempt({"test_good.py": GOOD, "conftest.py": breaks})
    done = await run(context)
    assert done.report is None
    assert done.trouble == "pytest broke down: RuntimeError: no such service"


async def test_an_interpreter_without_pytest_is_named(attempt: Open) -> None:
    context = await attempt({"test_good.py": GOOD})
    assert (
        await run(context, command="/usr/bin/python3 -S -m pytest")
    ).trouble == "pytest is not installed in the sandbox"


async def test_a_repository_whose_options_need_the_cache_still_runs(attempt: Open) -> None:
    context = await attempt({"test_good.py": GOOD, "pytest.ini": "[pytest]\naddopts = --lf\n"})
    assert (await run(context)).ok
    assert not context.sandbox.workspace.changes()


async def test_options_of_a_plugin_that_is_missing_are_left_out_and_said_so(attempt: Open) -> None:
    context = await attempt({"test_good.py": GOOD, "pytest.ini": "[pytest]\naddopts = --cov=nothing\n"})
    done = await run(context)
    assert done.ok
    assert done.note == "the repository's addopts were left out"


async def test_ids_hold_where_pytest_has_its_root_deeper_down(attempt: Open) -> None:
    context = await attempt({"lib/tests/test_good.py": GOOD, "lib/pytest.ini": "[pytest]\n"})
    done = await run(context, "lib/tests/test_good.py::test_a")
    assert done.report is not None
    assert done.report.passed == {"lib/tests/test_good.py::test_a"}


async def test_any_command_is_judged_by_its_exit_status(attempt: Open) -> None:
    context = await attempt({})
    assert (await run_command_tests(context.sandbox, "echo fine", timeout=10)).ok
    failed = await run_command_tests(context.sandbox, "echo no; exit 2", timeout=10)
    assert (failed.ok, failed.exit, failed.report) == (False, 2, None)
    assert failed.output == "no\n"


async def test_a_command_that_runs_pytest_gives_a_report_all_the_same(attempt: Open) -> None:
    context = await attempt({"test_good.py": GOOD, "run.sh": f"cd . && {QUICK} -q\n"})
    done = await run_command_tests(context.sandbox, "bash run.sh", timeout=30)
    assert done.ok
    assert done.counts == TestCounts(passed=2)


@pytest.mark.parametrize(
    ("command", "split"),
    [
        ("python -m pytest -x tests", ("python -m pytest", ["-x", "tests"])),
        ("pytest", ("pytest", [])),
        ("uv run pytest -q", ("uv run pytest", ["-q"])),
        ("A='1 2' .venv/bin/pytest", ("A='1 2' .venv/bin/pytest", [])),
        ("make test", None),
        ("cd a && pytest", None),
        ("pytest | tee log", None),
        ("pytest 'unclosed", None),
    ],
)
def test_a_plain_call_of_pytest_is_recognised(command: str, split: tuple[str, list[str]] | None) -> None:
    assert pytest_command(command) == split
