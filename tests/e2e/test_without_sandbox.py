"""Where nothing can isolate commands: reading and patching only. And no isolation only by its loud name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sandbox.host import binaries
from tests.e2e.conftest import SOLVES, Coder, command, scripted, tree
from tests.scripted_server import ScriptedServer, Turn

NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere.sock"}
OUTSIDE = Turn(calls=[("bash", {"command": "echo $PPID $HOME; pwd; ls /workspace; (setsid sleep 1040.1 &)"})])


def bare(arguments: Sequence[str]) -> list[str]:
    """`arguments` on a machine like this one, but without any bwrap: mounts of its own hide them."""
    own = ["--mount"] if os.getuid() == 0 else ["--user", "--map-current-user", "--keep-caps", "--mount"]
    hide = " && ".join(f"mount --bind /dev/null {binary.path}" for binary in binaries())
    return ["unshare", *own, "sh", "-c", f'{hide} && exec "$@"', "sh", *arguments]


def run_bare(repository: Path, server: ScriptedServer, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        bare(command(repository, server, *flags)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **NO_ENGINE},
    )


def test_without_any_sandbox_the_model_reads_and_edits_and_nothing_runs(
    repository: Path, tmp_path: Path
) -> None:
    before = tree(repository)
    patch = tmp_path / "unverified.diff"
    with scripted(SOLVES) as server:
        done = run_bare(repository, server, "--apply", "--patch", str(patch))
        told = json.dumps(server.requests[-1].body["messages"])
    result = json.loads(done.stdout)
    assert (done.returncode, result["status"]) == (5, "sandbox"), done.stderr
    assert "apt install bubblewrap" in result["sentence"]
    assert "could not be verified" in result["sentence"]
    assert "no test runs" in done.stderr
    assert "No command can run on this machine" in told
    assert "+    return a + b" in patch.read_text()
    assert result["evidence"]["tests_after"] is None
    assert tree(repository) == before


def test_a_sandbox_that_was_named_is_never_replaced(repository: Path) -> None:
    with scripted(SOLVES) as server:
        done = run_bare(repository, server, "--sandbox", "bubblewrap")
    result = json.loads(done.stdout)
    assert (done.returncode, result["patch"]) == (5, "")


def test_no_sandbox_by_its_loud_name(repository: Path, coder: Coder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    before = tree(repository)
    with scripted([OUTSIDE, *SOLVES]) as server:
        done = coder(server, "--unsafe-no-sandbox")
        told = server.requests[1].body["messages"][-1]["content"]
    assert done.exit == 0, done.result
    assert "there is no sandbox" in done.stderr
    assert "/workspace" in told.splitlines()
    assert "calc.py" in told
    assert tree(repository) == before


@pytest.mark.parametrize(
    ("flags", "ci", "says"),
    [
        (["--sandbox", "none"], "", "--unsafe-no-sandbox"),
        (["--unsafe-no-sandbox"], "true", "refused in CI"),
        (["--unsafe-no-sandbox"], "1", "refused in CI"),
        (["--unsafe-no-sandbox", "--sandbox", "bubblewrap"], "", "goes with neither"),
    ],
)
def test_what_is_refused(repository: Path, flags: list[str], ci: str, says: str) -> None:
    arguments = [sys.executable, "-m", "coder", "fix", "x", "-C", str(repository), *flags]
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=False, env={**os.environ, "CI": ci}
    )
    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.parametrize("place", ["project", "user"])
def test_no_file_can_switch_the_sandbox_off(repository: Path, tmp_path: Path, place: str) -> None:
    path = repository / ".coder.toml" if place == "project" else tmp_path / "coder/config.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text('[sandbox]\nkind = "none"\n')
    done = subprocess.run(
        [sys.executable, "-m", "coder", "fix", "x", "-C", str(repository)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "sandbox.kind" in done.stderr
