"""The Docker backend's own ways: what can be wrong with an engine, and containers that are lost or left behind."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from sandbox.base import Policy
from sandbox.choose import DEFAULT_IMAGE, open_sandbox
from sandbox.docker import Docker
from sandbox.engine import Engine, open_stream
from sandbox.errors import SandboxUnavailable
from tests.conftest import IMAGE
from tests.sandboxes import CODE, SMALL, code_for_everybody, make_workspace, sleepers, text

LABEL = "coder.owner"


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Docker]:
    sandbox = Docker(make_workspace(tmp_path), SMALL, image=IMAGE)
    await sandbox.start()
    yield sandbox
    await sandbox.close()


def container_of(sandbox: Docker) -> str:
    assert sandbox._container is not None
    return sandbox._container.id


# Engines that cannot be used


@pytest.mark.parametrize(
    ("host", "problem", "advice"),
    [
        ("unix:///nowhere/docker.sock", "/nowhere/docker.sock does not exist", "start Docker"),
        ("tcp://127.0.0.1:1", "no Docker engine answers at tcp://127.0.0.1:1", "start Docker"),
        ("ssh://user@host", "is remote", "engine on this machine"),
        ("https://host:2376", "is remote", "engine on this machine"),
    ],
)
async def test_what_is_wrong_with_an_engine_is_said(
    tmp_path: Path, host: str, problem: str, advice: str
) -> None:
    with pytest.raises(SandboxUnavailable, match=problem) as caught:
        await Docker(make_workspace(tmp_path), SMALL, image=IMAGE, host=host).start()
    assert advice in caught.value.hint


async def test_an_engine_that_has_stopped_is_not_a_missing_one(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with pytest.raises(SandboxUnavailable, match="no Docker engine answers"):
        await open_stream(f"unix://{path}")


async def test_something_else_that_listens_is_no_engine(tmp_path: Path) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    path = tmp_path / "docker.sock"
    async with await asyncio.start_unix_server(hang_up, path):
        with pytest.raises(SandboxUnavailable, match="Docker failed at connecting"):
            await Engine.connect(f"unix://{path}")


@pytest.mark.docker
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become others")
def test_a_socket_that_may_not_be_used_is_told_from_a_missing_one(tmp_path: Path) -> None:
    script = "import asyncio; from sandbox.addresses import *; from sandbox.engine import *; asyncio.run(open_stream(DEFAULT_HOST))"
    with code_for_everybody() as place:
        done = subprocess.run(
            ["/usr/bin/python3", "-c", script],
            user=1234, group=1234, extra_groups=[], cwd=place, env={}, capture_output=True, text=True,
        )  # fmt: skip
    assert "SandboxUnavailable: no permission to use Docker's socket /var/run/docker.sock" in done.stderr


@pytest.mark.docker
async def test_a_missing_image_is_named(tmp_path: Path) -> None:
    sandbox = Docker(make_workspace(tmp_path), SMALL, image="coder-no-such:image")
    with pytest.raises(SandboxUnavailable, match="coder-no-such:image is not on this machine") as caught:
        await sandbox.start()
    assert "docker pull coder-no-such:image" in caught.value.hint


@pytest.mark.docker
async def test_an_unknown_runtime_is_named_with_those_that_the_engine_has(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    with pytest.raises(SandboxUnavailable, match="has no runtime 'no-such-runtime'") as caught:
        await Docker(workspace, SMALL, image=IMAGE, runtime="no-such-runtime").start()
    assert "runc" in caught.value.hint
    sandbox, why = await open_sandbox("auto", workspace, SMALL, image=None, toolchain=None, runtime="runc")
    await sandbox.close()
    assert (sandbox.name, why) == ("docker", "Docker, since the runtime runc is named.")


@pytest.mark.docker
async def test_an_image_without_bash_is_refused(tmp_path: Path, client: docker.DockerClient) -> None:
    tag = "coder-test-without-bash"
    made = client.containers.create(IMAGE, ["sh", "-c", "rm /bin/bash"], user="0:0", network_mode="none")
    try:
        made.start()
        made.wait()
        made.commit(tag)
    finally:
        made.remove(force=True)
    try:
        with pytest.raises(SandboxUnavailable, match="has no usable bash"):
            await Docker(make_workspace(tmp_path), SMALL, image=tag).start()
    finally:
        client.images.remove(tag)
    assert not client.containers.list(all=True, filters={"ancestor": tag, "label": LABEL})


@pytest.mark.docker
async def test_a_workspace_that_the_engine_cannot_see_is_an_error(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    sandbox = Docker(workspace, SMALL, image=IMAGE)
    workspace.close()
    with pytest.raises((SandboxUnavailable, FileNotFoundError)):
        await sandbox.start()


# The container


@pytest.mark.docker
async def test_the_container_is_hardened(box: Docker, client: docker.DockerClient) -> None:
    attributes = client.containers.get(container_of(box)).attrs
    settings: dict[str, Any] = attributes["HostConfig"]
    assert settings["CapDrop"] == ["ALL"]
    assert settings["NetworkMode"] == "none"
    assert settings["ReadonlyRootfs"]
    assert settings["LogConfig"]["Type"] == "none"
    assert (settings["Memory"], settings["MemorySwap"]) == (256 << 20, 256 << 20)
    assert settings["PidsLimit"] == SMALL.processes
    assert not settings["Privileged"]
    assert not settings["Binds"]
    assert [mount["Target"] for mount in settings["Mounts"]] == ["/workspace"]
    assert {option.split("=")[0] for option in settings["SecurityOpt"]} == {
        "no-new-privileges:true",
        "seccomp",
    }
    assert attributes["Config"]["Healthcheck"] == {"Test": ["NONE"]}


@pytest.mark.docker
async def test_commands_have_no_rights_and_a_filter(box: Docker) -> None:
    lines = text(await box.run("grep -E 'Cap|NoNew|Seccomp:' /proc/self/status", timeout=10)).splitlines()
    values = {line.split()[0].rstrip(":"): line.split()[1] for line in lines}
    assert set(values.values()) == {"0000000000000000", "1", "2"}
    assert (values["NoNewPrivs"], values["Seccomp"]) == ("1", "2")


@pytest.mark.docker
async def test_the_images_path_and_the_hosts_proxies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"proxies": {"default": {"httpProxy": "http://user:hunter2@proxy.invalid"}}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    sandbox = Docker(make_workspace(tmp_path), SMALL, image=IMAGE)
    await sandbox.start()
    try:
        seen = text(await sandbox.run("env; cat /proc/1/environ", timeout=10))
    finally:
        await sandbox.close()
    assert "PATH=/opt/py/bin:" in seen
    assert "hunter2" not in seen


# Containers that are lost


@pytest.mark.docker
async def test_a_container_that_died_between_commands_is_replaced(
    box: Docker, client: docker.DockerClient
) -> None:
    await box.run("echo kept > kept; echo lost > /tmp/lost", timeout=10)
    first = container_of(box)
    client.containers.get(first).kill()
    result = await box.run("cat kept; ls /tmp", timeout=10)
    assert (result.exit, text(result), result.lost) == (0, "kept", True)
    assert not (await box.run("true", timeout=10)).lost
    assert first not in [found.id for found in client.containers.list(all=True)]


@pytest.mark.docker
async def test_a_container_that_dies_under_a_command_is_replaced(
    box: Docker, client: docker.DockerClient
) -> None:
    running = asyncio.create_task(box.run("echo begun; sleep 1020.1", timeout=60))
    while not sleepers("1020.1"):
        await asyncio.sleep(0.02)
    await asyncio.to_thread(client.containers.get(container_of(box)).kill)
    result = await running
    assert (result.lost, result.ok, result.oom, text(result)) == (True, False, False, "begun")
    assert (await box.run("true", timeout=10)).ok


@pytest.mark.docker
async def test_a_frozen_container_is_given_up(box: Docker, client: docker.DockerClient) -> None:
    """Nothing can be killed by a command inside then: the container as a whole has to go."""
    running = asyncio.create_task(box.run("sleep 1021.1", timeout=1))
    while not sleepers("1021.1"):
        await asyncio.sleep(0.02)
    await asyncio.to_thread(client.containers.get(container_of(box)).pause)
    result = await running
    assert (result.timed_out, result.lost) == (True, True)
    assert not sleepers("1021.1")
    assert (await box.run("true", timeout=10)).ok


ABANDON = """
import asyncio, os, sys
from pathlib import Path
from sandbox.docker import Docker
from tests.conftest import IMAGE
from tests.sandboxes import SMALL, make_workspace

