"""Which programs the host ran while a command ran, by strace: everything but what happened inside of bubblewrap."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

OPTIONS = (
    "-f",
    "-qq",
    "-s",
    "4096",
    "-e",
    "trace=execve,execveat,clone,clone3,fork,vfork",
    "-e",
    "signal=none",
)

_LINE = re.compile(r"(\d+) +(.*)", re.DOTALL)
_EXEC = re.compile(r'execve\("((?:[^"\\]|\\.)*)"')
_MADE = re.compile(r"(?:clone3?|v?fork)\b.*= (\d+)\)?$")


def strace() -> str | None:
    """The program, where it is installed."""
    return shutil.which("strace", path="/usr/local/bin:/usr/bin:/bin")


@dataclass
class _Trace:
    first: int = 0
    programs: list[tuple[int, str]] = field(default_factory=list)
    children: dict[int, set[int]] = field(default_factory=dict)


def programs_of_the_host(trace: Path) -> list[str]:
    """The paths of all programs that were started, in order. What a bwrap starts is inside and does not count."""
    read = _read(trace)
    sandboxes = {process for process, path in read.programs if Path(path).name == "bwrap"}
    outside: set[int] = set()
    waiting = [read.first]
    while waiting:
        process = waiting.pop()
        if process not in outside:
            outside.add(process)
            if process not in sandboxes:
                waiting += read.children.get(process, ())
    return [path for process, path in read.programs if process in outside]


def _read(trace: Path) -> _Trace:
    found = _Trace()
    begun: dict[int, str] = {}
    for line in trace.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        process, text = int(match[1]), match[2]
        found.first = found.first or process
        if text.endswith("<unfinished ...>"):
            begun[process] = text.removesuffix("<unfinished ...>")
            continue
        if text.startswith("<... "):
            text = begun.pop(process, "") + text
        executed = _EXEC.match(text)
        if executed and text.endswith("= 0"):
            found.programs.append((process, executed[1]))
        elif made := _MADE.search(text):
            found.children.setdefault(process, set()).add(int(made[1]))
    return found
