"""Probes on real sandboxes: what holds is seen to hold, what was left open is seen to be open, and what was seen is kept."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import guard
from sandbox.bubblewrap import Bubblewrap
from sandbox.docker import Docker
from sandbox.engine import Engine
from sandbox.errors import SandboxUnavailable
from sandbox.probes import kept
from sandbox.probes.examine import LIMITS, Probed, bench, examine, findings_of, shape
from sandbox.probes.findings import Finding
from sandbox.workspace import Workspace
from tests.conftest import IMAGE
from tests.sandboxes import BACKENDS, make_sandbox, make_workspace, opened

FOUND = (Finding("network", True, "nothing but lo"), Finding("memory", False, "288 MB"))
OPEN = (Finding("network", False, "interfaces eth0, 1 routes"),)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is known at the start of a test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "fresh"))
    return kept.folder()


def small(kind: str, workspace: Workspace) -> Probed:
    sandbox = make_sandbox(kind, workspace, LIMITS)
    assert isinstance(sandbox, Probed)
    return sandbox


@pytest.mark.parametrize("kind", BACKENDS)
async def test_what_is_stated_is_seen(kind: str, place: Path) -> None:
    async with bench(lambda workspace: small(kind, workspace)) as box:
        stated = {item.name: item.enforced for item in box.guarantees()}
        found = await examine(box)
    said = [f"{item.name}: {item.seen}" for item in found]
    for item in found:
        assert item.enforced in (None, stated[item.name]), said
    assert {item.name for item in found if item.enforced is None} <= {"cpu"}, said
    assert not list(place.iterdir()), "the probe leaves nothing"


class _Unfiltered(Docker):
    """A container without a filter of ours, as on a processor that the table does not know."""

    async def _check_engine(self, engine: Engine) -> None:
        await super()._check_engine(engine)
        assert self._kind is not None
        self._kind = replace(self._kind, machine="riscv64")


@pytest.mark.docker
async def test_what_was_left_open_is_seen_to_be_open() -> None:
    huge = replace(LIMITS, memory_mb=1024, processes=1000)
    async with bench(lambda workspace: _Unfiltered(workspace, huge, image=IMAGE)) as box:
        found = {item.name: item for item in await examine(box)}
    assert found["processes"].enforced is False
    assert found["memory"].enforced is False
    assert found["syscalls"].enforced is False
    assert "AF_VSOCK" in found["syscalls"].seen
    assert found["network"].enforced


@pytest.mark.parametrize("kind", BACKENDS)
async def test_findings_are_made_once_and_shown_ever_after(kind: str, tmp_path: Path, place: Path) -> None:
    async with opened(kind, tmp_path) as sandbox:
        assert isinstance(sandbox, Probed)
        assert not any(item.seen for item in sandbox.guarantees())
        found = await findings_of(sandbox)
        assert len(list(place.iterdir())) == 1
        kept.save(sandbox.fingerprint(), FOUND)
        assert await findings_of(sandbox) == FOUND, "not tried again"
        shown = {item.name: (item.enforced, item.seen) for item in sandbox.guarantees()}
    assert len(found) == 10
    assert shown["network"] == (True, "nothing but lo")
    assert shown["memory"] == (False, "288 MB")


@pytest.mark.parametrize("kind", BACKENDS)
async def test_a_sandbox_that_does_not_isolate_is_refused(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as sandbox:
        assert isinstance(sandbox, Probed)
        kept.save(sandbox.fingerprint(), OPEN)
        (tmp_path / "other").mkdir()
        workspace = make_workspace(tmp_path / "other")
        with pytest.raises(SandboxUnavailable, match="network: interfaces eth0"):
            await sandbox.like(workspace, LIMITS).start()
    kept.forget()


@pytest.mark.parametrize("after", [0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("kind", BACKENDS)
async def test_a_cancelled_probe_leaves_nothing(kind: str, after: float, tmp_path: Path, place: Path) -> None:
    async with opened(kind, tmp_path) as sandbox:
        assert isinstance(sandbox, Probed)
        trying = asyncio.create_task(findings_of(sandbox))
        await asyncio.sleep(after)
        trying.cancel()
        await asyncio.gather(trying, return_exceptions=True)
    assert not list(place.glob("probe-*"))


async def test_what_a_killed_probe_left_goes_with_the_next(place: Path) -> None:
    dead = place / "probe-dead"
    dead.mkdir(parents=True)
    (dead / "owner").write_text("none.of.this.lives")
    (place / "probe-alive").mkdir()
    done = subprocess.run(
        ["python3", "-c", "from sandbox.owner import me; print(me(), end='')"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    (dead / "owner").write_text(done.stdout)
    async with bench(lambda workspace: Bubblewrap(workspace, LIMITS)):
        assert not dead.exists()
        assert (place / "probe-alive").exists(), "nobody knows whose it is"


# Kept


def test_what_is_kept_is_read_back_and_is_the_users_alone(place: Path) -> None:
    path = kept.save(("docker", "20.10"), FOUND)
    assert kept.load(("docker", "20.10")) == FOUND
    assert kept.load(("docker", "20.11")) == ()
    assert (path.stat().st_mode & 0o777, place.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"whose": "x", "findings": []}', b"\xff", b"[" * 100_000]
)
def test_a_broken_file_is_no_file(text: bytes) -> None:
    kept.save(("docker",), FOUND).write_bytes(text)
    assert kept.load(("docker",)) == ()


def test_an_older_probe_is_no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    kept.save(("docker",), FOUND)
    monkeypatch.setattr(kept, "VERSION", kept.VERSION + 1)
    assert kept.load(("docker",)) == ()


def test_fingerprints_change_with_what_is_limited_not_with_how_much() -> None:
    assert shape(LIMITS) == shape(replace(LIMITS, memory_mb=4096))
    assert shape(LIMITS) != shape(replace(LIMITS, memory_mb=0))


@pytest.mark.docker
async def test_an_images_word_counts_for_no_other_image(tmp_path: Path) -> None:
    async with opened("docker", tmp_path) as sandbox:
        assert isinstance(sandbox, Docker)
        first = sandbox.fingerprint()
        sandbox._image_id = "sha256:other"
        assert sandbox.fingerprint() != first


# The guard of every start


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("", ""),
        ("mkdir net; printf 'Inter-|\\n face |\\n lo: 0\\n eth0: 0\\n' >net/dev", "not cut off from the network: interface eth0:"),
        ("mkdir net; echo ' lo: 0' >net/dev; printf 'Iface\\ntun0 1\\n' >net/route", "a route over tun0"),
    ],
)  # fmt: skip
def test_the_guard_sees_what_is_not_shut(tmp_path: Path, change: str, reason: str) -> None:
    subprocess.run(["bash", "-c", change], cwd=tmp_path, check=True)
    here = str(tmp_path / "net") if change else "/proc/net"
    script = guard.SCRIPT.replace("/proc/net", here).replace(
        "for place in / /usr /etc", "for place in /proc/1/root"
    )
    script = script if change else f"unshare -rn bash -c '{script}'"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert reason in guard.refusal(done.returncode, done.stdout.strip())
    assert (done.returncode == 0) == (not reason)


def test_the_guard_refuses_a_system_that_can_be_written(tmp_path: Path) -> None:
    script = guard.SCRIPT.replace("/ /usr /etc", str(tmp_path))
    done = subprocess.run(
        ["unshare", "-rn", "bash", "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert guard.refusal(done.returncode, done.stdout.strip()).startswith("its system is not read-only")
