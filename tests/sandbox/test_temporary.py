"""Temporary directories of our own: a process that is killed leaves one, and the next that needs one removes it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sandbox.owner import me
from sandbox.repository import find_repository, list_files
from tests.sandbox.repositories import make_repository

KILLED = """
import os, signal, sys, tempfile
tempfile.tempdir = sys.argv[1]
from sandbox.temporary import directory
with directory() as place:
    (place / "deep").mkdir()
    (place / "deep/file").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def test_what_a_killed_process_left_goes_when_files_are_listed(top: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(top)], cwd=Path(__file__).parents[2])
    assert len(os.listdir(top)) == 1
    list_files(find_repository(make_repository(tmp_path / "source", {"a.py": ""})))
    assert os.listdir(top) == []


def test_what_belongs_to_the_living_or_to_others_stays(top: Path, tmp_path: Path) -> None:
    boot, namespace, pid, started = me().split(".")
    dead = f"coder-{boot}.{namespace}.{pid}.{int(started) + 1}-"
    (tmp_path / "target").mkdir()
    (top / f"{dead}link").symlink_to(tmp_path / "target")
    (top / f"{dead}file").touch()
    for name in (f"coder-{me()}-x", "coder-x", "coder-demo-1", f"other-{me()}-x"):
        (top / name).mkdir()
    if os.getuid() == 0:
        (top / f"{dead}stranger").mkdir()
        os.chown(top / f"{dead}stranger", 1000, 1000)
    before = sorted(os.listdir(top))
    list_files(find_repository(make_repository(tmp_path / "source", {"a.py": ""})))
    assert sorted(os.listdir(top)) == before
    assert (tmp_path / "target").exists()
