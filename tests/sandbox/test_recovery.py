"""A process that is killed while it changes the user's tree: the next start finds the plan and puts everything back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.hostfiles import TEMPORARY_PREFIX
from sandbox.recovery import PLAN, recover
from sandbox.workspace import Workspace
from tests.sandbox.repositories import make_repository, picture, write_files
from tests.sandbox.test_applying import START, edit_everything

KILLED = """
import os, signal, sys
from pathlib import Path
import sandbox.applying
from tests.sandbox.test_recovery import edited

workspace = edited(Path(sys.argv[1]))
left = int(sys.argv[2])

def dying(work):
    def step(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*arguments, **options)
    return step

for name in ("mkdir", "link", "rename", "replace", "rmdir", "unlink"):
    setattr(os, name, dying(getattr(os, name)))
workspace.apply_to_source()
"""
"""Applies a patch and dies before the Nth change that it makes to a directory."""


def edited(place: Path) -> Workspace:
    """A workspace with a change of every kind; its repository is made once."""
    workspace = Workspace.create(place / "source", place / "state")
    edit_everything(workspace)
    return workspace


@pytest.fixture
def place(tmp_path: Path) -> Path:
    source = make_repository(tmp_path / "source", START)
    write_files(source, {"src/util.py": "uncommitted\n", "untracked.py": "mine\n", "trace.log": "ignored\n"})
    return tmp_path


def killed_before(step: int, place: Path) -> bool:
    """Whether the process was killed; else it has applied the patch."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(place), str(step)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def leftovers(source: Path) -> list[str]:
    return [name for name in os.listdir(source) if name.startswith(TEMPORARY_PREFIX)]


def states(place: Path, first: int = 0) -> Iterator[tuple[int, Path]]:
    """The tree after a kill at every single step of applying the patch, each from the same start."""
    for step in range(first, 200):
        each = place / str(step)
        each.mkdir()
        subprocess.run(["cp", "-a", place / "source", each / "source"], check=True)
        if not killed_before(step, each):
            assert step > 20, "a patch of nine changes takes more steps than that"
            return
        yield step, each
    raise AssertionError("it never got to the end")


def test_killed_at_any_step_it_is_as_before_or_as_after(place: Path) -> None:
    before = picture(place / "source")
    seen = set()
    for step, each in states(place):
        half = picture(each / "source")
        recover(each / "state")
        after = picture(each / "source")
        whole = (each / "source/zz.py").exists()
        seen.add("after" if whole else "before")
        if whole:
            assert (each / "source/src/main.py").read_bytes() == b"print('fixed')\r\n"
            assert not (each / "source/only").exists()
        else:
            assert after == before, f"step {step}: {half.keys() ^ before.keys()}"
        assert leftovers(each / "source") == []
        assert not [
            name for name in os.listdir(each / "state") if name.startswith("appl") and "draft" not in name
        ]
        assert recover(each / "state") == []
    assert seen == {"before", "after"}


def half_done(place: Path) -> Path:
    """A place whose process was killed when some files were new already, and others gone."""
    for _, each in states(place, 12):
        if "fixed" in (each / "source/src/main.py").read_text() and (each / "state" / PLAN).exists():
            return each
    raise AssertionError("no such moment")


def test_what_the_user_changed_meanwhile_is_left_alone(place: Path) -> None:
    each = half_done(place)
    write_files(each / "source", {"src/main.py": "saved by the user\n", "new/deep/file.py": "this too\n"})
    said = recover(each / "state")
    assert (each / "source/src/main.py").read_text() == "saved by the user\n"
    assert (each / "source/new/deep/file.py").read_text() == "this too\n"
    assert (each / "source/only/child.py").read_text() == "alone\n"
    assert "its change was undone" in said[0]
    assert "src/main.py" in said[1]
    kept = each / "source" / leftovers(each / "source")[0]
    assert [path.read_text() for path in kept.iterdir()] == [START["src/main.py"]]


def test_a_link_in_a_files_way_leads_nowhere(place: Path) -> None:
    each = half_done(place)
    outside = each / "outside"
    outside.mkdir()
    (each / "source/src").rename(each / "source/moved")
    (each / "source/src").symlink_to(outside)
    recover(each / "state")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "7", json.dumps(["/", "..", "sha1", [], {}, []])])
def test_a_plan_that_is_none_is_thrown_away(tmp_path: Path, content: str) -> None:
    (tmp_path / PLAN).write_text(content)
    assert recover(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_for_its_owner_alone(place: Path) -> None:
    each = half_done(place)
    assert (each / "state" / PLAN).stat().st_mode & 0o777 == 0o600
