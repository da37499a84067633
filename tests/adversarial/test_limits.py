"""Commands that use up what the machine has: memory, disk, output, time. What is promised holds, exactly."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox.base import Sandbox
from tests.sandboxes import SMALL, sleepers, text

pytestmark = pytest.mark.asyncio(loop_scope="module")
still = pytest.mark.usefixtures("still_works")

MB = 1 << 20
OVERSHOOT = 400 * MB
"""What a fast disk can take between two looks at it, and while it is measured; a busy machine is no excuse."""


def promised(box: Sandbox, name: str) -> bool:
    return next(guarantee.enforced for guarantee in box.guarantees() if guarantee.name == name)


def used(root: Path) -> int:
    return int(subprocess.run(["du", "-skx", root], capture_output=True, text=True).stdout.split()[0]) << 10


def free(root: Path) -> int:
    found = os.statvfs(root)
    return found.f_bfree * found.f_frsize


def resident(process: int | str = "self") -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) << 10


# 3: memory


@still
async def test_three_gigabytes_are_not_to_be_had(box: Sandbox) -> None:
    """As a whole where a control group can be made; else each process alone, which the guarantees say."""
    take = "import sys; x = bytearray(3 << 30); print('HAD', len(x))"
    result = await box.run(f'python3 -c "{take}"', timeout=60)
    assert "HAD" not in text(result)
    assert not result.ok
    if promised(box, "memory"):
        assert (result.exit, result.oom) == (137, True)
    else:
        how = next(guarantee.how for guarantee in box.guarantees() if guarantee.name == "memory")
        assert f"{SMALL.memory_mb} MB for each process" in how
        assert "MemoryError" in text(result)
    assert (await box.run("true", timeout=20)).ok


@still
async def test_many_that_take_little_each_are_one_that_takes_much(box: Sandbox) -> None:
    """8 processes of 100 MB where 256 MB are allowed."""
    take = "for i in 1 2 3 4 5 6 7 8; do python3 -c 'x = bytearray(100 << 20); print(len(x)); import time; time.sleep(3)' & done; wait"
    result = await box.run(take, timeout=60)
    if promised(box, "memory"):
        assert result.oom
        assert text(result).split().count(str(100 << 20)) < 8
    assert (await box.run("true", timeout=20)).ok


# 4: temporary files


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm", "~"])
async def test_a_full_temporary_directory_is_the_end_of_it(fresh: Sandbox, place: str) -> None:
    before = free(fresh.workspace.root)
    fill = f"cd {place}; for i in $(seq 40); do head -c 20M /dev/zero > blob$i || exit 9; done; echo FILLED"
    result = await fresh.run(fill, timeout=60)
    assert "FILLED" not in text(result)
    assert "No space left" in text(result) or (result.killed, result.lost) == ("disk", True)
    assert before - free(fresh.workspace.root) < SMALL.tmp_mb * MB + OVERSHOOT
    if not result.lost:
        await fresh.reset()
    after = await fresh.run(f"cd {place}; ls blob* 2>/dev/null; echo fine > small; cat small", timeout=20)
    assert text(after) == "fine"


# 5: the workspace


async def test_seven_hundred_megabytes_in_the_workspace(fresh: Sandbox) -> None:
    root = fresh.workspace.root
    before = used(root)
    script = "for i in $(seq 14); do head -c 50M /dev/zero > blob$i; sleep 0.05; done; echo WRITTEN"
    result = await fresh.run(script, timeout=120)
    assert (result.exit, result.killed) == (137, "disk")
    assert "WRITTEN" not in text(result)
    assert used(root) - before < SMALL.workspace_mb * MB + OVERSHOOT
    full = await fresh.run("head -c 1000 /dev/zero > more; stat -c %s more", timeout=20)
    assert "past its size limit" in text(full)
    assert text(full).splitlines()[-1] == "0"
    assert (await fresh.run("rm -f blob* more", timeout=20)).ok
    assert text(await fresh.run("echo fine > small; cat small", timeout=20)) == "fine"


MANY_FILES = """
import os
for folder in range(10_000):
    os.mkdir(f"{folder}")
    for number in range(100):
        os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_WRONLY))
