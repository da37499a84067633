"""Started inside a hostile repository, the program runs none of its code: as a script, with -m, from a wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOAD_ALL = (
    "import coder, sandbox.base, tools.base, evals; print(sandbox.__file__, tools.__file__, evals.__file__)"
)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A repository whose packages have our names and leave a canary when they run."""
    repository = tmp_path / "hostile"
    for package in ("sandbox", "tools", "evals"):
        (repository / package).mkdir(parents=True)
        for module in ("__init__", "base", "hostfiles"):
            (repository / package / f"{module}.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')\n")
    return repository


def run_in(repository: Path, command: Sequence[str], pythonpath: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": pythonpath, "XDG_STATE_HOME": str(repository.parent / "state")}
    return subprocess.run(command, cwd=repository, env=environ, capture_output=True, text=True, check=False)


def canary(repository: Path) -> bool:
    return (repository.parent / "canary").exists()


def test_the_fixture_bites_without_the_guard(hostile: Path) -> None:
    run_in(hostile, [sys.executable, "-c", "import tools"], ".")
    assert canary(hostile)


def test_as_a_script(hostile: Path) -> None:
    script = Path(sys.executable).with_name("coder")
    done = run_in(hostile, [str(script), "sessions"], ".")
    assert (done.returncode, done.stdout) == (0, "No runs yet.\n"), done.stderr
    assert not canary(hostile)


def test_with_m(hostile: Path) -> None:
    done = run_in(hostile, [sys.executable, "-m", "coder", "sessions"], f".{os.pathsep}{ROOT}")
    assert (done.returncode, done.stdout) == (0, "No runs yet.\n"), done.stderr
    assert not canary(hostile)


def test_the_siblings_come_from_where_coder_is(hostile: Path) -> None:
    done = run_in(hostile, [sys.executable, "-c", LOAD_ALL], f".{os.pathsep}{ROOT}")
    assert done.returncode == 0, done.stderr
    assert all(Path(file).is_relative_to(ROOT) for file in done.stdout.split())
    assert not canary(hostile)


def test_from_a_wheel(hostile: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    site = tmp_path / "site"
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, capture_output=True
    )
    done = run_in(hostile, [sys.executable, "-c", LOAD_ALL], f".{os.pathsep}{site}")
    assert done.returncode == 0, done.stderr
    assert all(Path(file).is_relative_to(site) for file in done.stdout.split())
    assert not canary(hostile)


def test_a_sibling_that_was_imported_before_is_forgotten(hostile: Path) -> None:
    late = "import sys; sys.path.insert(0, '.'); import tools; sys.path.pop(0); import coder, tools; print(tools.__file__)"
    done = run_in(hostile, [sys.executable, "-c", late], str(ROOT))
    assert Path(done.stdout.strip()).is_relative_to(ROOT), done.stderr
