"""Reading the user's repository, whose `.git` may have been made by strangers: none of its config is ever used."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox import temporary
from sandbox.errors import FileRefused, SandboxError
from sandbox.hostfiles import kind, read_bytes
from sandbox.hostgit import GitFailed, git, make_git_directory, user_settings
from sandbox.walking import Skipped, is_git_name

__all__ = [
    "Listing",
    "Repository",
    "find_repository",
    "has_branch",
    "head_commit",
    "ignore_rules",
    "list_files",
]

_INDEX_LIMIT = 1 << 30
_NESTING = 5
_REPAIR = "see what `git status` and `git fsck` say of it"
_GITLINK = b"160000"
_OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Repository:
    """Where the user's files are. `git_dir` is None for a plain directory, which works too."""

    root: Path
    git_dir: Path | None = None
    """What belongs to this checkout: HEAD and the index. A linked worktree has its own."""
    common_dir: Path | None = None
    """What all checkouts share: objects, refs, config."""
    object_format: str = "sha1"


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a repository as sorted relative paths, and what was left out."""

    files: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    submodules: tuple[str, ...] = ()
    """Directories that are repositories of their own; their files are in `files`."""


def find_repository(start: Path) -> Repository:
    """The repository that holds the directory `start`, or `start` itself when there is none.

    Raises SandboxError with a hint for a bare repository, one that belongs to somebody else, a broken `.git`,
    and for a home or root directory that is no repository.
    """
    start = start.resolve()
    if not os.path.isdir(start):
        raise SandboxError(f"{start} is not a directory", hint="give the directory of a project")
    for directory in (start, *start.parents):
        if os.path.exists(directory / ".git"):  # unlike Path.exists false where we may not look
            _check_owner(directory, start)
            return _open(directory)
        if _is_git_directory(directory):
            what = "inside a git directory" if directory.name == ".git" else "a bare repository without files"
            raise SandboxError(
                f"{directory} is {what}", hint="go to a checkout: git clone it, then start there"
            )
    if str(start) in ("/", os.path.expanduser("~")):
        raise SandboxError(f"{start} is not a project", hint="start in the directory of a project")
    return Repository(start)


def head_commit(repository: Repository) -> str | None:
    """The id of the commit that is checked out; None without commits or without git."""
    if repository.git_dir is None or repository.common_dir is None:
        return None
    if (repository.common_dir / "reftable").is_dir():
        # a format that only git itself reads; rev-parse runs nothing
        query = ["rev-parse", "--verify", "--quiet", "HEAD"]
        return git(query, git_dir=repository.git_dir, accept=(0, 1)).decode().strip() or None
    text = _text(repository.git_dir, "HEAD")
    for _ in range(5):  # git follows symbolic refs five deep, too (refs.c, SYMREF_MAXDEPTH)
        if not text.startswith("ref:"):
            return text if _OBJECT_ID.fullmatch(text) else None
        name = text.removeprefix("ref:").strip()
        text = _text(repository.git_dir, name) or _text(repository.common_dir, name)
        text = text or _packed_ref(repository.common_dir, name)
    return None


def has_branch(repository: Repository, name: str) -> bool:
    """Whether there is a branch of this name. Runs nothing; a reftable is not looked into."""
    common_dir = repository.common_dir
    ref = f"refs/heads/{name}"
    return common_dir is not None and bool(_text(common_dir, ref) or _packed_ref(common_dir, ref))


def ignore_rules(repository: Repository) -> bytes:
    """The ignore patterns that are not in the tree: the user's own, then the repository's info/exclude."""
    own = Path(user_settings().get("core.excludesfile", "") or _default_excludes()).expanduser()
    parts: list[bytes] = []
    with contextlib.suppress(OSError, FileRefused):
        parts.append(read_bytes(own.parent, own.name))
    if repository.common_dir:
        with contextlib.suppress(OSError, FileRefused):
            parts.append(read_bytes(repository.common_dir, "info/exclude"))
    return b"\n".join(parts)


def list_files(repository: Repository) -> Listing:
    """Tracked and untracked-not-ignored files as they stand, those of submodules and nested repositories included.

    The names come from a copy of the index, read with a git directory of our own; nothing in `.git` is run or
    written. A name may be gone or be a link by the time it is used.
    """
    files: set[str] = set()
    skipped: list[Skipped] = []
    submodules: list[str] = []
    waiting = [("", repository, 0)]
    while waiting:
        prefix, current, depth = waiting.pop()
        for name in _names(current):
            path = prefix + name.removesuffix("/")
            parts = path.split("/")
            if any(map(is_git_name, parts)):
                skipped.append(Skipped(path, "named like a git directory"))
            elif any(part in ("", ".", "..") for part in parts):
                skipped.append(Skipped(path, "no usable name"))  # an index can hold any bytes
            elif not name.endswith("/"):
                files.add(path)
            elif depth == _NESTING:
                skipped.append(Skipped(path, "repositories nested too deep"))
            elif inner := _nested(repository.root, path):
                submodules.append(path)
                waiting.append((f"{path}/", inner, depth + 1))
            else:
                skipped.append(Skipped(path, "a submodule that is not checked out, or a broken repository"))
    return Listing(tuple(sorted(files)), tuple(skipped), tuple(sorted(submodules)))


def _names(repository: Repository) -> Iterator[str]:
    """File names; those of directories that are other repositories end in `/`."""
    with temporary.directory() as place:
        git_dir = place / "git"
        make_git_directory(git_dir, repository.object_format, bare=False)
        (git_dir / "info/exclude").write_bytes(ignore_rules(repository))
        environment = _copy_index(repository, git_dir)

        def ask(*arguments: str) -> list[bytes]:
            # the limit is for those who put a FIFO where git looks for ignore rules
            command = ["ls-files", "-z", *arguments]
            try:
                said = git(
                    command, git_dir=git_dir, work_tree=repository.root, environment=environment, timeout=120
                )
            except GitFailed as error:
                raise SandboxError(
                    f"the files of {repository.root} cannot be listed: {error}", hint=_REPAIR
                ) from error
            return list(filter(None, said.split(b"\0")))

        for entry in ask("--stage"):
            about, _, name = entry.partition(b"\t")
            yield os.fsdecode(name) + ("/" if about.startswith(_GITLINK) else "")
        yield from map(os.fsdecode, ask("--others", "--exclude-standard"))


def _copy_index(repository: Repository, git_dir: Path) -> dict[str, str]:
    """Copy the index (with the shared part of a split one); what to add to git's environment to read it.

    A copy, because git touches a shared index that it reads, and because a file can be checked first.
    """
    if repository.git_dir is None or repository.common_dir is None:
        return {}
    try:
        index = read_bytes(repository.git_dir, "index", _INDEX_LIMIT)
    except FileNotFoundError:
        return {}
    except (OSError, FileRefused) as error:
        raise SandboxError(f"the index of {repository.root} cannot be read: {error}", hint=_REPAIR) from error
    (git_dir / "index").write_bytes(index)
    for name in os.listdir(repository.git_dir):
        if name.startswith("sharedindex."):
            (git_dir / name).write_bytes(read_bytes(repository.git_dir, name, _INDEX_LIMIT))
    if b"sdir" not in index:
        return {}
    # a sparse index names whole directories; git needs the objects to tell what is in them
    return {"GIT_ALTERNATE_OBJECT_DIRECTORIES": quoted_path(repository.common_dir / "objects")}


def quoted_path(path: Path) -> str:
    """A path for a `:`-separated variable of git's (gitformat: GIT_ALTERNATE_OBJECT_DIRECTORIES in git(1))."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _nested(root: Path, path: str) -> Repository | None:
    if kind(root, path) != "dir" or kind(root, f"{path}/.git") is None:
        return None
    with contextlib.suppress(SandboxError):
        return _open(root / path)
    return None


