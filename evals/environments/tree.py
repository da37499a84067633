"""An instance's tree as a repository of one commit: no history, no remote, nothing to read a later fix from."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from evals.environments.failed import EnvironmentFailed
from evals.instance import Source
from sandbox.hostgit import git_program

GIT_SECONDS = 600.0
_GIT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z",
    "LC_ALL": "C.UTF-8",
}


def make_tree(source: Source, place: Path, cache: Path) -> None:
    """Put the source's files into `place`, which must not be there, and commit them. Raises EnvironmentFailed, OSError."""
    match source.kind:
        case "sdist":
            archive = archived(source, cache)
            if archive is None:
                raise EnvironmentFailed(f"the archive {source.file} is not in the cache")
            _unpack(archive, place)
        case "git":
            _check_out(source, place)
        case "directory":
            shutil.copytree(
                source.path, place, symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__")
            )
    commit(place)


def commit(tree: Path) -> None:
    """Make a folder a repository with one commit of everything in it."""
    _run([git_program(), "init", "-q", "-b", "main", "."], tree)
    _run([git_program(), "add", "-A", "-f", "."], tree)
    identity = ["-c", "user.name=base", "-c", "user.email=base@localhost", "-c", "gc.auto=0"]
    _run([git_program(), *identity, "commit", "-q", "--allow-empty", "-m", "base"], tree)


def archived(source: Source, cache: Path) -> Path | None:
    """The source archive in the cache, if it is there and its SHA-256 is right."""
    for path in (cache / "sdist").glob("*.tar.gz"):
        if path.name.lower() == source.file.lower() and _sound(path, source):
            return path
    return None


def keep_archive(source: Source, cache: Path, folder: Path) -> None:
    """Take the archive out of where it was downloaded to. Raises EnvironmentFailed when it is another one."""
    found = [path for path in folder.glob("*.tar.gz") if path.name.lower() == source.file.lower()]
    if not found or not _sound(found[0], source):
        wanted = f"{source.name}=={source.version}"
        raise EnvironmentFailed(f"the archive of {wanted} is not the one that was recorded ({source.file})")
    (cache / "sdist").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found[0], cache / "sdist" / found[0].name)


def _sound(path: Path, source: Source) -> bool:
    return not source.sha256 or hashlib.sha256(path.read_bytes()).hexdigest() == source.sha256


def _unpack(archive: Path, place: Path) -> None:
    inside = place.with_name(f"{place.name}.unpack")
    try:
        with tarfile.open(archive) as opened:
            opened.extractall(inside, filter="data")
        tops = list(inside.iterdir())
        if len(tops) != 1 or not tops[0].is_dir():
            raise EnvironmentFailed(f"{archive.name} does not hold one folder")
        tops[0].rename(place)
    except tarfile.TarError as error:
        raise EnvironmentFailed(f"{archive.name} cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(inside, ignore_errors=True)


def _check_out(source: Source, place: Path) -> None:
    """The files of one commit of a repository on this machine, by plumbing alone."""
    place.mkdir(parents=True)
    archive = place.with_name(f"{place.name}.tar")
    try:
        command = [
            git_program(),
            "-C",
            source.path,
            "archive",
            "--format=tar",
            "-o",
            str(archive),
            source.commit or "HEAD",
        ]
        _run(command, place)
        with tarfile.open(archive) as opened:
            opened.extractall(place, filter="data")
    finally:
        archive.unlink(missing_ok=True)


def _run(command: Sequence[str], cwd: Path) -> None:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=_GIT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=GIT_SECONDS,
        check=False,
    )
    if done.returncode:
        raise EnvironmentFailed(
            f"{' '.join(command[1:4])} failed: {(done.stderr or done.stdout)[-2000:].strip()}"
        )
