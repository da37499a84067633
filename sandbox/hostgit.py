"""Git on the host, run so that nothing in a repository can steer it: no config, hook, filter, prompt or network."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from sandbox.errors import SandboxError
from sandbox.hostfiles import Owner
from sandbox.text import clean_text

__all__ = ["GitFailed", "git", "git_program", "make_git_directory", "running_git", "user_settings"]

_OPTIONS = {
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.untrackedCache": "false",
    "core.attributesFile": "/dev/null",
    "core.pager": "cat",
    "core.quotePath": "true",
    "protocol.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
}

_ENVIRONMENT = {
    "LC_ALL": "C",
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "/bin/false",
}

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


class GitFailed(SandboxError):
    """The host's git gave up; the message holds the end of what it said."""


def git_program() -> str:
    """The absolute path of the host's git: a system one if PATH holds it, never one beneath the present directory.

    Raises SandboxError when there is none.
    """
    if found := _find(os.environ.get("PATH", ""), os.path.realpath(".")):
        return found
    raise SandboxError("git was not found", hint="install git 2.25 or later")


@cache
def _find(path: str, here: str) -> str | None:
    system = _SYSTEM_PATH.split(":")
    entries = [entry for entry in path.split(os.pathsep) if os.path.isabs(entry)]
    search = [entry for entry in system if entry in entries]
    # a repository may have talked the user into putting its own bin/ on PATH
    search += [
        entry for entry in entries if here == "/" or not Path(os.path.realpath(entry)).is_relative_to(here)
    ]
    return shutil.which("git", path=os.pathsep.join(search) or "/nonexistent")


@contextmanager
def running_git(
    arguments: Sequence[str],
    *,
    git_dir: Path,
    work_tree: Path | None = None,
    options: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    owner: Owner | None = None,
    timeout: float = 300.0,
    accept: Sequence[int] = (0,),
) -> Iterator[subprocess.Popen[bytes]]:
    """A git process with pipes on both ends. Leaving the block closes them and waits for it.

    `owner` is the user and group to run as, when we are root. Raises GitFailed for an exit status not in `accept`
    and after `timeout` seconds; an exception inside the block ends the process first.
    """
    settings = _OPTIONS | dict(options or {})
    command = [git_program(), *(word for pair in settings.items() for word in ("-c", "=".join(pair)))]
    command += [f"--git-dir={git_dir}", *([f"--work-tree={work_tree}"] if work_tree else []), *arguments]
    broken = False
    with tempfile.TemporaryFile() as complaints:
        process = _start(command, complaints, work_tree or Path("/"), environment or {}, owner)
        with _ending(process, timeout) as late:
            try:
                yield process
                _close(process.stdin)
                _close(process.stdout)
            except BrokenPipeError:
                broken = True  # it died first, and says why
            process.wait()
        if late.is_set():
            raise GitFailed(f"git {arguments[0]} took longer than {timeout:.0f} s")
        if broken or process.returncode not in accept:
            raise GitFailed(f"git {arguments[0]} failed: {_last_words(complaints)}")


def _start(
    command: Sequence[str],
    complaints: IO[bytes],
    cwd: Path,
    environment: Mapping[str, str],
    owner: Owner | None,
) -> subprocess.Popen[bytes]:
    user, group = owner if owner and os.geteuid() == 0 else (None, None)
    return subprocess.Popen(
        command,
        bufsize=1 << 20,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        cwd=cwd,
        env={**_ENVIRONMENT, "PATH": _SYSTEM_PATH, **environment},
        start_new_session=True,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
    )


@contextmanager
def _ending(process: subprocess.Popen[bytes], timeout: float) -> Iterator[threading.Event]:
    """Ends `process` after `timeout` seconds, which sets the event, and at the latest with the block."""
    late = threading.Event()

    def give_up() -> None:
        late.set()
        process.kill()

    watchdog = threading.Timer(timeout, give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield late
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
        _close(process.stdin)
        _close(process.stdout)


def git(
    arguments: Sequence[str],
    *,
    git_dir: Path,
    stdin: bytes = b"",
    work_tree: Path | None = None,
    environment: Mapping[str, str] | None = None,
    owner: Owner | None = None,
    timeout: float = 300.0,
    accept: Sequence[int] = (0,),
    limit: int | None = None,
) -> bytes:
    """What git writes to its standard output, given `stdin`. More than `limit` bytes of it raise GitFailed.

    The other parameters are those of running_git.
    """
    with running_git(
        arguments,
        git_dir=git_dir,
        work_tree=work_tree,
        environment=environment,
        owner=owner,
        timeout=timeout,
        accept=accept,
    ) as process:
        assert process.stdout
        if limit is None:
            return process.communicate(stdin)[0]
        _close(process.stdin)
        output = process.stdout.read(limit + 1)
        if len(output) > limit:
            raise GitFailed(f"git {arguments[0]} wrote more than {limit} bytes")
        return output


def make_git_directory(path: Path, object_format: str = "sha1", *, bare: bool = True) -> None:
    """Lay out an empty git directory, by hand: `git init` would bring templates with hooks, and takes longer."""
    for part in ("objects/pack", "refs/heads", "info"):
        (path / part).mkdir(parents=True)
    (path / "HEAD").write_text("ref: refs/heads/main\n")
    version = 0 if object_format == "sha1" else 1
    config = (
        f"[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = {str(bare).lower()}\n"
    )
    if version:
        config += f"[extensions]\n\tobjectformat = {object_format}\n"
    (path / "config").write_text(config)


def user_settings() -> dict[str, str]:
    """`user.name`, `user.email` and `core.excludesfile` from the user's own and the system's git configuration."""
    keep = (
        "HOME",
        "XDG_CONFIG_HOME",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
        "USER",
    )
    environment = {key: os.environ[key] for key in keep if key in os.environ}
    # a GIT_DIR that does not exist: no repository's config is read (measured with git 2.39)
    environment |= {"LC_ALL": "C", "PATH": _SYSTEM_PATH, "GIT_DIR": "/nonexistent"}
    query = ["config", "-z", "--get-regexp", r"^(user\.(name|email)|core\.excludesfile)$"]
    done = subprocess.run(
        [git_program(), *query], env=environment, cwd="/", capture_output=True, timeout=30, check=False
    )
    pairs = (item.partition("\n") for item in os.fsdecode(done.stdout).split("\0") if item)
    return {key: value for key, _, value in pairs if value}


def _close(pipe: IO[bytes] | None) -> None:
    if pipe and not pipe.closed:
        try:
            pipe.close()
        except BrokenPipeError:
            return  # what was still buffered has no reader any more; the exit status tells


def _last_words(complaints: IO[bytes]) -> str:
    size = complaints.seek(0, os.SEEK_END)
    complaints.seek(max(0, size - 2000))
    return clean_text(complaints.read().decode("utf-8", "replace").strip()) or "no message"
