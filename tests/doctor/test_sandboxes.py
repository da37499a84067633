"""`coder doctor --sandbox`: no server is needed, every kind is spoken of, and what is missing has its fix."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from coder.doctor.sandboxes import _fix, _row
from coder.doctor.verdict import Verdict
from sandbox.base import Guarantee
from sandbox.guarantees import NAMES

ALL = [Guarantee(name, True, "a mechanism", "it held") for name in NAMES]


def doctor(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coder", "doctor", "--sandbox", *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environ}
    )


def rows(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return {row["probe"]: row for row in json.loads(done.stdout)["rows"]}


@pytest.mark.docker
def test_every_kind_is_tried_without_any_server() -> None:
    done = doctor("--json", CODER_BASE_URL="http://127.0.0.1:9/v1")
    found = rows(done)
    assert set(found) == {"sandbox bubblewrap", "sandbox docker"}
    for row in found.values():
        assert row["verdict"] in ("ok", "degraded")
        promises = row["figures"]["guarantees"]
        assert [promise["name"] for promise in promises] == list(NAMES)
        assert all(promise["seen"] for promise in promises)
    assert done.returncode == (0 if all(row["verdict"] == "ok" for row in found.values()) else 1)


def test_a_kind_that_cannot_be_had_is_no_fault_beside_one_that_can() -> None:
    done = doctor("-v", DOCKER_HOST="unix:///nowhere.sock")
    assert (
        "not told    sandbox docker: cannot be had: no Docker engine: /nowhere.sock does not exist"
        in done.stdout
    )
    assert "fix: start Docker" in done.stdout
    assert "sandbox bubblewrap: enforced and seen: network, filesystem" in done.stdout
    assert (
        "            network: a network namespace of its own with nothing but loopback (no interface but lo"
        in done.stdout
    )


@pytest.mark.docker
def test_an_unknown_runtime_is_told_with_those_that_are_known(tmp_path: Any) -> None:
    (tmp_path / "coder").mkdir()
    (tmp_path / "coder" / "config.toml").write_text('[sandbox]\nruntime = "no-such-runtime"\n')
    row = rows(doctor("--json", XDG_CONFIG_HOME=str(tmp_path)))["sandbox docker"]
    assert "has no runtime 'no-such-runtime'" in row["seen"]
    assert "runc" in row["fix"]


def test_all_that_holds_is_ok() -> None:
    assert _row("sandbox docker", "docker", ALL).verdict is Verdict.OK


def test_what_is_not_enforced_has_a_cost_and_a_fix() -> None:
    promises = [Guarantee("memory", False, "each process", "288 MB together"), *ALL[:3]]
    row = _row("sandbox bubblewrap", "bubblewrap", promises)
    assert row.verdict is Verdict.DEGRADED
    assert "Not enforced: memory: 288 MB together" in row.seen
    assert "have other programs killed" in row.cost
    assert "--sandbox docker" in row.fix


def test_without_isolation_it_is_broken() -> None:
    row = _row("sandbox docker", "docker", [Guarantee("network", False, "none", "interfaces eth0"), *ALL[1:]])
    assert row.verdict is Verdict.BROKEN
    assert _fix("docker", "network") == "use --sandbox bubblewrap"
