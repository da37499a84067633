"""From what a probe saw to what is enforced: one small judge for each promise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sandbox.base import Guarantee, Policy

Report = Mapping[str, Any]
VITAL = ("network", "filesystem")
"""Where these fail there is no sandbox."""
_REFUSED = (
    "Operation not permitted",
    "Function not implemented",
    "Permission denied",
    "Address family not supported",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe saw of one promise. `enforced` is None where it could not tell."""

    name: str
    enforced: bool | None
    seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Everything that was seen in one sandbox: the sections of `within`, and what only the host can see."""

    limits: Policy
    reports: Mapping[str, Report]
    kernel: str
    """The release of the kernel that the engine runs on."""
    died: str = ""
    """How the program inside was ended, when it was: "memory" or the shell's status."""
    quota: float | None = None
    """CPUs that the control group allows; None when it cannot be read."""
    throttled: int = 0
    setuid: str = ""
    """The user that a set-uid program of root's ran as; empty when it could not be tried."""
    overgrown: str = ""
    """Why the command that filled the workspace was ended."""
    overdue: bool = False
    """A command was ended at its deadline."""
    survivors: int = 0
    """Processes that outlived a deadline."""


def judged(trial: Trial) -> list[Finding]:
    """A finding for every promise that can be tried."""
    return [Finding(name, *judge(trial)) for name, judge in _JUDGES.items()]


def confirmed(stated: Iterable[Guarantee], findings: Iterable[Finding]) -> list[Guarantee]:
    """What a backend states, corrected by what was seen."""
    seen = {finding.name: finding for finding in findings}
    return [_confirmed(guarantee, seen.get(guarantee.name)) for guarantee in stated]


def _confirmed(guarantee: Guarantee, finding: Finding | None) -> Guarantee:
    if finding is None:
        return guarantee
    enforced = guarantee.enforced if finding.enforced is None else finding.enforced
    return replace(guarantee, enforced=enforced, seen=finding.seen)


def broken(findings: Iterable[Finding]) -> str:
    """Why a sandbox must not be used at all; empty when it may be."""
    bad = [
        f"{found.name}: {found.seen}" for found in findings if found.name in VITAL and found.enforced is False
    ]
    return "; ".join(bad)


Judgement = tuple[bool | None, str]


def _reported(name: str, judge: Callable[[Trial, Report], Judgement]) -> Callable[[Trial], Judgement]:
    """A judge who needs the section `name`, and cannot tell without."""

    def judged(trial: Trial) -> Judgement:
        report = trial.reports.get(name)
        if report is None:
            return None, f"not tried: the probe ended before it ({trial.died or 'no python3 inside'})"
        if "trouble" in report:
            return None, f"not tried: {report['trouble']}"
        return judge(trial, report)

    return judged


def _network(_: Trial, report: Report) -> Judgement:
    others = [name for name in report["interfaces"] if name != "lo"]
    if report["reached"]:
        return False, f"listeners of this machine were reached: {', '.join(report['reached'])}"
    if others or report["routes"]:
        return False, f"interfaces {', '.join(others) or 'lo'}, {len(report['routes'])} routes"
    return True, "no interface but lo, no route; listeners of this machine were not reached"


def _filesystem(_: Trial, report: Report) -> Judgement:
    if report["seen"]:
        return False, f"files of this machine are visible: {', '.join(report['seen'])}"
    if report["written"] or report["devices"]:
        return False, f"could be written: {', '.join([*report['written'], *report['devices']])}"
    return True, "the system could not be written, and files beside the copy were not visible"


def _environment(_: Trial, report: Report) -> Judgement:
    if report["found"]:
        return False, f"a variable of this machine was found in /proc/{', /proc/'.join(report['found'])}"
    return True, f"no variable of this machine in any of {report['processes']} visible processes"


def _processes(trial: Trial, report: Report) -> Judgement:
    if report["slow"]:
        return None, f"too slow to tell: {report['made']} processes in some seconds"
    held = report["made"] <= trial.limits.processes and bool(report["error"])
    end = report["error"] or "nothing stopped it"
    return held, f"{report['made']} of at most {trial.limits.processes}, then: {end}"