print("WRITTEN")
"""


@pytest.mark.parametrize("place", ["/workspace", "/tmp"])
async def test_a_million_empty_files(fresh: Sandbox, place: str) -> None:
    result = await fresh.run(f"cd {place} && python3 -", timeout=120, stdin=MANY_FILES.encode())
    assert "WRITTEN" not in text(result)
    if place == "/workspace" or fresh.name == "bubblewrap":
        assert (result.exit, result.killed) == (137, "disk")
    else:  # a file system in memory, with a number of files of its own
        assert "No space left" in text(result) or result.oom
    assert (await fresh.run(f"rm -rf {place}/[0-9]*", timeout=120)).ok
    assert (await fresh.run("touch fine", timeout=20)).ok


NAMELESS = """
import os, time
held = []
for number in range(14):
    held.append(os.open("blob", os.O_CREAT | os.O_WRONLY))
    os.unlink("blob")
    for _ in range(50):
        os.write(held[-1], bytes(1 << 20))
    time.sleep(0.05)
time.sleep(5)
print("WRITTEN")
"""


@pytest.mark.parametrize("place", ["/workspace", "/tmp"])
async def test_files_without_a_name_take_space_too(fresh: Sandbox, place: str) -> None:
    """Removed while they are open: they are in no directory, and du sees nothing of them."""
    result = await fresh.run(f"cd {place} && python3 -", timeout=120, stdin=NAMELESS.encode())
    assert "WRITTEN" not in text(result)
    if place == "/workspace" or fresh.name == "bubblewrap":
        assert (result.exit, result.killed) == (137, "disk")
    else:
        assert "No space left" in text(result) or result.oom
    assert (await fresh.run("touch fine", timeout=20)).ok


async def test_a_directory_that_cannot_be_measured_is_too_large(fresh: Sandbox) -> None:
    """Locked to everybody, it may hide anything. Root sees through that."""
    script = "mkdir -p a/b; head -c 60M /dev/zero > a/b/blob; chmod 0 a/b a; sleep 4; echo HIDDEN"
    result = await fresh.run(script, timeout=60)
    assert (result.exit, result.killed) == (137, "disk")
    assert (await fresh.run("chmod 700 a; chmod 700 a/b; rm -r a", timeout=20)).ok
    assert (await fresh.run("touch fine", timeout=20)).ok


# 6 and 7: output


@still
async def test_endless_output_leaves_our_memory_alone(box: Any) -> None:
    ours = box.process.pid if hasattr(box, "process") else "self"
    before = resident(ours)
    result = await box.run("yes & cat /dev/zero & wait", timeout=30)
    assert (result.killed, result.exit) == ("output", 137)
    assert len(result.head) + len(result.tail) == SMALL.output_bytes
    assert f"[… {result.total_bytes - SMALL.output_bytes} bytes left out …]" in result.text()
    assert resident(ours) - before < 48 * MB


@still
async def test_the_first_process_has_no_log(box: Sandbox) -> None:
    """What a command writes to the output of process 1 is refused, or is its own output: never a file of the host."""
    script = "(yes > /proc/1/fd/1) 2>&1 | head -c 300; (yes > /proc/1/fd/2) 2>&1 | head -c 300; echo end"
    before = free(box.workspace.root)
    result = await box.run(script, timeout=5)
    assert result.killed == "output" or text(result).endswith("end")
    assert before - free(box.workspace.root) < OVERSHOOT
    if box.name == "docker":
        import docker

        with contextlib.closing(docker.from_env()) as client:
            logs = [
                each.attrs["LogPath"] for each in client.containers.list() if _holds(each, box.workspace.root)
            ]
        assert logs == [""]


def _holds(container: Any, root: Path) -> bool:
    return any(mount.get("Source") == str(root) for mount in container.attrs["Mounts"])


# 8 and 9: time


@still
@pytest.mark.parametrize(
    "wait", ["sleep 1033.1", "read x < <(sleep 1033.1)", "tail -f /dev/null & sleep 1033.1"]
)
async def test_waiting_for_ever_ends_at_the_deadline(box: Sandbox, wait: str) -> None:
    result = await box.run(wait, timeout=0.7)
    assert (result.exit, result.timed_out, result.killed) == (137, True, "")
    assert result.seconds < 10
    assert not sleepers("1033.")


@still
async def test_a_stopped_process_is_ended_too(box: Sandbox) -> None:
    result = await box.run("sleep 1034.1 & kill -STOP $!; kill -STOP $$; echo on", timeout=1)
    assert result.timed_out
    await asyncio.sleep(0)
    assert not sleepers("1034.")
