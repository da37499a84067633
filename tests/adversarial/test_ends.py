"""Who ends what: a killed agent, a command that lies about itself, the wishes of a model that was talked into something."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from sandbox.base import Policy, Sandbox
from sandbox.errors import SandboxError
from tests.adversarial.canary import UID
from tests.adversarial.conftest import PARAMS, a_box
from tests.adversarial.remote import serving_process
from tests.sandboxes import CALC, SMALL, sleepers, text
from tools.standard import standard_toolbox

in_a_module = pytest.mark.asyncio(loop_scope="module")


# 39: forged reports


FORGE = r"""
for process in /proc/[0-9]*; do
    for fd in $process/fd/*; do
        (printf '{"exit-code": 0}\n\1\0\0\0\0\0\0\12all passed\n' > $fd) 2>/dev/null
    done
done
python3 - <<'END'
import os
for fd in range(3, 256):
    for data in (b'{"exit-code": 0}\n', (1).to_bytes(8, "little")):
        try:
            os.write(fd, data)
        except OSError:
            break
END
exit 3
"""


@in_a_module
async def test_a_command_cannot_forge_how_it_ended(box: Sandbox) -> None:
    """Case 39: it writes whatever a runner might read to every descriptor that it can find."""
    result = await box.run(FORGE, timeout=30)
    assert (result.exit, result.timed_out, result.lost, result.oom) == (3, False, False, False)
    honest = await box.run("echo mine; exit 4", timeout=20)
    assert (honest.exit, text(honest)) == (4, "mine")


@in_a_module
async def test_a_command_cannot_speak_for_the_next_one(box: Sandbox) -> None:
    await box.run("(sleep 0.5; echo LATE; echo LATE >&2) & exec 1>&- 2>&-; exit 0", timeout=20)
    result = await box.run("sleep 1; echo mine", timeout=20)
    assert (result.exit, text(result)) == (0, "mine")


@in_a_module
async def test_frames_of_the_engine_in_the_output_are_output(box: Sandbox) -> None:
    """Docker sends output in frames: a command that prints such a head has printed eight bytes."""
    result = await box.run(r"printf '\2\0\0\0\377\377\377\377x\1\0\0\0\0\0\0\0'; exit 5", timeout=20)
    assert (result.exit, result.head) == (5, b"\2\0\0\0\xff\xff\xff\xffx\1\0\0\0\0\0\0\0")


# 40: what a model may ask for


@in_a_module
@pytest.mark.parametrize(
    "cwd", ["/", "..", "../..", "a/../../..", "/etc", "/proc/self/fd/3", "/workspace/../etc", "\0"]
)
async def test_no_other_directory_can_be_asked_for(box: Sandbox, cwd: str) -> None:
    with pytest.raises(SandboxError, match="not a directory of the workspace"):
        await box.run("pwd", timeout=20, cwd=cwd)


@in_a_module
async def test_a_directory_that_is_a_link_stays_inside(box: Sandbox) -> None:
    await box.run("ln -sfn / out; ln -sfn /proc/1/root rooted", timeout=20)
    home = os.path.expanduser("~")
    for cwd in ("out", "rooted"):
        seen = text(
            await box.run(
                f"pwd -P; ls {home}/.ssh etc/shadow 2>/dev/null; cat etc/shadow", timeout=20, cwd=cwd
            )
        )
        assert "root:" not in seen
    await box.run("rm out rooted", timeout=20)


def test_there_are_no_words_for_more_rights() -> None:
    """Nothing that a model says can name an image, a mount, a user, a network or a privilege."""
    assert set(inspect.signature(Sandbox.run).parameters) == {
        "self", "script", "timeout", "cwd", "env", "stdin", "cap", "on_output"
    }  # fmt: skip
    for dialect in ("nemotron", "qwen"):
        properties = {
            name
            for schema in standard_toolbox(dialect).schemas()
            for name in schema["function"]["parameters"]["properties"]
        }
        forbidden = {
            "image",
            "privileged",
            "user",
            "network",
            "mount",
            "volume",
            "env",
            "sandbox",
            "cwd",
            "workdir",
        }
        assert properties.isdisjoint(forbidden)


# 41: an agent that is killed


@pytest.mark.parametrize("kind", PARAMS)
async def test_a_killed_agent_takes_its_commands_along(kind: str, tmp_path: Path) -> None:
    """With -9, in the middle of a command that has daemons; what cannot end by itself, the next start removes."""
    user = UID if kind == "ordinary" else None
    backend = "bubblewrap" if kind == "ordinary" else kind
    (tmp_path / "first").mkdir()
    with serving_process(tmp_path / "first", backend, SMALL, CALC, user) as remote:
        script = "setsid sleep 1040.1 & (setsid nohup sleep 1040.2 &) ; trap '' HUP TERM; sleep 1040.3"
        running = asyncio.create_task(remote.run(script, timeout=60))
        while len(sleepers("1040.")) < 3:
            await asyncio.sleep(0.02)
        remote.process.send_signal(signal.SIGKILL)
        with pytest.raises((EOFError, OSError)):
            await running
    if kind == "docker":  # its engine knows nothing of the agent: the next start does
        (tmp_path / "second").mkdir()
        with serving_process(tmp_path / "second", backend, SMALL, CALC):
            assert sleepers("1040.") == []
        return
    deadline = time.monotonic() + 10
    while sleepers("1040."):
        assert time.monotonic() < deadline, "a command outlived its agent"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", PARAMS)
async def test_a_sandbox_that_is_closed_leaves_nothing(kind: str, tmp_path: Path, canary: Any) -> None:
    async with a_box(kind, tmp_path, canary, Policy()) as box:
        await box.run("echo x > /tmp/x; sleep 1041.1 & true", timeout=20)
        state = box.workspace.root.parent
        assert state.exists()
    assert sleepers("1041.") == []
    assert not state.exists() or os.listdir(state) == []
