"""The bubblewrap backend's own ways: Python from outside, mount points, ordinary users, ends."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from sandbox import cgroups, host
from sandbox.base import Policy
from sandbox.bubblewrap import Bubblewrap
from sandbox.choose import open_sandbox
from sandbox.errors import SandboxUnavailable
from sandbox.toolchain import Mount, Toolchain, detect
from tests.sandboxes import (
    CODE,
    SMALL,
    code_for_everybody,
    make_workspace,
    opened,
    own_python,
    sleepers,
    text,
)

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become others")


async def started(sandbox: Bubblewrap) -> Bubblewrap:
    await sandbox.start()
    return sandbox


# Python from outside


async def test_the_repositorys_environment_works_at_its_own_path(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, {"src/app.py": "NAME = 'original'\n", ".gitignore": ".venv\n"})
    environment = workspace.source / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    site = next(environment.glob("lib/python3*/site-packages"))
    (site / "editable.pth").write_text(f"{workspace.source}/src\n")
    script = environment / "bin" / "show"
    script.write_text(f"#!{environment}/bin/python\nimport app, sys\nprint(app.NAME, sys.prefix)\n")
    script.chmod(0o755)
    workspace.write("src/app.py", b"NAME = 'changed'\n")

    sandbox = await started(
        Bubblewrap(workspace, SMALL, toolchain=detect(workspace.source, {}, Path(sys.executable)))
    )
    try:
        assert text(await sandbox.run("show", timeout=10)) == f"changed {environment}"
        activated = (
            "deactivate 2>/dev/null; . .venv/bin/activate && python -c 'import app; print(app.__file__)'"
        )
        assert text(await sandbox.run(activated, timeout=10)) == f"{workspace.source}/src/app.py"
        assert "Read-only" in text(await sandbox.run("touch .venv/x", timeout=10))
        assert (workspace.source / "src/app.py").read_text() == "NAME = 'original'\n"
    finally:
        await sandbox.close()


async def test_a_repository_may_lie_among_the_temporary_files_that_last(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        async with opened("bubblewrap", Path(name)) as sandbox:
            result = await sandbox.run(
                f"cat {name}/repository/calc.py; touch /var/tmp/x && ls /tmp", timeout=10
            )
    assert text(result).split()[:2] == ["def", "add(a,"]
    assert "x" in text(result).split()


async def test_settings_of_a_python_that_hold_passwords_are_empty_inside(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (environment / "pip.conf").write_text("[global]\nindex-url = https://user:hunter2@registry.invalid\n")
    toolchain = detect(workspace.source, {"VIRTUAL_ENV": str(environment)}, Path(sys.executable))
    sandbox = await started(Bubblewrap(workspace, SMALL, toolchain=toolchain))
    try:
        assert text(await sandbox.run(f"cat {environment}/pip.conf; echo end", timeout=10)) == "end"
    finally:
        await sandbox.close()


# Mount points that lie where commands can write


@pytest.mark.parametrize(
    "planted", ["ln -s {outside} envs", "echo > envs", "mkfifo envs", "mkdir envs; chmod 0 envs"]
)
async def test_nothing_is_made_through_a_link_in_a_mount_points_way(tmp_path: Path, planted: str) -> None:
    outside = Path(tempfile.mkdtemp())  # where the sandbox's user could make something
    outside.chmod(0o777)
    workspace = make_workspace(tmp_path)
    mount = Mount(CODE, Path("/workspace/envs/dev"))
    toolchain = Toolchain(python="/usr/bin/python3", mounts=(mount,), alias=workspace.source, why="")
    sandbox = await started(Bubblewrap(workspace, SMALL, toolchain=toolchain))
    try:
        # bwrap sees the host below /oldroot while it mounts, and links lead there
        script = f"mv envs away && {planted.format(outside=f'/oldroot{outside}')}"
        assert (await sandbox.run(script, timeout=10)).ok
        assert "bubblewrap.py" in text(await sandbox.run("ls envs/dev", timeout=10))
        assert list(outside.iterdir()) == []
    finally:
        await sandbox.close()
        shutil.rmtree(outside)


# Ends


OWNER = """
import asyncio, sys
from pathlib import Path
from tests.sandboxes import make_sandbox, make_workspace

async def main():
    sandbox = make_sandbox(sys.argv[1], make_workspace(Path(sys.argv[2])))
    await sandbox.start()
    print("started", flush=True)
    await sandbox.run(sys.stdin.read(), timeout=60)

