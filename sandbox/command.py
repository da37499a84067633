"""Turns a script into what both backends start: checked arguments, one shell wrapper, a clean environment."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.base import WORKDIR
from sandbox.errors import SandboxError

HOME = "/home/coder"
PATH = "/usr/local/bin:/usr/bin:/bin"

_LONG = 100_000  # bytes; Linux takes at most 128 KiB for one argument (MAX_ARG_STRLEN)

_ENVIRONMENT = {
    "HOME": HOME,
    "USER": "coder",
    "LOGNAME": "coder",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "true",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file",
}

GITCONFIG = "[user]\n\tname = coder\n\temail = coder@localhost\n[safe]\n\tdirectory = *\n[gc]\n\tauto = 0\n"
"""System-wide git settings inside: a name for commits, and nothing that runs in the background."""

# $1 script, $2 directory, $3 largest file in KiB, $4 most processes and $5 most private memory of one in KiB ("hard":
# as now); open files and core dumps here too, since Podman without root leaves these as they are
_LIMITS = 'ulimit -f "$3"; ulimit -u "$4"; ulimit -d "$5"; ulimit -n 4096; ulimit -c 0'
_ENTER = f'cd -- "$2" 2>&1 || exit 2; {{ {_LIMITS}; }} 2>/dev/null; '
_REPLACE = _ENTER + 'exec bash -c "$1" 2>&1'
KILL_ALL = "kill -9 -1 || for p in /proc/[0-9]*; do [ ${p#/proc/} = $$ ] || kill -9 ${p#/proc/}; done"
"""Ends all that its user runs inside but itself. `kill -1` does it at one moment, but nothing under gVisor (2022)."""

# stays, and ends whatever the script left running
_SWEEP = _ENTER + f'exec 2>/dev/null; bash -c "$1" 2>&1; s=$?; {KILL_ALL}; exit $s'


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command, ready to start with the workspace as its directory."""

    argv: tuple[str, ...]
    stdin: bytes
    env: dict[str, str]


def directory(cwd: str) -> str:
    """The absolute path inside of a directory given by the caller. SandboxError when it isn't in the workspace.

    Only names are judged: a link is resolved inside the sandbox, where it can lead to nothing else.
    """
    path = posixpath.normpath(posixpath.join(WORKDIR, cwd))
    outside = path != WORKDIR and not path.startswith(WORKDIR + "/")
    if "\0" in cwd or ".." in cwd.split("/") or outside:
        raise SandboxError(
            f"not a directory of the workspace: {cwd!r}",
            hint=f"give a path relative to {WORKDIR}, without '..'",
        )
    return path


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """What a command sees: nothing of the host's. SandboxError for a variable that cannot be passed."""
    for name, value in extra.items():
        if not name or "=" in name or "\0" in name + value or len(value) > _LONG:
            raise SandboxError(
                f"not a usable environment variable: {name!r}", hint="names without '=', values under 100 kB"
            )
    return {**_ENVIRONMENT, **extra}


def prepare(
    script: str,
    *,
    cwd: str,
    env: Mapping[str, str],
    stdin: bytes,
    file_mb: int,
    processes: int | None = None,
    data_mb: int = 0,
    sweep: bool = False,
) -> Command:
    """Check the arguments and wrap the script.

    `processes` is for a user namespace of its own: elsewhere the limit would count all that the user runs.
    `data_mb` limits the private memory of each process; 0 does not.
    `sweep`: the shell kills what its script left behind (where no process namespace does).
    """
    if "\0" in script:
        raise SandboxError(
            "the script contains a NUL byte", hint="write binary data with printf or from a file"
        )
    encoded = script.encode("utf-8", "surrogateescape")
    if len(encoded) > _LONG:
        script, stdin = f'eval "$(head -c {len(encoded)})"', encoded + stdin
    wrapper = _SWEEP if sweep else _REPLACE
    data = str(data_mb << 10) if data_mb else "hard"
    limits = (str(file_mb << 10), "hard" if processes is None else str(processes), data)
    argv = ("bash", "-c", wrapper, "bash", script, directory(cwd), *limits)
    return Command(argv=argv, stdin=stdin, env=environment(env))
