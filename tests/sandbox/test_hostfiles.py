"""Reading and writing beneath a root that hostile programs may have filled."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import hostfiles
from sandbox.errors import FileRefused
from sandbox.text import clean_text
from sandbox.walking import Caps, Entry, Skipped, is_git_name, list_directory, remove_tree, walk
from tests.sandbox.repositories import ordinary_user


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with files and links, next to a secret that none of them may lead to."""
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    (root / "src").mkdir(parents=True)
    (root / "src/main.py").write_text("print()\n")
    (root / "inside").symlink_to("src/main.py")
    (root / "folder").symlink_to("src")
    (root / "absolute").symlink_to(tmp_path / "secret")
    (root / "relative").symlink_to("../secret")
    (root / "out").symlink_to("..")
    (root / "loop").symlink_to("loop")
    return root


@pytest.fixture(params=["openat2", "step by step"])
def any_kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same promises with openat2 and on kernels that lack it."""
    if request.param == "openat2":
        assert hostfiles.has_openat2()
    else:
        monkeypatch.setattr(hostfiles, "has_openat2", lambda: False)
    return str(request.param)


def test_reads_a_file(root: Path, any_kernel: str) -> None:
    assert hostfiles.read_bytes(root, "src/main.py") == b"print()\n"
    assert hostfiles.read_bytes(root, "./src//main.py") == b"print()\n"


def test_a_root_may_be_an_open_directory(root: Path, any_kernel: str) -> None:
    descriptor = os.open(root, os.O_RDONLY)
    try:
        assert hostfiles.read_bytes(descriptor, "src/main.py") == b"print()\n"
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "src/../../secret",
        "/etc/passwd",
        "absolute",
        "relative",
        "out/secret",
        "loop",
        "a\0b",
        "\ud800",
    ],
)
def test_nothing_leads_out(root: Path, path: str, any_kernel: str) -> None:
    with pytest.raises(FileRefused):
        hostfiles.read_bytes(root, path)
    with pytest.raises(FileRefused):
        hostfiles.write_bytes(root, path, b"overwritten")
    assert (root.parent / "secret").read_text() == "secret"


def test_links_that_stay_inside_are_followed_unless_told(root: Path) -> None:
    assert hostfiles.read_bytes(root, "inside") == b"print()\n"
    assert hostfiles.read_bytes(root, "folder/main.py") == b"print()\n"
    for path in ("inside", "folder/main.py"):
        with pytest.raises(FileRefused, match="link"):
            hostfiles.read_bytes(root, path, links=False)


def test_a_magic_link_of_proc_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    with open(tmp_path / "secret") as held, pytest.raises(FileRefused):
        hostfiles.read_bytes(Path("/proc/self/fd"), str(held.fileno()))


@pytest.fixture
def special(root: Path) -> Iterator[Path]:
    """FIFOs and sockets in the tree."""
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        yield root


@pytest.mark.parametrize("path", ["fifo", "socket"])
def test_special_files_are_refused_at_once(special: Path, path: str, any_kernel: str) -> None:
    with pytest.raises(FileRefused, match="not a regular file"):
        hostfiles.read_bytes(special, path)
    with pytest.raises(FileRefused, match="not a regular file"):
        hostfiles.write_bytes(special, path, b"")
    assert hostfiles.kind(special, path) == "other"


def test_a_huge_sparse_file_is_not_read(root: Path) -> None:
    with open(root / "sparse", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FileRefused, match="larger than 1000 bytes"):
        hostfiles.read_bytes(root, "sparse", limit=1000)


def test_the_limit_counts_bytes_even_where_the_size_says_zero() -> None:
    """Files in /proc claim to be empty."""
    assert hostfiles.read_bytes(Path("/proc/self"), "status", limit=1 << 20).startswith(b"Name:")
    with pytest.raises(FileRefused, match="larger"):
        hostfiles.read_bytes(Path("/proc/self"), "status", limit=10)


@pytest.mark.parametrize(
    ("path", "error"),
    [("none", FileNotFoundError), ("src", IsADirectoryError), ("src/main.py/x", NotADirectoryError)],
)
def test_ordinary_mistakes_are_ordinary_errors(
    root: Path, path: str, error: type[OSError], any_kernel: str
) -> None:
    with pytest.raises(error):
        hostfiles.read_bytes(root, path)


def test_writes_a_new_file_and_its_directories(root: Path, any_kernel: str) -> None:
    hostfiles.write_bytes(root, "a/b/c.txt", b"new")
    assert (root / "a/b/c.txt").read_bytes() == b"new"
    assert stat.S_IMODE((root / "a/b/c.txt").stat().st_mode) == 0o644


def test_writing_keeps_the_executable_bit_and_drops_set_uid(root: Path) -> None:
    (root / "run.sh").write_text("old")
    (root / "run.sh").chmod(0o4755)
    hostfiles.write_bytes(root, "run.sh", b"new")
    assert (root / "run.sh").read_bytes() == b"new"
    assert (root / "run.sh").stat().st_mode & 0o7777 == 0o755


def test_a_link_is_not_written_through_but_named(root: Path) -> None:
    with pytest.raises(FileRefused, match=r"'inside' is a link to 'src/main.py'"):
        hostfiles.write_bytes(root, "inside", b"")
    assert (root / "inside").is_symlink()
    assert (root / "src/main.py").read_text() == "print()\n"


def test_readers_see_the_old_content_or_the_new(root: Path) -> None:
    contents = [bytes([letter]) * 300_000 for letter in b"ab"]
    hostfiles.write_bytes(root, "file", contents[0])
    ended = threading.Event()

    def write() -> None:
        for turn in range(100):
            hostfiles.write_bytes(root, "file", contents[turn % 2])
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not ended.is_set():
        seen.add(hostfiles.read_bytes(root, "file"))
    writer.join()
    assert seen <= set(contents)


@pytest.mark.parametrize(
    "write", [hostfiles.write_bytes, lambda root, path, _: hostfiles.make_link(root, path, "x")]
)
def test_a_failed_write_leaves_nothing_behind(root: Path, write: Callable[[Path, str, bytes], None]) -> None:
    (root / "folder.d").mkdir()
    with pytest.raises(IsADirectoryError):
        write(root, "folder.d", b"data")
    assert not [name for name in os.listdir(root) if name.startswith(hostfiles.TEMPORARY_PREFIX)]


def test_a_file_that_is_too_large_for_the_disk_leaves_the_old_one(root: Path) -> None:
    (root / "file").write_text("old")
    with full_disk(100_000), pytest.raises(OSError, match="File too large"):
        hostfiles.write_bytes(root, "file", b"x" * 100_001)
    assert (root / "file").read_text() == "old"
    assert not [name for name in os.listdir(root) if name.startswith(hostfiles.TEMPORARY_PREFIX)]


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Writes past this many bytes fail, as they do when a disk is full (RLIMIT_FSIZE): this process's own output too,
    where it goes to a file, so nothing else may happen inside."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_makes_and_reads_links(root: Path) -> None:
    hostfiles.make_link(root, "a/link", "anywhere/at all")
    assert hostfiles.read_link(root, "a/link") == "anywhere/at all"
    hostfiles.make_link(root, "src/main.py", "replaced")
    assert hostfiles.kind(root, "src/main.py") == "symlink"


def test_removes_the_link_and_not_what_it_points_to(root: Path) -> None:
    hostfiles.remove(root, "absolute")
    assert not os.path.lexists(root / "absolute")
    assert (root.parent / "secret").exists()
    with pytest.raises(IsADirectoryError):
        hostfiles.remove(root, "src")
    with pytest.raises(FileRefused):
        hostfiles.remove(root, "out/secret")


def test_kinds(root: Path) -> None:
    kinds = {
        path: hostfiles.kind(root, path)
        for path in (".", "src", "src/main.py", "out", "none", "src/main.py/x")
    }
    assert list(kinds.values()) == ["dir", "dir", "file", "symlink", None, None]


# Walking


def paths(entries: Iterator[Entry]) -> list[str]:
    return sorted(entry.path for entry in entries)


def test_walks_files_links_and_directories_without_following(root: Path) -> None:
    found = {entry.path: entry.kind for entry in walk(root)}
    links = dict.fromkeys(["absolute", "folder", "inside", "loop", "out", "relative"], "symlink")
    assert found == {"src": "dir", "src/main.py": "file", **links}


@pytest.mark.parametrize(
    "name", [".git", ".GIT", ".Git", "git~1", "GIT~1", ".git.", ".git ", ".git::$INDEX_ALLOCATION"]
)
def test_walks_past_whatever_a_file_system_could_take_for_git(tmp_path: Path, name: str) -> None:
    (tmp_path / "a" / name).mkdir(parents=True)
    (tmp_path / "a" / name / "config").touch()
    (tmp_path / "a/file").touch()
    assert paths(walk(tmp_path)) == ["a", "a/file"]
    assert f"a/{name}/config" in paths(walk(tmp_path, skip_git=False))


def test_names_of_git() -> None:
    assert all(map(is_git_name, [".g\u200cit", "x\\.git", ".git\\x", ".git. .", "git~1."]))
    assert not any(map(is_git_name, [".gitignore", ".github", "git", "x.git", "git~2", ".gitx", "..git"]))


def test_reports_special_files(special: Path) -> None:
    skipped: list[Skipped] = []
    assert not {"fifo", "socket"} & set(paths(walk(special, skipped=skipped)))
    assert {item.path for item in skipped} == {"fifo", "socket"}
    assert not any(item.hidden for item in skipped)


def test_names_may_be_anything(tmp_path: Path) -> None:
    names = [b"new\nline", b"\x1b[2J", b"-rf", b"\xff\xfe", b" ", b"*", "\u202e".encode()]
    for name in names:
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(name)
    assert sorted(os.fsencode(entry.path) for entry in walk(tmp_path)) == sorted(names)
    for entry in walk(tmp_path):
        assert hostfiles.read_bytes(tmp_path, entry.path) == os.fsencode(entry.path)


def test_too_many_files_end_the_walk(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / str(number)).touch()
    with pytest.raises(FileRefused, match="more than 10 files"):
        list(walk(tmp_path, caps=Caps(entries=10)))


def deep_tree(root: Path, depth: int) -> None:
    """A chain of directories far longer than a path or a recursion may be."""
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("directory", dir_fd=here)
        below = os.open("directory", os.O_RDONLY, dir_fd=here)
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=below))
        os.close(here)
        here = below
    os.close(here)


def test_a_deep_tree_is_walked_to_the_cap_and_removed(tmp_path: Path) -> None:
    deep_tree(tmp_path / "deep", 3000)
    skipped: list[Skipped] = []
    found = list(walk(tmp_path / "deep", skipped=skipped))
    assert len(found) == 2 * Caps().depth - 1
    assert {item.hidden for item in skipped} == {True}
    remove_tree(tmp_path / "deep")
    assert not (tmp_path / "deep").exists()


def test_removes_what_is_locked_and_never_follows_links() -> None:
    with tempfile.TemporaryDirectory() as place:
        outside, tree = Path(place, "outside"), Path(place, "tree")
        (outside / "kept").mkdir(parents=True)
        (tree / "locked/inner").mkdir(parents=True)
        (tree / "locked/inner/file").touch()
        (tree / "locked/link").symlink_to(outside)
        (tree / "link").symlink_to(outside / "kept")
        os.mkfifo(tree / "fifo")
        with ordinary_user(Path(place)):
            (tree / "locked/inner").chmod(0)
            (tree / "locked").chmod(0)
            tree.chmod(0)
            remove_tree(tree)
        assert not tree.exists()
        assert (outside / "kept").is_dir()


def test_removing_nothing_is_fine(tmp_path: Path) -> None:
    remove_tree(tmp_path / "none")


def test_unreadable_directories_are_reported() -> None:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "locked").mkdir()
        with ordinary_user(Path(place)):
            (Path(place) / "locked").chmod(0)
            skipped: list[Skipped] = []
            assert paths(walk(Path(place), skipped=skipped)) == ["locked"]
            (Path(place) / "locked").chmod(0o700)
    assert skipped == [Skipped("locked", "unreadable", hidden=True)]


def test_lists_a_directory_sorted_and_capped(root: Path) -> None:
    assert [entry.path for entry in list_directory(root, "src")] == ["main.py"]
    assert [entry.path for entry in list_directory(root, limit=3)] == ["absolute", "folder", "inside"]
    assert "src/main.py" in [entry.path for entry in list_directory(root, depth=2)]
    with pytest.raises(FileRefused):
        list_directory(root, "out")


# Text for people


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("grüße 🎉", "grüße 🎉"),
        ("\x1b[2J", "␛[2J"),
        ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
        ("a\rb\x00\x7f", "a␍b␀␡"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u2028b", "a\\u2028b"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_control_characters_are_made_visible(hostile: str, shown: str) -> None:
    assert clean_text(hostile) == shown
    clean_text(hostile).encode()  # nothing is left that cannot be written