asyncio.run(main())
"""

# Overwrites what bwrap's first process does next with: prctl(PR_SET_PDEATHSIG, 0); for (;;) pause();
FORGET_PARENT = """python3 - <<'END'
where = int(open("/proc/1/syscall").read().split()[-1], 16)
code = bytes.fromhex("bf01000000 31f6 b89d000000 0f05 b822000000 0f05 ebf7")
with open("/proc/1/mem", "r+b", buffering=0) as memory:
    memory.seek(where)
    memory.write(code)
END
"""


def killed_owner(script: str, directory: Path, word: str) -> None:
    """Kill a process without warning while its sandbox runs `script`, which shows `word` in the process list."""
    command = [sys.executable, "-c", OWNER, "bubblewrap", str(directory)]
    owner = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=CODE.parent, text=True)
    assert owner.stdin is not None
    with owner.stdin as stdin:
        stdin.write(script)
    wait_for(lambda: bool(sleepers(word)))
    time.sleep(0.2)
    owner.kill()
    owner.wait()


def wait_for(condition: object, seconds: float = 20) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_everything_dies_with_its_owner(tmp_path: Path) -> None:
    killed_owner("setsid sleep 1010.1 & sleep 1010.2", tmp_path, "1010.2")
    wait_for(lambda: not sleepers("1010."), 3)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the planted program is for x86_64")
def test_everything_dies_with_its_owner_even_when_bwrap_was_made_to_forget_it(tmp_path: Path) -> None:
    killed_owner(f"{FORGET_PARENT}\n(sleep 0.1 &) ; sleep 1011.1", tmp_path, "1011.1")
    wait_for(lambda: not sleepers("1011."), 3)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the planted program is for x86_64")
async def test_a_deadline_holds_when_bwraps_memory_was_rewritten(tmp_path: Path) -> None:
    async with opened("bubblewrap", tmp_path) as box:
        result = await box.run(f"{FORGET_PARENT}\n(sleep 0.1 &) ; sleep 1012.1", timeout=1.5)
        assert result.timed_out
        assert result.seconds < 4
        assert not sleepers("1012.")


async def test_a_second_cancellation_leaves_nothing_either(tmp_path: Path) -> None:
    async with opened("bubblewrap", tmp_path) as box:
        running = asyncio.create_task(box.run("sleep 1013.1", timeout=60))
        while not sleepers("1013.1"):
            await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await box.run("true", timeout=10)).ok
        assert not sleepers("1013.")


async def test_a_temporary_directory_that_grows_too_much_is_emptied(tmp_path: Path) -> None:
    async with opened("bubblewrap", tmp_path) as box:
        result = await box.run(
            "for i in $(seq 9); do head -c 20M /dev/zero > /tmp/blob$i; sleep 0.3; done", timeout=30
        )
        assert (result.killed, result.lost) == ("disk", True)
        assert text(await box.run("ls /tmp/blob* || echo gone", timeout=10)).endswith("gone")


async def test_shared_memory_is_limited(tmp_path: Path) -> None:
    async with opened("bubblewrap", tmp_path) as box:
        result = await box.run(
            "head -c 40M /dev/zero > /dev/shm/a; head -c 40M /dev/zero > /dev/shm/b", timeout=10
        )
        assert "No space left" in text(result)


async def test_control_groups_go_with_their_sandbox(tmp_path: Path) -> None:
    group = cgroups.create(SMALL)
    if group is None:  # an ordinary user without delegated control groups: guarantees say so
        async with opened("bubblewrap", tmp_path) as box:
            assert not next(g for g in box.guarantees() if g.name == "memory").enforced
        return
    paths = list(group.directories.values())
    assert all(path.is_dir() for path in paths)
    group.close()
    assert not any(path.exists() for path in paths)


# Machines where it works otherwise or not


ORDINARY = """
import asyncio, os, sys
from pathlib import Path
from sandbox.base import Policy
from sandbox.bubblewrap import Bubblewrap
from sandbox.workspace import Workspace

async def main(directory):
    source = directory / "source"
    source.mkdir()
    (source / "file").write_text("text")
    workspace = Workspace.create(source, directory / "state")
    sandbox = Bubblewrap(workspace, Policy(memory_mb=256, processes=32))
    await sandbox.start()
    result = await sandbox.run("cat file; echo; id -u; touch made; sleep 1014.1 & true", timeout=10)
    print(result.text().split(), (workspace.root / "made").stat().st_uid)
    forks = (await sandbox.run("for i in $(seq 60); do sleep 0.2 & done", timeout=20)).text()
    print("Resource temporarily unavailable" in forks)  # what bash says last depends on a signal's moment
    print((await sandbox.run("python3 -c 'bytearray(400 << 20)'", timeout=10)).text().split()[-1])
    await sandbox.close()