def _memory(trial: Trial) -> Judgement:
    limit = trial.limits.memory_mb
    report = trial.reports.get("memory")
    if report is None and trial.died == "memory":
        return True, f"killed past {limit} MB"
    if report is None or "trouble" in report:
        return None, f"not tried: {(report or {}).get('trouble') or trial.died or 'no python3 inside'}"
    one = f"one process had {report['one']} MB" if report["one"] else "one process was refused or killed"
    if report["together"] > limit or report["one"] > limit:
        return False, f"{one}; several had {report['together']} MB together, of {limit} MB"
    return True, f"{one}; so were several together, past {limit} MB"


def _cpu(trial: Trial, report: Report) -> Judgement:
    share, wanted = report["share"], trial.limits.cpus
    seen = f"two busy processes had {share:.2f} CPUs"
    if trial.quota is not None:
        seen += f"; quota {trial.quota:g}, held back {trial.throttled} times"
        return trial.quota <= wanted, seen
    # other work on the machine may have taken the rest: that they had little proves little
    return (False if share > 1.3 * wanted else None), f"{seen}; the quota cannot be read"


def _disk(trial: Trial, report: Report) -> Judgement:
    wrong = [name for name, end in (("one file", report["file"]), ("/tmp", report["tmp"])) if not end]  # noqa: S108
    watched = trial.overgrown == "disk"
    if wrong or not watched:
        wrong += [] if watched else ["the workspace"]
        return False, f"could grow past the limit: {', '.join(wrong)}"
    return (
        True,
        f"a file ended with {report['file']!r}, /tmp with {report['tmp']!r}, the workspace by our watch",
    )


def _privileges(trial: Trial, report: Report) -> Judgement:
    user = f"uid {report['uid']}"
    if report["uid"] == 0 and report["outside"]:
        user += f", outside {report['outside']}"
    zero = all(int(report[name] or "1", 16) == 0 for name in ("CapEff", "CapBnd"))
    harmless = report["uid"] != 0 or report["outside"] not in ("", "0")
    raised = trial.setuid not in ("", str(report["uid"]))
    bound = report["NoNewPrivs"] in ("1", "") and not raised
    tried = "not tried" if not trial.setuid else f"ran as {trial.setuid}"
    seen = f"{user}, capabilities {'none' if zero else report['CapBnd']}, no_new_privs {report['NoNewPrivs'] or 'not told'}"
    return zero and harmless and bound, f"{seen}, a set-uid program {tried}"


def _syscalls(trial: Trial, report: Report) -> Judgement:
    answers: Mapping[str, str] = report["answers"]
    open_ = sorted(name for name, answer in answers.items() if not answer.startswith((*_REFUSED, "killed")))
    if report["release"] != trial.kernel and trial.kernel:
        return True, f"a kernel of its own ({report['release']}) answers" + (
            f": {', '.join(open_)}" if open_ else ""
        )
    if open_:
        return False, f"reached the kernel: {', '.join(open_)}"
    return True, f"refused: {', '.join(sorted(answers))}"


def _time(trial: Trial) -> Judgement:
    if not trial.overdue or trial.survivors:
        return (
            False,
            f"{trial.survivors} processes outlived a deadline"
            if trial.overdue
            else "a deadline did not hold",
        )
    return True, "a command and its daemon were gone at the deadline"


_JUDGES: dict[str, Callable[[Trial], Judgement]] = {
    "network": _reported("network", _network),
    "filesystem": _reported("filesystem", _filesystem),
    "host environment": _reported("environment", _environment),
    "processes": _reported("processes", _processes),
    "memory": _memory,
    "cpu": _reported("cpu", _cpu),
    "disk": _reported("disk", _disk),
    "privileges": _reported("privileges", _privileges),
    "syscalls": _reported("syscalls", _syscalls),
    "time": _time,
}
