"""Engines of other kinds, real ones: Docker and Podman without root, Podman with root, gVisor, mapped user ids.

tests/sandbox/engines.sh starts them. Those without root are used as their own user uses them.
"""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ENGINES, IMAGE, engine_socket, missing
from tests.sandboxes import code_for_everybody

PACKAGES = ("docker", "requests", "urllib3", "idna", "certifi", "charset_normalizer")
WORK = """
import asyncio, json, os, sys
from pathlib import Path
from sandbox.base import Policy
from sandbox.docker import Docker
from sandbox.engine import Engine
from sandbox.probes.examine import LIMITS, bench, examine
from sandbox.workspace import Workspace

HOST, RUNTIME, IMAGE, PLACE = sys.argv[1:]

def make(workspace, limits=Policy(memory_mb=512, processes=256)):
    return Docker(workspace, limits, image=IMAGE, host=HOST, runtime=RUNTIME)

async def work(box, seen):
    async def run(script, timeout=20.0):
        return await box.run(script, timeout=timeout)

    seen["me"] = (await run("echo made >made; echo $(id -u)")).text().strip()
    made = box.workspace.root / "made"
    seen["owner"] = (made.stat().st_uid == box.workspace.uid, made.read_text())
    seen["home"] = (await run("touch ~/a /tmp/b /dev/shm/c && cd ~ && echo *")).text().strip()
    seen["system"] = (await run("for d in /usr /etc /opt; do touch $d/x 2>/dev/null && echo $d; done")).text()
    seen["elsewhere"] = (await run("for d in /run /var/tmp /var; do head -c 9M /dev/zero >$d/x && echo $d; done 2>&1")).text()
    seen["first"] = (await run("kill -9 1; kill -9 -1; cat /proc/1/environ; echo $?")).text().split()[-1:]
    late = await run("trap '' TERM; (setsid sleep 9821 &); echo begun; sleep 9821", timeout=2.0)
    seen["late"] = (late.timed_out, late.text().strip())
    daemon = await run("(setsid sleep 9822 &); sleep 0.2; echo done")
    left = await run("cat /proc/[0-9]*/cmdline | tr '\\\\0' ' ' | grep -ao 'sleep 98[2]' | wc -l")
    seen["left"] = left.text().split()[0]
    seen["still"] = (daemon.lost, left.lost, daemon.text().strip(), left.exit)
    seen["limits"] = (await run("ulimit -n; ulimit -c")).text().split()
    seen["stdin"] = (await box.run("cat", timeout=20, stdin=b"fed")).text()
    seen["flood"] = (await run("yes")).killed
    seen["seccomp"] = (await run("grep Seccomp: /proc/self/status")).text().split()[-1:]
    await box.reset()
    seen["reset"] = (await run("echo ~/* /tmp/*; cat made")).text().split()

async def main():
    seen = {"stated": {}, "found": {}}
    async with bench(make, place=Path(PLACE)) as box:
        await work(box, seen)
        seen["name"] = box._kind.name
        first = box.fingerprint()
    async with bench(lambda workspace: make(workspace, LIMITS), place=Path(PLACE)) as box:
        seen["same"] = box.fingerprint() == first
        seen["stated"] = {item.name: item.enforced for item in box.guarantees()}
        seen["found"] = {item.name: (item.enforced, item.seen) for item in await examine(box)}
    engine = await Engine.connect(HOST)
    seen["containers"] = len(await engine.call("containers", all=True))
    engine.close()
    seen["files"] = [entry for entry in os.listdir(PLACE)]
    print(json.dumps(seen))

asyncio.run(main())
"""


@cache
def used(kind: str) -> dict[str, Any]:
    """What a sandbox on this engine did, as its own user sees it."""
    with code_for_everybody(*PACKAGES) as place:
        (place / "state").mkdir()
        command = [
            "/usr/bin/python3",
            "-c",
            WORK,
            f"unix://{engine_socket(kind)}",
            "runsc" if kind == "gvisor" else "",
        ]
        if kind.startswith("rootless") and os.getuid() == 0:
            user = engine_socket(kind).parent.stat()
            os.chown(place / "state", user.st_uid, user.st_gid)
            command = [
                "setpriv",
                f"--reuid={user.st_uid}",
                f"--regid={user.st_gid}",
                "--clear-groups",
                *command,
            ]
        environ = {"PATH": os.defpath, "HOME": str(place / "state"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [*command, IMAGE, str(place / "state")],
            cwd=place, env=environ, capture_output=True, text=True, timeout=240,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.fixture(params=ENGINES)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if missing(name):
        pytest.skip(missing(name))
    return name


def test_commands_work_on_the_users_files(kind: str) -> None:
    seen = used(kind)
    assert seen["owner"] == [True, "made\n"]
    assert seen["home"] == "a"
    assert seen["stdin"] == "fed"
    assert seen["me"] != "0" or kind == "rootless-docker", "where root inside is the user outside"


def test_nothing_but_the_workspace_and_the_limited_places_can_be_written(kind: str) -> None:
    seen = used(kind)
    assert seen["system"] == ""
    assert "\n/run" not in "\n" + seen["elsewhere"]
    assert "\n/var" not in "\n" + seen["elsewhere"]


def test_the_first_process_is_out_of_reach(kind: str) -> None:
    assert used(kind)["still"] == [False, False, "done", 0]


def test_what_a_command_leaves_behind_ends_with_it(kind: str) -> None:
    seen = used(kind)
    assert seen["late"] == [True, "begun"]
    assert seen["left"] == "0"
    assert seen["flood"] == "output"


def test_limits_and_filter_are_in_place(kind: str) -> None:
    seen = used(kind)
    assert seen["limits"] == ["4096", "0"]
    assert seen["seccomp"] == (["0"] if kind == "gvisor" else ["2"]), "gVisor filters for itself, on the host"


def test_a_reset_forgets_all_but_the_workspace(kind: str) -> None:
    assert "made" in used(kind)["reset"]
    assert not {"/home/coder/a", "/tmp/b"} & set(used(kind)["reset"])


def test_probes_and_statements_agree(kind: str) -> None:
    seen = used(kind)
    found = {name: item[0] for name, item in seen["found"].items() if item[0] is not None}
    # this gVisor (2022) counts no CPU time and hangs when too many processes are made: probes alone can tell
    untold = {"cpu", "processes", "memory"} if kind == "gvisor" else set()
    for name, enforced in found.items():
        assert enforced == seen["stated"][name] or name in untold, seen["found"]
    assert {"network", "filesystem", "privileges", "time", "host environment", "syscalls"} <= set(found), (
        seen["found"]
    )
    assert all(
        found[name]
        for name in ("network", "filesystem", "privileges", "time", "host environment", "syscalls")
    )


def test_engines_without_control_groups_say_so(kind: str) -> None:
    if not kind.startswith("rootless"):
        pytest.skip("this one has them")
    seen = used(kind)
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("control groups v2 may be delegated here")
    assert (seen["stated"]["memory"], seen["stated"]["cpu"]) == (False, False)
    assert seen["found"]["memory"][0] is False
    assert seen["found"]["processes"][0] is True, "by RLIMIT_NPROC"


def test_what_was_found_out_is_found_again(kind: str) -> None:
    assert used(kind)["same"], "the engine's name for itself must not change"


def test_nothing_is_left(kind: str) -> None:
    seen = used(kind)
    assert (seen["containers"], seen["files"]) == (0, [])


def test_each_is_told_from_the_others(kind: str) -> None:
    name = used(kind)["name"]
    assert ("rootless" in name) == kind.startswith("rootless")
    assert ("Podman" in name) == kind.endswith("podman")