asyncio.run(main(Path(sys.argv[1])))
"""


@as_root
def test_an_ordinary_user_needs_no_help_from_root() -> None:
    with code_for_everybody() as place:
        (place / "home").mkdir()
        shutil.chown(place / "home", 1234, 1234)
        done = subprocess.run(
            ["/usr/bin/python3", "-c", ORDINARY, str(place / "home")],
            user=1234, group=1234, extra_groups=[], cwd=place, env={"PATH": os.defpath, "HOME": str(place)},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.stderr == "", done.stderr
    assert done.stdout.splitlines() == [
        "['text', '1234'] 1234",
        "True",
        "MemoryError",
    ]


@as_root
def test_root_without_the_right_to_mount_is_told_so(tmp_path: Path) -> None:
    done = subprocess.run(
        ["setpriv", "--bounding-set=-sys_admin", sys.executable, "-c", OWNER, "bubblewrap", str(tmp_path)],
        cwd=CODE.parent, input="true", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (
        "SandboxUnavailable: bubblewrap does not work here: launcher: cannot make a mount namespace"
        in done.stderr
    )


NOTHING_WORKS = """
import asyncio, sys
from pathlib import Path
from sandbox.base import Policy
from sandbox.choose import open_sandbox
from tests.sandboxes import make_workspace

async def main():
    workspace = make_workspace(Path(sys.argv[1]))
    sandbox, _ = await open_sandbox("auto", workspace, Policy(), image=None, toolchain=None)
    ran = await sandbox.run("touch /workspace/ran; touch ran", timeout=5)
    assert not sandbox.runs and ran.exit == 126 and not workspace.exists("ran")
    print(sandbox.problem)
    print(sandbox.problem.hint)

asyncio.run(main())
"""


@as_root
def test_when_nothing_works_both_reasons_are_given_and_nothing_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        ["setpriv", "--bounding-set=-sys_admin", sys.executable, "-c", NOTHING_WORKS, str(tmp_path)],
        cwd=CODE.parent, env={**os.environ, "DOCKER_HOST": "unix:///nowhere.sock"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    problem, hint = done.stdout.splitlines()
    assert "cannot make a mount namespace" in problem
    assert "/nowhere.sock does not exist" in problem
    assert "for bubblewrap: root without CAP_SYS_ADMIN" in hint
    assert "for Docker: start Docker" in hint


async def test_python_has_its_short_name_even_where_the_system_lacks_it(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    sandbox = await started(Bubblewrap(workspace, SMALL))
    try:
        assert text(await sandbox.run("python -c 'print(1)'", timeout=10)) == "1"
    finally:
        await sandbox.close()


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("launcher: cannot make a mount namespace: Operation not permitted", "CAP_SYS_ADMIN"),
        ("launcher: cannot mount tmpfs for the sandbox: Permission denied", "CAP_SYS_ADMIN"),
        ("bwrap: something odd", "--sandbox docker"),
    ],
)
def test_hints_say_what_to_do(message: str, advice: str) -> None:
    assert advice in host.hint(message)


async def test_a_workspace_of_root_is_refused(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    workspace.uid = 0
    with pytest.raises(SandboxUnavailable, match="cannot run as user 0"):
        await Bubblewrap(workspace, SMALL).start()


async def test_bubblewrap_comes_first_when_nothing_is_asked_for(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    sandbox, why = await open_sandbox(
        "auto", workspace, Policy(), image=None, toolchain=own_python(workspace)
    )
    try:
        assert sandbox.name == "bubblewrap"
        assert "needs no engine" in why
        assert "Python" in why
    finally:
        await sandbox.close()


async def test_another_kind_of_sandbox_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such sandbox: 'chroot'"):
        await open_sandbox("chroot", make_workspace(tmp_path), Policy(), image=None, toolchain=None)


def test_the_launchers_signals_are_the_kernels() -> None:
    from sandbox import launcher

    assert (launcher._SIGKILL, launcher._SIGPIPE, launcher._SIGXFSZ) == (
        signal.SIGKILL,
        signal.SIGPIPE,
        signal.SIGXFSZ,
    )
