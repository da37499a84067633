"""The shadow repository: our own git directory, out of every sandbox's reach, that holds all snapshots as trees."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from sandbox.hostgit import GitFailed, git, make_git_directory, running_git

__all__ = ["EXECUTABLE", "LINK", "REGULAR", "Change", "Shadow", "TreeFile", "TreeWriter", "write_tree"]

REGULAR = "100644"
EXECUTABLE = "100755"
LINK = "120000"

PATCH_LIMIT = 64 * 1024 * 1024

# One fixed author and time: two copies of the same files are the same commit, and a model's prompt stays the same
_COMMITTER = b"committer coder <coder@localhost> 946684800 +0000\n"


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file in a snapshot: git's mode (`100644`, `100755` or `120000`) and the id of its blob."""

    mode: str
    id: str


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one path between two snapshots. `mode` means that only the mode changed.

    `old` is None for an added file, `new` for a deleted one.
    """

    path: str
    kind: Literal["added", "modified", "deleted", "mode"]
    old: TreeFile | None
    new: TreeFile | None

    @property
    def old_mode(self) -> str | None:
        return self.old.mode if self.old else None

    @property
    def new_mode(self) -> str | None:
        return self.new.mode if self.new else None


class TreeWriter:
    """Streams files into a git directory; made by write_tree."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        self._write: Callable[[bytes], object] = process.stdin.write

    def delete(self, path: str) -> None:
        """Leave `path` out. All deletions come before the additions, so that a file can become a directory."""
        self._write(b"D " + _quoted(path) + b"\n")

    def add(self, path: str, mode: str, content: bytes | str) -> None:
        """Add or replace `path`. `content` is the bytes, or the id of a blob that is already there."""
        if isinstance(content, str):
            self._write(b"M %s %s %s\n" % (mode.encode(), content.encode(), _quoted(path)))
            return
        self._write(b"M %s inline %s\ndata %d\n" % (mode.encode(), _quoted(path), len(content)))
        self._write(content)
        self._write(b"\n")


@contextmanager
def write_tree(
    git_dir: Path, ref: str, *, start: str | None = None, pack: bool = False
) -> Iterator[tuple[TreeWriter, Written]]:
    """Write a commit without parents to `ref`, its tree being `start` plus what the block adds.

    The ids stand in the second value when the block has ended. With `pack` all goes into one new pack file.
    """
    # fastimport.unpackLimit: smaller imports become loose objects (git-config(1))
    options = {"core.fsync": "none", "core.compression": "0"}  # it only has to last as long as the workspace
    options |= {"fastimport.unpackLimit": "0" if pack else "1000"}
    arguments = ["fast-import", "--quiet", "--force", "--depth=0", "--done"]
    written = Written()
    with running_git(arguments, git_dir=git_dir, options=options, timeout=1800) as process:
        assert process.stdin
        assert process.stdout
        head = b"commit %s\nmark :1\n%sdata 4\nbase\n" % (ref.encode(), _COMMITTER)
        process.stdin.write(head + (b'M 040000 %s ""\n' % start.encode() if start else b""))
        yield TreeWriter(process), written
        process.stdin.write(b'\nget-mark :1\nls :1 ""\ndone\n')
        process.stdin.flush()
        written.commit = process.stdout.readline().decode().strip()
        # `040000 tree <id>\t`
        written.tree = process.stdout.readline().decode().split("\t")[0].rpartition(" ")[2]


@dataclass(slots=True)
class Written:
    """What write_tree made."""

    commit: str = ""
    tree: str = ""


