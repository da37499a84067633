"""What every backend promises, run against each of them."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.base import Sandbox
from sandbox.errors import SandboxError
from sandbox.guarantees import NAMES
from tests.sandboxes import BACKENDS, SMALL, make_sandbox, make_workspace, opened, sleepers, text

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BACKENDS)
async def box(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sandbox]:
    """One sandbox for the whole module: each test finds it as the tests before have left it."""
    async with opened(request.param, tmp_path_factory.mktemp("box")) as sandbox:
        yield sandbox


# Results


async def test_a_command_runs_in_the_workspace(box: Sandbox) -> None:
    result = await box.run("pwd; cat calc.py", timeout=10)
    assert result.ok
    assert text(result) == "/workspace\ndef add(a, b):\n    return a - b"


@pytest.mark.parametrize(
    ("script", "status"), [("exit 7", 7), ("kill -TERM $$", 143), ("no-such-program", 127)]
)
async def test_the_exit_status_is_the_shells(box: Sandbox, script: str, status: int) -> None:
    assert (await box.run(script, timeout=10)).exit == status


async def test_stdout_and_stderr_arrive_in_the_order_written(box: Sandbox) -> None:
    result = await box.run("for i in 1 2 3 4 5; do echo out$i; echo err$i >&2; done", timeout=10)
    assert text(result).split() == [f"{stream}{i}" for i in range(1, 6) for stream in ("out", "err")]


async def test_the_middle_of_long_output_is_left_out_and_counted(box: Sandbox) -> None:
    result = await box.run("seq 1 20000", timeout=10, cap=100)
    assert result.head.startswith(b"1\n2\n3\n")
    assert result.tail.endswith(b"19999\n20000\n")
    assert len(result.head) + len(result.tail) == 100
    assert result.total_bytes == sum(len(str(i)) + 1 for i in range(1, 20001))
    assert f"[… {result.total_bytes - 100} bytes left out …]" in result.text()


async def test_output_comes_live_and_on_the_loops_thread(box: Sandbox) -> None:
    seen: list[tuple[bytes, float, int]] = []
    begin = time.monotonic()

    def note(data: bytes) -> None:
        seen.append((data, time.monotonic() - begin, threading.get_ident()))

    result = await box.run("echo first; sleep 0.5; echo second", timeout=10, on_output=note)
    assert b"".join(data for data, _, _ in seen) == b"first\nsecond\n"
    assert seen[0][1] < result.seconds - 0.4
    assert {thread for _, _, thread in seen} == {threading.get_ident()}


async def test_an_error_in_the_callers_callback_ends_the_command(box: Sandbox) -> None:
    def fail(data: bytes) -> None:
        raise LookupError(data.decode())

    with pytest.raises(LookupError, match="first"):
        await box.run("echo first; exec sleep 1001.1", timeout=10, on_output=fail)
    assert not sleepers("1001.1")


async def test_quick_commands_lose_no_output(box: Sandbox) -> None:
    for i in range(15):
        assert text(await box.run(f"echo {i}", timeout=10)) == str(i)


# What a command is given


async def test_stdin_is_empty_unless_given(box: Sandbox) -> None:
    assert text(await box.run("cat; echo end", timeout=5)) == "end"
    for program in ("cat", "cat /dev/stdin"):
        assert text(await box.run(f"{program}; echo end", timeout=5, stdin=b"words\n")) == "words\nend"


async def test_a_command_need_not_read_its_input(box: Sandbox) -> None:
    result = await box.run("head -c 5; echo", timeout=10, stdin=b"x" * 3_000_000)
    assert text(result) == "xxxxx"


async def test_output_can_be_opened_by_name(box: Sandbox) -> None:
    assert text(await box.run("echo a >/dev/stdout; echo b >/dev/stderr", timeout=10)).split() == ["a", "b"]


async def test_a_script_larger_than_an_argument_runs(box: Sandbox) -> None:
    script = f"words='{'x' * 300_000}'\necho ${{#words}}\ncat\n"
    assert text(await box.run(script, timeout=10, stdin=b"and its input")) == "300000\nand its input"


async def test_each_command_starts_afresh(box: Sandbox) -> None:
    await box.run("cd /tmp; export LEFT=behind; umask 0", timeout=10)
    assert text(await box.run("pwd; echo ${LEFT-nothing}; umask", timeout=10)).split() == [
        "/workspace",
        "nothing",
        "0022",
    ]


async def test_cwd_is_a_directory_of_the_workspace(box: Sandbox) -> None:
    await box.run("mkdir -p 'a b/c'", timeout=10)
    assert text(await box.run("pwd", timeout=10, cwd="a b/c")) == "/workspace/a b/c"
    assert text(await box.run("pwd", timeout=10, cwd="/workspace/a b")) == "/workspace/a b"
    missing = await box.run("pwd", timeout=10, cwd="nowhere")
    assert missing.exit == 2
    assert "nowhere: No such file" in text(missing)


@pytest.mark.parametrize("cwd", ["..", "a/../..", "/", "/etc", "/workspacex", "/workspace/../etc", "a\0b"])
async def test_cwd_outside_is_refused(box: Sandbox, cwd: str) -> None:
    with pytest.raises(SandboxError, match="not a directory of the workspace"):
        await box.run("pwd", timeout=10, cwd=cwd)


async def test_the_environment_is_ours_and_the_callers(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST_SECRET", "hunter2")
    result = await box.run("env", timeout=10, env={"FROM_CALLER": "a\nb=c"})
    assert "hunter2" not in text(result)
    for line in (
        "FROM_CALLER=a\nb=c",
        "HOME=/home/coder",
        "USER=coder",
        "LANG=C.UTF-8",
        "GIT_TERMINAL_PROMPT=0",
    ):
        assert line in text(result)


@pytest.mark.parametrize("env", [{"A=B": "c"}, {"": "c"}, {"A": "\0"}, {"A": "x" * 200_000}])
async def test_an_impossible_environment_is_refused(box: Sandbox, env: dict[str, str]) -> None:
    with pytest.raises(SandboxError, match="not a usable environment variable"):
        await box.run("env", timeout=10, env=env)


async def test_a_script_with_a_nul_byte_is_refused(box: Sandbox) -> None:
    with pytest.raises(SandboxError, match="NUL"):
        await box.run("echo a\0b", timeout=10)


async def test_python_and_pytest_and_git_work(box: Sandbox) -> None:
    await box.run("printf 'def test_one():\\n    pass\\n' > test_one.py", timeout=10)
    result = await box.run("python3 -m pytest -q -p no:cacheprovider test_one.py", timeout=60)
    assert "1 passed" in text(result)
    committed = await box.run("git add -A && git commit -qm work && git log --format=%an -1", timeout=10)
    assert text(committed) == "coder"


# Ends


async def test_a_command_dies_at_its_deadline(box: Sandbox) -> None:
    result = await box.run("trap '' TERM INT HUP; echo begun; sleep 1002.1 & sleep 1002.2", timeout=0.5)
    assert (result.exit, result.timed_out, result.killed, text(result)) == (137, True, "", "begun")
    assert result.seconds < 5
    assert not sleepers("1002.")
    assert (await box.run("true", timeout=10)).ok


async def test_background_processes_die_with_the_command(box: Sandbox) -> None:
    script = "sleep 1003.1 & setsid nohup sleep 1003.2 >/dev/null 2>&1 & (sleep 1003.3 &) ; echo done; exit 3"
    result = await box.run(script, timeout=10)
    assert (result.exit, text(result)) == (3, "done")
    assert result.seconds < 2
    assert not sleepers("1003.")


async def test_a_cancelled_command_is_dead_before_the_cancellation_is_felt(box: Sandbox) -> None:
    running = asyncio.create_task(box.run("setsid sleep 1004.1 & sleep 1004.2", timeout=60))
    while not sleepers("1004.1"):
        await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not sleepers("1004.")
    assert (await box.run("true", timeout=10)).ok


async def test_a_flood_of_output_ends_the_command(box: Sandbox) -> None:
    result = await box.run("yes; true", timeout=30)
    assert (result.exit, result.killed, result.timed_out) == (137, "output", False)
    assert SMALL.flood_mb << 20 < result.total_bytes < (SMALL.flood_mb + 2) << 20
    assert len(result.head) + len(result.tail) == SMALL.output_bytes
    assert result.seconds < 8
    assert not result.lost


async def test_commands_wait_for_each_other(box: Sandbox) -> None:
    script = "test ! -e /tmp/busy; echo $?; touch /tmp/busy; sleep 0.2; rm /tmp/busy"
    results = await asyncio.gather(*(box.run(script, timeout=10) for _ in range(3)))
    assert [text(result) for result in results] == ["0", "0", "0"]


async def test_a_command_cancelled_at_any_moment_of_its_start_leaves_nothing(box: Sandbox) -> None:
    for delay in (0.0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08):
        running = asyncio.create_task(box.run("sleep 1006.1", timeout=60))
        await asyncio.sleep(delay)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not sleepers("1006.1")
    await asyncio.sleep(0.1)
    assert not sleepers("1006.1")
    assert (await box.run("true", timeout=10)).ok


# Limits


async def test_memory_is_limited_and_the_end_is_explained(box: Sandbox) -> None:
    result = await box.run("python3 -c 'x = bytearray(600 << 20)'", timeout=30)
    memory = next(g for g in box.guarantees() if g.name == "memory")
    if memory.enforced:
        assert (result.exit, result.oom) == (137, True)
    else:
        assert "MemoryError" in text(result)
    assert (await box.run("true", timeout=10)).ok


async def test_a_killed_child_is_noticed_even_when_the_command_goes_on(box: Sandbox) -> None:
    result = await box.run("python3 -c 'x = bytearray(600 << 20)'; echo status $?", timeout=30)
    assert "status" in text(result)
    memory = next(g for g in box.guarantees() if g.name == "memory")
    assert result.oom == memory.enforced


async def test_a_file_cannot_grow_past_its_limit(box: Sandbox) -> None:
    result = await box.run("head -c 70M /dev/zero > big; stat -c %s big; rm big", timeout=30)
    assert text(result).splitlines()[-1] == str(SMALL.file_mb << 20)


@pytest.mark.parametrize("kind", BACKENDS)
async def test_a_workspace_that_grows_too_much_can_only_be_emptied(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as box:
        grow = "for i in $(seq 60); do head -c 10M /dev/urandom > blob$i; sleep 0.1; done"
        result = await box.run(grow, timeout=30)
        assert (result.exit, result.killed) == (137, "disk")
        assert not result.lost
        more = await box.run("head -c 1000 /dev/urandom > blob100 && echo written", timeout=10)
        assert "past its size limit" in text(more)
        assert "written" not in text(more)
        assert (await box.run("rm blob*", timeout=10)).ok
        assert text(await box.run("echo again > file; cat file", timeout=10)) == "again"


@pytest.mark.parametrize("kind", BACKENDS)
async def test_temporary_files_are_limited_too(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as box:
        grow = "for i in $(seq 30); do head -c 10M /dev/urandom > /tmp/blob$i || exit 9; sleep 0.1; done"
        result = await box.run(grow, timeout=30)
        assert (result.exit, "No space left" in text(result)) == (9, True) or (
            result.killed,
            result.lost,
        ) == ("disk", True)
        await box.reset()
        assert text(await box.run("ls /tmp/blob*; echo fine > /tmp/a; cat /tmp/a", timeout=10)).endswith(
            "fine"
        )


# The sandbox itself


async def test_reset_forgets_all_but_the_workspace(box: Sandbox) -> None:
    await box.run("echo kept > kept; echo lost | tee /tmp/lost > ~/lost", timeout=10)
    assert text(await box.run("cat kept /tmp/lost ~/lost", timeout=10)).split() == ["kept", "lost", "lost"]
    await box.reset()
    assert (
        text(await box.run("cat kept; ls -A ~; test -e /tmp/lost || echo gone", timeout=10)) == "kept\ngone"
    )


async def test_files_belong_to_nobody_special(box: Sandbox) -> None:
    await box.run("touch made; chmod 4755 made", timeout=10)
    status = (box.workspace.root / "made").stat()
    assert status.st_uid == box.workspace.uid != 0
    assert text(await box.run("id -u; id -G | wc -w", timeout=10)).split()[0] == str(box.workspace.uid)


async def test_guarantees_name_every_promise_once(box: Sandbox) -> None:
    guarantees = box.guarantees()
    assert tuple(g.name for g in guarantees) == NAMES
    assert all(g.how for g in guarantees)
    assert {g.name for g in guarantees if not g.enforced} <= {"memory", "cpu"}


async def test_a_locked_workspace_is_opened_again(box: Sandbox) -> None:
    await box.run("chmod 000 .", timeout=10)
    assert text(await box.run("pwd; cat calc.py | head -1", timeout=10)) == "/workspace\ndef add(a, b):"


@pytest.mark.parametrize("kind", BACKENDS)
async def test_a_closed_sandbox_leaves_nothing_but_the_workspace(kind: str, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    before = sorted(os.listdir(tmp_path / "state"))
    sandbox = make_sandbox(kind, workspace)
    with pytest.raises(SandboxError, match="not running"):
        await sandbox.run("true", timeout=1)
    await sandbox.start()
    await sandbox.run("echo data > file; echo data > /tmp/file", timeout=10)
    await sandbox.close()
    await sandbox.close()
    assert sorted(os.listdir(tmp_path / "state")) == before
    assert (workspace.root / "file").read_text() == "data\n"
    with pytest.raises(SandboxError, match="not running"):
        await sandbox.run("true", timeout=1)


@pytest.mark.parametrize("kind", BACKENDS)
async def test_closing_ends_the_running_command(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as box:
        running = asyncio.create_task(box.run("sleep 1005.1", timeout=60))
        while not sleepers("1005.1"):
            await asyncio.sleep(0.02)
        await box.close()
        ended = (await asyncio.gather(running, return_exceptions=True))[0]
        assert isinstance(ended, SandboxError) or not ended.ok  # type: ignore[union-attr] # a Result otherwise
        assert not sleepers("1005.1")


async def test_files_open_files_and_core_dumps_have_limits(box: Sandbox) -> None:
    result = await box.run("ulimit -f; ulimit -n; ulimit -c", timeout=10)
    assert [int(word) for word in text(result).split()] == [SMALL.file_mb << 10, 4096, 0]
