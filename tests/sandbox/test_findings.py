"""What the judges make of what a probe saw."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.base import Guarantee, Policy
from sandbox.guarantees import NAMES
from sandbox.probes.findings import Finding, Trial, broken, confirmed, judged

LIMITS = Policy(memory_mb=192, cpus=0.5, processes=96)
GOOD: dict[str, dict[str, Any]] = {
    "network": {"interfaces": ["lo"], "routes": [], "reached": []},
    "filesystem": {"written": [], "seen": [], "devices": []},
    "environment": {"found": [], "processes": 3},
    "privileges": {
        "uid": 1000, "outside": "1000", "CapEff": "0000", "CapBnd": "0000", "NoNewPrivs": "1", "Seccomp": "2",
    },
    "syscalls": {"answers": {"ptrace": "Operation not permitted", "bpf": "Function not implemented"}, "release": "6.1"},
    "disk": {"file": "File too large", "tmp": "No space left on device"},
    "cpu": {"share": 0.49},
    "processes": {"made": 94, "error": "Resource temporarily unavailable", "slow": False},
    "memory": {"one": 0, "together": 96},
}  # fmt: skip


def found(name: str, section: str = "", seen: dict[str, Any] | None = None, **facts: Any) -> Finding:
    """The finding `name` where everything is well but `section` or some of the host's facts."""
    reports = dict(GOOD)
    if section:
        reports[section] = {**GOOD[section], **(seen or {})}
    usual: dict[str, Any] = {
        "kernel": "6.1", "quota": 0.5, "throttled": 9, "setuid": "1000", "overgrown": "disk", "overdue": True,
    }  # fmt: skip
    trial = Trial(limits=LIMITS, **{"reports": reports, **usual, **facts})
    return next(finding for finding in judged(trial) if finding.name == name)


def test_all_is_well() -> None:
    assert [found(name).enforced for name in NAMES] == [True] * len(NAMES)


@pytest.mark.parametrize(
    ("name", "section", "seen", "said"),
    [
        ("network", "network", {"interfaces": ["lo", "eth0"]}, "interfaces eth0"),
        ("network", "network", {"routes": ["eth0 0 0"]}, "1 routes"),
        ("network", "network", {"reached": ["127.0.0.1:80"]}, "listeners of this machine were reached"),
        ("filesystem", "filesystem", {"written": ["/usr"]}, "could be written: /usr"),
        ("filesystem", "filesystem", {"seen": ["/home/me/canary"]}, "are visible: /home/me/canary"),
        ("filesystem", "filesystem", {"devices": ["sda"]}, "could be written: sda"),
        ("host environment", "environment", {"found": ["1/environ"]}, "in /proc/1/environ"),
        ("processes", "processes", {"made": 160, "error": ""}, "160 of at most 96, then: nothing"),
        ("memory", "memory", {"one": 288}, "one process had 288 MB"),
        ("memory", "memory", {"together": 288}, "several had 288 MB together"),
        ("disk", "disk", {"file": ""}, "one file"),
        ("disk", "disk", {"tmp": ""}, "/tmp"),
        ("privileges", "privileges", {"CapBnd": "00a80425fb"}, "capabilities 00a80425fb"),
        ("privileges", "privileges", {"NoNewPrivs": "0"}, "no_new_privs 0"),
        ("privileges", "privileges", {"uid": 0, "outside": "0"}, "uid 0, outside 0"),
        ("syscalls", "syscalls", {"answers": {"bpf": "Bad address", "ptrace": "answered"}}, "bpf, ptrace"),
    ],
)
def test_what_does_not_hold_is_said(name: str, section: str, seen: dict[str, Any], said: str) -> None:
    finding = found(name, section, seen)
    assert finding.enforced is False
    assert said in finding.seen


def test_what_only_the_host_sees() -> None:
    assert found("time", overdue=False).enforced is False
    assert found("time", survivors=2).seen == "2 processes outlived a deadline"
    assert found("disk", overgrown="").seen == "could grow past the limit: the workspace"
    assert found("privileges", setuid="65534").enforced is False
    assert found("privileges", setuid="").enforced is True
    assert found("cpu", quota=2.0).enforced is False


def test_root_inside_that_is_the_user_outside_is_no_root() -> None:
    finding = found("privileges", "privileges", {"uid": 0, "outside": "1000"}, setuid="")
    assert finding.enforced is True
    assert finding.seen.startswith("uid 0, outside 1000")


def test_a_kernel_of_its_own_may_answer() -> None:
    answers = {"answers": {"ptrace": "answered"}, "release": "4.4.0"}
    assert found("syscalls", "syscalls", answers) == Finding(
        "syscalls", True, "a kernel of its own (4.4.0) answers: ptrace"
    )


def test_little_cpu_on_a_busy_machine_proves_nothing() -> None:
    assert found("cpu", quota=None).enforced is None
    assert found("cpu", "cpu", {"share": 0.9}, quota=None).enforced is False


def test_a_probe_that_died_of_memory_is_an_answer() -> None:
    reports = {name: report for name, report in GOOD.items() if name != "memory"}
    assert found("memory", reports=reports, died="memory").enforced is True
    assert found("memory", reports=reports, died="status 1").enforced is None


def test_without_a_python_inside_only_the_host_can_tell() -> None:
    told = {name: found(name, reports={}, died="status 127").enforced for name in NAMES}
    assert {name for name, enforced in told.items() if enforced is not None} == {"time"}


def test_trouble_in_one_section_costs_no_other() -> None:
    reports = {**GOOD, "syscalls": {"trouble": "OSError: no libc"}}
    assert found("syscalls", reports=reports) == Finding("syscalls", None, "not tried: OSError: no libc")
    assert found("network", reports=reports).enforced


def test_statements_are_corrected_by_what_was_seen() -> None:
    stated = [
        Guarantee("cpu", True, "2 CPUs"),
        Guarantee("memory", False, "none"),
        Guarantee("time", True, "killed"),
    ]
    findings = [Finding("cpu", False, "4 CPUs"), Finding("memory", None, "not tried")]
    assert confirmed(stated, findings) == [
        Guarantee("cpu", False, "2 CPUs", "4 CPUs"),
        Guarantee("memory", False, "none", "not tried"),
        Guarantee("time", True, "killed"),
    ]


def test_only_network_and_filesystem_break_a_sandbox() -> None:
    assert broken([found("memory", "memory", {"one": 288}), found("network")]) == ""
    assert (
        broken([found("network", "network", {"interfaces": ["lo", "eth0"]})])
        == "network: interfaces eth0, 0 routes"
    )