def _open(root: Path) -> Repository:
    git_dir = root / ".git"
    if git_dir.is_file():
        git_dir = _follow_git_file(git_dir)
    common_dir = git_dir
    if shared := _text(git_dir, "commondir"):
        common_dir = Path(os.path.normpath(git_dir / shared))
    if not _is_git_directory(git_dir, common_dir):
        raise SandboxError(
            f"{root / '.git'} is not a git directory", hint="repair it, or remove it to work without"
        )
    # `extensions.*` only counts in the main config file, so that no include has to be followed
    config = _text(common_dir, "config")
    sha256 = re.search(r"^\s*objectformat\s*=\s*\"?sha256", config, re.IGNORECASE | re.MULTILINE)
    return Repository(root, git_dir, common_dir, "sha256" if sha256 else "sha1")


def _follow_git_file(file: Path) -> Path:
    """Where the `.git` file of a linked worktree or a submodule points."""
    word, _, target = _text(file.parent, file.name).partition(":")
    if word != "gitdir" or not target.strip():
        raise SandboxError(f"{file} is not a git file", hint="repair it, or remove it to work without git")
    return Path(os.path.normpath(file.parent / target.strip()))


def _is_git_directory(path: Path, common: Path | None = None) -> bool:
    common = common or path
    try:
        head = (path / "HEAD").is_symlink() or (path / "HEAD").is_file()
        return head and (common / "objects").is_dir() and (common / "refs").is_dir()
    except PermissionError:
        return False


def _check_owner(root: Path, start: Path) -> None:
    """Refuse a repository that somebody else put above our directory (what git's safe.directory is about)."""
    owner = root.stat().st_uid
    if owner not in (start.stat().st_uid, os.getuid(), 0):
        hint = f"start in {root} itself if you trust it"
        raise SandboxError(f"{root} is a repository of another user (uid {owner})", hint=hint)


def _text(directory: Path, name: str) -> str:
    try:
        return read_bytes(directory, name).decode("utf-8", "surrogateescape").strip()
    except (OSError, FileRefused):
        return ""


def _packed_ref(common_dir: Path, name: str) -> str:
    for line in _text(common_dir, "packed-refs").splitlines():
        object_id, _, ref = line.partition(" ")
        if ref == name:
            return object_id
    return ""


def _default_excludes() -> str:
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return f"{home}/git/ignore"
