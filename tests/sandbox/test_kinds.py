"""Engines told apart by their own answers, as recorded from each (Docker 20.10, Podman 4.3.1)."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.errors import SandboxUnavailable
from sandbox.kinds import Kind, kind_of, limits_of

DOCKER_VERSION: dict[str, Any] = {"Components": [{"Name": "Engine"}, {"Name": "containerd"}]}
PODMAN_VERSION: dict[str, Any] = {"Components": [{"Name": "Podman Engine"}, {"Name": "Conmon"}]}
ALL = {"PidsLimit": True, "MemoryLimit": True, "CpuCfsQuota": True}
DOCKER: dict[str, Any] = {
    "ID": "6GFA", "ServerVersion": "20.10.24", "SecurityOptions": ["name=seccomp,profile=default"],
    "Architecture": "x86_64", "KernelVersion": "6.18.44", "CgroupVersion": "1",
    "Runtimes": {"runc": {}, "runsc": {}}, **ALL,
}  # fmt: skip
ROOTLESS_DOCKER = {
    **DOCKER, "SecurityOptions": ["name=seccomp,profile=default", "name=rootless"],
    "PidsLimit": False, "MemoryLimit": False, "CpuCfsQuota": False,
}  # fmt: skip
PODMAN = {**DOCKER, "Architecture": "amd64", "ServerVersion": "4.3.1", "Rootless": False}
ROOTLESS_PODMAN = {**PODMAN, "Rootless": True}


def docker(**changes: Any) -> Kind:
    return kind_of({**DOCKER, **changes}, DOCKER_VERSION)


def test_their_names() -> None:
    kinds = [docker(), kind_of(ROOTLESS_DOCKER, DOCKER_VERSION), kind_of(PODMAN, PODMAN_VERSION)]
    kinds.append(kind_of(ROOTLESS_PODMAN, PODMAN_VERSION))
    assert [kind.name for kind in kinds] == [
        "Docker 20.10.24",
        "rootless Docker 20.10.24",
        "Podman 4.3.1",
        "rootless Podman 4.3.1",
    ]


def test_who_runs_commands() -> None:
    assert docker().users(1000, 100).command == "1000:100"
    rootless = kind_of(ROOTLESS_DOCKER, DOCKER_VERSION).users(1000, 100)
    assert (rootless.command, rootless.first) == ("0:0", "1:1"), "root inside is the user outside"
    podman = kind_of(ROOTLESS_PODMAN, PODMAN_VERSION).users(1000, 100)
    assert (podman.command, podman.first, podman.namespace) == ("1000:100", "0:0", "keep-id")


@pytest.mark.parametrize("kind", [DOCKER, ROOTLESS_DOCKER, PODMAN, ROOTLESS_PODMAN])
def test_no_command_is_the_first_process_s_user(kind: dict[str, Any]) -> None:
    for version in (DOCKER_VERSION, PODMAN_VERSION):
        users = kind_of(kind, version).users(1000, 1000)
        assert users.first != users.command


def test_mapped_user_ids_are_left_out() -> None:
    options = [*DOCKER["SecurityOptions"], "name=userns"]
    assert docker(SecurityOptions=options).users(1000, 1000).namespace == "host"
    assert docker().users(1000, 1000).namespace == ""


@pytest.mark.parametrize("machine", ["x86_64", "amd64", "aarch64", "arm64"])
def test_a_processor_has_its_filter_under_either_name(machine: str) -> None:
    assert docker(Architecture=machine).filtered


def test_no_filter_is_promised_where_there_is_none() -> None:
    assert not docker(Architecture="riscv64").filtered
    assert not docker(SecurityOptions=["name=apparmor"]).filtered
    assert not docker(SecurityOptions=None).filtered


def test_an_unknown_runtime_is_refused_with_those_that_are_known() -> None:
    docker().check_runtime("")
    docker().check_runtime("runsc")
    with pytest.raises(SandboxUnavailable, match="has no runtime 'kata'") as caught:
        docker().check_runtime("kata")
    assert "it has runc, runsc" in caught.value.hint


def test_a_limit_counts_only_when_both_answers_have_it() -> None:
    given = {"HostConfig": {"PidsLimit": 256, "Memory": 1 << 30, "NanoCpus": 2_000_000_000}}
    dropped = {"HostConfig": {"PidsLimit": 0, "Memory": 0, "NanoCpus": 0}}
    assert limits_of(given, docker()) == {"processes", "memory", "cpu"}
    assert limits_of(given, kind_of(ROOTLESS_DOCKER, DOCKER_VERSION)) == frozenset()
    assert limits_of(dropped, kind_of(ROOTLESS_PODMAN, PODMAN_VERSION)) == frozenset()
    assert limits_of({"HostConfig": {"PidsLimit": -1}}, docker()) == frozenset()
    assert limits_of({}, docker()) == frozenset()


def test_an_engine_that_says_nothing_is_believed_nothing() -> None:
    kind = kind_of({}, {})
    assert (kind.name, kind.filtered, kind.limits) == ("Docker", False, frozenset())
