"""What killed runs left is removed by the next one, what living ones have is not touched; bad sandboxes are refused."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from coder.config import Config
from coder.errors import NoSandbox
from coder.events import Event
from coder.sessions import OWNER
from coder.workflows.leftovers import sweep
from coder.workflows.site import Site
from sandbox.container import reap_containers
from sandbox.errors import SandboxError
from sandbox.owner import me
from sandbox.probes import kept
from sandbox.probes.examine import Probed
from sandbox.probes.findings import Finding
from tests.conftest import IMAGE
from tests.sandboxes import make_workspace

ROOT = Path(__file__).resolve().parent.parent.parent


def run_folder(runs: Path, name: str, owner: str) -> Path:
    folder = runs / name
    for copy in ("workspace", "shadow.git", "rules", "clean-1", "scratch-a1b2"):
        (folder / copy / "deep").mkdir(parents=True)
        (folder / copy / "deep" / "file").write_text("x")
    (folder / "journal.jsonl").write_text("{}\n")
    (folder / OWNER).write_text(owner)
    (folder / ".patch.diff.77").write_text("half a patch")
    return folder


def dead_owner() -> str:
    script = "from sandbox.owner import me; print(me(), end='')"
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_copies_of_a_dead_process_go_and_its_journal_stays(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "dead", dead_owner())
    assert sweep(tmp_path).dead == 1
    assert [path.name for path in folder.iterdir()] == ["journal.jsonl"]


def test_a_living_run_is_left_alone(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "alive", me())
    assert sweep(tmp_path).dead == 0
    assert (folder / "workspace" / "deep" / "file").exists()


def test_without_runs_there_is_nothing_to_do(tmp_path: Path) -> None:
    sweep(tmp_path / "none")


@pytest.mark.docker
async def test_a_dead_runs_container_goes_whatever_sandbox_the_next_one_has() -> None:
    client = docker.from_env()
    try:
        labels = {"coder.owner": dead_owner()}
        left = client.containers.create(IMAGE, ["true"], labels=labels, network_mode="none")
        living = client.containers.create(IMAGE, ["true"], labels={"coder.owner": me()}, network_mode="none")
        await reap_containers()
        found = {container.id for container in client.containers.list(all=True)}
        living.remove()
        assert left.id not in found
        assert living.id in found
    finally:
        client.close()


async def test_a_sandbox_that_is_found_out_beside_the_run_is_given_up(tmp_path: Path) -> None:
    repository = make_workspace(tmp_path).repository
    told: list[Event] = []

    async def emit(event: Event) -> None:
        told.append(event)

    site = Site(repository, tmp_path / "runs" / "one", Config(sandbox="bubblewrap"))
    try:
        sandbox = await site.sandbox()
        assert isinstance(sandbox, Probed)
        kept.save(sandbox.fingerprint(), [Finding("network", False, "interfaces eth0")], place=kept.folder())
        site.examine_beside(sandbox, emit)
        async with asyncio.timeout(30):
            while not told:
                await asyncio.sleep(0.05)
        with pytest.raises(SandboxError):
            await sandbox.run("true", timeout=5)
        with pytest.raises(NoSandbox, match="interfaces eth0"):
            await site.sandbox()
    finally:
        await site.close()
        kept.forget()
    assert "no sandbox on this machine: network: interfaces eth0" in str(told[0])


async def test_what_is_promised_is_kept_for_the_evidence(tmp_path: Path) -> None:
    site = Site(make_workspace(tmp_path).repository, tmp_path / "runs" / "one", Config(sandbox="bubblewrap"))
    assert site.promised is None
    try:
        site.promises(await site.sandbox())
    finally:
        await site.close()
    assert site.promised is not None
    assert site.promised["name"] == "bubblewrap"
    assert set(site.promised["guarantees"][0]) == {"name", "enforced", "how", "seen"}
