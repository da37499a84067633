"""A canary that cannot sing proves nothing: it must notice each thing that hostile code could do to the host."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.adversarial.canary import SECRET, UID, Canary, canary

as_root = pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user cannot become the sandbox's")


@pytest.fixture
def bird() -> Iterator[Canary]:
    with canary() as bird:
        yield bird


def test_it_is_silent_when_nothing_happens(bird: Canary) -> None:
    assert bird.complaints(bird.look()) == []


def change(place: Path) -> None:
    (place / "folder/file").write_text("x" * len(SECRET))


def touch(place: Path) -> None:
    os.utime(place / "private")


def lock(place: Path) -> None:
    (place / "program").chmod(0o4755)


def add(place: Path) -> None:
    (place / "folder/new").mkdir()


def remove(place: Path) -> None:
    (place / "link").unlink()


@pytest.mark.parametrize("deed", [change, touch, lock, add, remove])
def test_it_notices_what_becomes_of_files(bird: Canary, deed: Callable[[Path], None]) -> None:
    before = bird.look()
    deed(bird.place)
    assert bird.complaints(before)


def as_somebody(script: str) -> subprocess.Popen[bytes]:
    """A program of the sandbox's user on the host."""
    words = ["/usr/bin/python3", "-c", script]
    return subprocess.Popen(words, user=UID, group=UID, extra_groups=[], stdout=subprocess.PIPE)


@as_root
@pytest.mark.parametrize("place", ["/tmp", "/var/tmp", "/dev/shm"])
def test_it_notices_a_file_where_everybody_may_write(bird: Canary, place: str) -> None:
    before = bird.look()
    path = Path(place, f"stray-{os.getpid()}")
    as_somebody(f"open({str(path)!r}, 'w')").communicate()
    try:
        assert bird.complaints(before) == [f"strays: {path}"]
    finally:
        path.unlink()


@as_root
def test_it_notices_a_process_and_a_listener(bird: Canary) -> None:
    before = bird.look()
    script = (
        "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(flush=True); time.sleep(60)"
    )
    process = as_somebody(script)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        found = bird.complaints(before, patience=0.1)
        assert [item.split(":")[0] for item in found] == ["processes", "listeners"]
    finally:
        process.kill()
        process.communicate()
    assert bird.complaints(before) == []


@as_root
def test_it_waits_a_moment_for_a_process_to_end(bird: Canary) -> None:
    before = bird.look()
    process = as_somebody("import time; time.sleep(0.5)")
    while not bird.look().processes:
        time.sleep(0.01)
    reaper = threading.Thread(target=process.communicate)
    reaper.start()
    assert bird.complaints(before, patience=20) == []
    reaper.join()


@as_root
def test_it_notices_a_mount(bird: Canary) -> None:
    script = "read line; mount -t tmpfs none /mnt && echo mounted; read line"
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        own = os.stat("/proc/self/ns/mnt").st_ino
        while Path(f"/proc/{process.pid}/ns/mnt").stat().st_ino == own:
            time.sleep(0.01)
        bird.proc = Path(f"/proc/{process.pid}")
        before = bird.look()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "mounted\n"
        assert [item for item in bird.complaints(before) if "/mnt" in item]
        process.stdin.write("\n")


@pytest.mark.parametrize("said", [SECRET, f"a{SECRET}b", SECRET[::-1]])
def test_it_hears_a_secret(bird: Canary, said: str) -> None:
    before = bird.look()
    bird.heard += [b"harmless", said.encode()]
    assert bird.complaints(before) == ["a secret of the host was read"]


def test_the_program_that_runs_these_tests_has_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing would be proved by its absence inside."""
    assert os.environ["OPENAI_API_KEY"] == SECRET
    script = "import os; print(os.environ['GITHUB_TOKEN'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == SECRET


def test_a_socket_of_root_is_nobodys_business(bird: Canary) -> None:
    before = bird.look()
    with socket.create_server(("127.0.0.1", 0)):
        assert os.getuid() != 0 or bird.complaints(before) == []