class Shadow:
    """Blobs and trees in a git directory of our own. Safe to use from several threads."""

    def __init__(self, git_dir: Path, rules: Path, object_format: str = "sha1") -> None:
        self.git_dir = git_dir
        self.rules = rules
        """A directory that holds the `.gitignore` files as they were at the start, and nothing else."""
        self.object_format = object_format

    @classmethod
    def create(cls, git_dir: Path, rules: Path, object_format: str, ignore: bytes) -> Shadow:
        """Lay out an empty one; `ignore` holds the patterns that are not in the tree."""
        make_git_directory(git_dir, object_format)
        (git_dir / "info/exclude").write_bytes(ignore)
        git_dir.chmod(0o700)
        rules.mkdir(mode=0o700)
        return cls(git_dir, rules, object_format)

    def blob_id(self, data: bytes) -> str:
        """The id that git gives to a blob of this content."""
        digest = hashlib.new(self.object_format, b"blob %d\0" % len(data), usedforsecurity=False)
        digest.update(data)
        return digest.hexdigest()

    def write(
        self, start: str | None, deleted: Iterable[str], added: Iterable[tuple[str, str, bytes | str]]
    ) -> str:
        """The id of a new tree: `start` without `deleted`, with each `(path, mode, bytes or blob id)` added."""
        ref = f"refs/snapshots/{secrets.token_hex(16)}"
        with write_tree(self.git_dir, ref, start=start) as (writer, written):
            for path in deleted:
                writer.delete(path)
            for path, mode, content in added:
                writer.add(path, mode, content)
        return written.tree

    def tree_files(self, tree: str) -> dict[str, TreeFile]:
        """Every file of a snapshot by path."""
        files: dict[str, TreeFile] = {}
        for line in git(["ls-tree", "-r", "-z", "--full-tree", tree], git_dir=self.git_dir).split(b"\0"):
            if line:
                about, _, path = line.partition(b"\t")
                mode, _, blob = about.decode().split(" ")
                files[os.fsdecode(path)] = TreeFile(mode, blob)
        return files

    def changes(self, since: str, until: str) -> list[Change]:
        """What changed from one snapshot to another, sorted by path."""
        raw = git(["diff-tree", "-r", "-z", "--raw", "--no-renames", since, until], git_dir=self.git_dir)
        fields = os.fsdecode(raw).split("\0")
        return [_change(about, path) for about, path in zip(fields[::2], fields[1::2], strict=False)]

    def patch(self, since: str, until: str, limit: int = PATCH_LIMIT) -> bytes:
        """The difference as a git patch, byte-exact, binary files included. Raises GitFailed past `limit` bytes."""
        form = ["--binary", "--full-index", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv"]
        prefixes = ["--src-prefix=a/", "--dst-prefix=b/"]
        return git(
            ["diff-tree", "-p", "-r", *form, *prefixes, since, until], git_dir=self.git_dir, limit=limit
        )

    def blob(self, blob_id: str) -> bytes:
        """The content of one blob."""
        return git(["cat-file", "blob", blob_id], git_dir=self.git_dir)

    def blobs(self, ids: Iterable[str]) -> Iterator[bytes]:
        """The contents of many blobs in the order asked for, raw: no filter and no conversion of line ends."""
        with running_git(["cat-file", "--batch"], git_dir=self.git_dir, timeout=1800) as process:
            assert process.stdin
            assert process.stdout
            wanted = list(ids)
            for start in range(0, len(wanted), 500):
                # few enough requests for the pipe to hold while git waits for us to read its answers
                batch = wanted[start : start + 500]
                process.stdin.write("".join(f"{blob_id}\n" for blob_id in batch).encode())
                process.stdin.flush()
                for _ in batch:
                    yield _read_blob(process.stdout)

    def ignored(self, paths: Iterable[str]) -> set[str]:
        """Those of `paths` that the ignore rules of the start leave out."""
        # `./` keeps a leading colon from being read as pathspec magic
        request = b"".join(b"./" + os.fsencode(path) + b"\0" for path in paths)
        if not request:
            return set()
        answer = git(
            ["check-ignore", "-z", "--stdin", "--no-index"],
            git_dir=self.git_dir,
            work_tree=self.rules,
            stdin=request,
            accept=(0, 1),
        )
        return {os.fsdecode(path[2:]) for path in answer.split(b"\0") if path}


def _read_blob(answers: IO[bytes]) -> bytes:
    about = answers.readline().split()  # `<id> blob <size>`
    if len(about) != 3 or about[1] != b"blob":
        raise GitFailed(f"the shadow repository lacks a blob: {about!r}")
    data = answers.read(int(about[2]))
    answers.read(1)
    return data


def _change(about: str, path: str) -> Change:
    # `:100644 100755 <id> <id> M`
    old_mode, new_mode, old_id, new_id, _ = about.removeprefix(":").split(" ")
    old = TreeFile(old_mode, old_id) if old_mode != "000000" else None
    new = TreeFile(new_mode, new_id) if new_mode != "000000" else None
    if old is None or new is None:
        return Change(path, "added" if new else "deleted", old, new)
    return Change(path, "mode" if old.id == new.id else "modified", old, new)


def _quoted(path: str) -> bytes:
    raw = os.fsencode(path)
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
