"""Real git repositories for tests, and exact pictures of what a directory holds."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sandbox.hostgit import git_program
from sandbox.walking import walk
from sandbox.workspace import Workspace

Files = Mapping[str, str | bytes]

_IDENTITY = ("-c", "user.name=user", "-c", "user.email=user@example.org", "-c", "init.defaultBranch=main")


def git(root: Path, *arguments: str) -> str:
    """What git says as an ordinary user would hear it, run in `root`."""
    command = ["git", *_IDENTITY, "-c", "protocol.file.allow=always", *arguments]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
    }
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
    return os.fsdecode(done.stdout)


def write_files(root: Path, files: Files) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def make_repository(root: Path, files: Files) -> Path:
    """A repository at `root` whose one commit holds `files`."""
    root.mkdir(parents=True)
    write_files(root, files)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", "start")
    return root


def picture(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything beneath `root`, `.git` included: kind, mode, owner, time of change and content by path."""
    seen: dict[str, tuple[object, ...]] = {}
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = os.path.join(folder, name)
            found = os.lstat(path)
            content: object = None
            if stat.S_ISREG(found.st_mode):
                content = Path(path).read_bytes()
            elif stat.S_ISLNK(found.st_mode):
                content = os.readlink(path)
            times = None if stat.S_ISDIR(found.st_mode) else found.st_mtime_ns
            seen[os.path.relpath(path, root)] = (found.st_mode, found.st_uid, found.st_gid, times, content)
    return seen


START: Files = {
    "src/main.py": "print('hello')\n",
    "run.sh": "#!/bin/sh\n",
    "data.bin": bytes(range(256)),
    "crlf.txt": "one\r\ntwo\r\n",
    ".gitignore": "*.log\n",
}


def user_tree(root: Path) -> Path:
    """A repository with uncommitted work, an untracked file, an ignored one and links."""
    make_repository(root, START)
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("src/main.py")
    (root / "dangling").symlink_to("/nowhere/at/all")
    write_files(root, {"src/main.py": "print('uncommitted')\n", "untracked.py": "", "trace.log": "ignored"})
    (root / "crlf.txt").unlink()
    return root


def contents(root: Path) -> dict[str, bytes]:
    """Files and links beneath `root`, but for `.git`."""
    return {
        entry.path: os.fsencode(os.readlink(root / entry.path))
        if entry.kind == "symlink"
        else (root / entry.path).read_bytes()
        for entry in walk(root)
        if entry.kind != "dir"
    }


def inner_git(workspace: Workspace, *arguments: str) -> str:
    """What git says inside."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    program = [git_program(), "-c", f"safe.directory={workspace.root}", *arguments]
    return subprocess.run(
        program, cwd=workspace.root, env=environment, capture_output=True, text=True, check=True
    ).stdout


@contextmanager
def ordinary_user(*places: Path) -> Iterator[int]:
    """Be somebody who is not root within the block, and own `places`; the uid. Does nothing for those who are not."""
    if os.geteuid() != 0:
        yield os.geteuid()
        return
    for place in places:
        for path in (place, *place.rglob("*")):
            os.chown(path, 1000, 1000, follow_symlinks=False)
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(1000)
    os.seteuid(1000)
    try:
        yield 1000
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def on_small_disk(size: str, script: str) -> str:
    """What the Python `script` prints with a file system of `size` at /mnt, mounted in a namespace of its own."""
    mounting = f'mount -t tmpfs -o size={size} none /mnt && exec {sys.executable} -c "$0"'
    command = [
        "unshare",
        "--mount",
        *(["--map-root-user"] if os.geteuid() else []),
        "sh",
        "-c",
        mounting,
        script,
    ]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