async def main():
    sandbox = Docker(make_workspace(Path(sys.argv[1])), SMALL, image=IMAGE)
    await sandbox.start()
    print(sandbox._container.id, flush=True)
    await sandbox.run("sleep 1022.1", timeout=60)

asyncio.run(main())
"""


@pytest.mark.docker
async def test_the_next_start_removes_what_a_killed_owner_left(
    tmp_path: Path, client: docker.DockerClient
) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    command = [sys.executable, "-c", ABANDON, str(tmp_path / "first")]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CODE.parent)
    assert owner.stdout is not None
    with owner.stdout as stdout:
        abandoned = stdout.readline().strip()
    while not sleepers("1022.1"):
        time.sleep(0.02)
    mine = Docker(make_workspace(tmp_path / "first" / "state"), SMALL, image=IMAGE)
    await mine.start()
    assert abandoned in [found.id for found in client.containers.list()], "its owner lives"
    owner.kill()
    owner.wait()

    sandbox = Docker(make_workspace(tmp_path / "second"), SMALL, image=IMAGE)
    await sandbox.start()
    try:
        left = [found.id for found in client.containers.list(all=True)]
        assert abandoned not in left
        assert container_of(mine) in left
        assert not sleepers("1022.1")
    finally:
        await sandbox.close()
        await mine.close()


@pytest.mark.docker
async def test_its_first_process_ends_by_itself(box: Docker, client: docker.DockerClient) -> None:
    attributes = client.containers.get(container_of(box)).attrs
    deadline = int(attributes["Config"]["Labels"]["coder.deadline"])
    assert attributes["Path"] == "sleep"
    assert abs(deadline - time.time() - int(attributes["Args"][0])) < 60


# Choosing


@pytest.mark.docker
async def test_a_named_image_means_docker(tmp_path: Path) -> None:
    sandbox, why = await open_sandbox("auto", make_workspace(tmp_path), SMALL, image=IMAGE, toolchain=None)
    try:
        assert sandbox.name == "docker"
        assert IMAGE in why
    finally:
        await sandbox.close()


async def test_docker_that_was_asked_for_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(SandboxUnavailable, match="no Docker engine"):
        await open_sandbox("docker", make_workspace(tmp_path), Policy(), image=None, toolchain=None)
    assert DEFAULT_IMAGE == IMAGE
