"""Control groups are made where this user may, in either version; files stand in for the kernel's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox import cgroups, owner
from sandbox.base import Policy

POLICY = Policy(memory_mb=100, processes=50, cpus=1.5)


def make_machine(directory: Path, mounts: str, membership: str) -> Path:
    """A stand-in for /proc/self; `{top}` in `mounts` is the directory of the control groups."""
    proc = directory / "proc"
    proc.mkdir()
    (proc / "mounts").write_text(mounts.format(top=directory / "groups"))
    (proc / "cgroup").write_text(membership)
    return proc


def make_v2(directory: Path, offered: dict[str, str]) -> Path:
    """Version 2 with these groups and the controllers that each hands down; this process is in the deepest."""
    for path, controllers in offered.items():
        group = directory / "groups" / path
        group.mkdir(parents=True, exist_ok=True)
        (group / "cgroup.subtree_control").write_text(controllers)
        (group / "cgroup.procs").touch()
    return make_machine(directory, "cgroup2 {top} cgroup2 rw 0 0\n", f"0::/{max(offered, key=len)}\n")


def content(path: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in path.iterdir()}


def test_version_2_uses_the_nearest_group_that_hands_memory_down(tmp_path: Path) -> None:
    proc = make_v2(
        tmp_path,
        {"": "cpu memory pids", "user": "cpu memory pids", "user/app": "pids memory", "user/app/me": ""},
    )
    group = cgroups.create(POLICY, proc)
    assert group is not None
    (path,) = set(group.directories.values())
    assert path.parent == tmp_path / "groups/user/app"
    assert set(group.directories) == {"memory", "pids"}
    assert content(path) == {"memory.max": str(100 << 20), "memory.swap.max": "0", "pids.max": "58"}
    assert group.joins == (path / "cgroup.procs",)


def test_version_2_without_delegation_makes_none(tmp_path: Path) -> None:
    assert cgroups.create(POLICY, make_v2(tmp_path, {"": "", "me": ""})) is None
    assert [path.name for path in (tmp_path / "groups").iterdir() if path.is_dir()] == ["me"]


def test_version_1_makes_a_group_for_each_controller(tmp_path: Path) -> None:
    mounts = "".join(
        f"cgroup {{top}}/{name} cgroup rw,{options} 0 0\n"
        for name, options in (("memory", "memory"), ("pids", "pids"), ("cpu", "cpu,cpuacct"))
    )
    for name in ("memory/me", "pids/me", "cpu/me"):
        (tmp_path / "groups" / name).mkdir(parents=True)
    proc = make_machine(tmp_path, mounts, "3:cpu,cpuacct:/me\n2:pids:/me\n1:memory:/me\n0::/me\n")
    group = cgroups.create(POLICY, proc)
    assert group is not None
    assert {name: path.parent for name, path in group.directories.items()} == {
        name: tmp_path / "groups" / name / "me" for name in ("memory", "pids", "cpu")
    }
    assert content(group.directories["cpu"]) == {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000"}
    assert content(group.directories["memory"])["memory.limit_in_bytes"] == str(100 << 20)


def test_a_machine_without_control_groups_makes_none(tmp_path: Path) -> None:
    assert cgroups.create(POLICY, make_machine(tmp_path, "proc /proc proc rw 0 0\n", "")) is None


@pytest.mark.parametrize(
    ("name", "expected"), [("memory.events", 3), ("memory.oom_control", 3), ("other", None)]
)
def test_out_of_memory_kills_are_read_in_either_version(
    tmp_path: Path, name: str, expected: int | None
) -> None:
    (tmp_path / name).write_text("oom 7\noom_kill 3\nunder_oom 0\n")
    assert cgroups.oom_kills(tmp_path) == expected


def test_groups_of_the_dead_are_removed_and_those_of_the_living_kept(tmp_path: Path) -> None:
    proc = make_v2(tmp_path, {"": "memory"})
    boot, namespace, pid, started = owner.me().split(".")
    dead = tmp_path / "groups" / f"coder-{boot}.{namespace}.{pid}.1-0"
    living = tmp_path / "groups" / f"coder-{owner.me()}-777"
    stranger = tmp_path / "groups" / f"coder-{boot}.1.{pid}.{started}-0"
    for path in (dead, living, stranger):
        path.mkdir()
    assert cgroups.create(POLICY, proc) is not None
    assert (dead.exists(), living.exists(), stranger.exists()) == (False, True, True)


def test_an_owner_is_gone_only_when_that_is_certain() -> None:
    boot, namespace, pid, started = owner.me().split(".")
    assert not owner.is_gone(owner.me())
    assert owner.is_gone(f"{boot}.{namespace}.{pid}.{int(started) + 1}")
    assert owner.is_gone(f"{boot}.{namespace}.{2**22 + 1}.5")
    for unknown in ("", "nonsense", f"other.{namespace}.1.1", f"{boot}.1.1.1", f"{boot}.{namespace}.x.1"):
        assert not owner.is_gone(unknown)
    assert os.getpid() == int(pid)


def test_nobody_survives_a_restart_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "_machine", lambda: "here")
    boot, namespace, _, _ = owner.me().split(".")
    before = "here_00000000-0000-4000-8000-000000000000"
    assert owner.is_gone(f"{before}.{namespace}.1.1")
    assert owner.is_gone(f"{before}.7.1.1")
    assert not owner.is_gone(f"{boot}.7.1.1"), "another process namespace of this boot"
    assert not owner.is_gone(before.replace("here", "elsewhere") + f".{namespace}.1.1")
    monkeypatch.setattr(owner, "_machine", lambda: "")
    assert not owner.is_gone(f"_00000000-0000-4000-8000-000000000000.{namespace}.1.1")
