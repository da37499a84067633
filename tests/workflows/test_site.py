"""Copies of a killed run are removed by the next one; those of a living one are not touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from coder.sessions import OWNER
from coder.workflows.site import sweep
from sandbox.owner import me

ROOT = Path(__file__).resolve().parent.parent.parent


def run_folder(runs: Path, name: str, owner: str) -> Path:
    folder = runs / name
    for copy in ("workspace", "shadow.git", "rules", "clean-1"):
        (folder / copy / "deep").mkdir(parents=True)
        (folder / copy / "deep" / "file").write_text("x")
    (folder / "journal.jsonl").write_text("{}\n")
    (folder / OWNER).write_text(owner)
    return folder


def test_the_copies_of_a_dead_process_go_and_its_journal_stays(tmp_path: Path) -> None:
    script = "from sandbox.owner import me; print(me(), end='')"
    dead = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    folder = run_folder(tmp_path, "dead", dead)
    sweep(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["journal.jsonl"]


def test_a_living_run_is_left_alone(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "alive", me())
    sweep(tmp_path)
    assert (folder / "workspace" / "deep" / "file").exists()


def test_without_runs_there_is_nothing_to_do(tmp_path: Path) -> None:
    sweep(tmp_path / "none")
