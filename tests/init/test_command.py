"""`coder init` from outside: nothing runs before somebody agreed, and what was agreed to is what runs."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from coder.config import PROJECT_FILE
from tests.conftest import IMAGE
from tests.sandboxes import sleepers

FILE = """
[environment]
setup = ["echo step-one-ran; cat hello.txt > $CODER_ENV/made", "echo step-two-ran"]
inputs = ["hello.txt"]
env = { COLOUR = "blue" }
"""


@dataclass(frozen=True)
class Done:
    exit: int
    out: str
    err: str


Init = Callable[..., Done]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "coder" / "environments"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=path, check=True)
    (path / "hello.txt").write_text("hello\n")
    (path / PROJECT_FILE).write_text(FILE)
    return path


@pytest.fixture
def init(repository: Path) -> Init:
    def run(*flags: str) -> Done:
        words = [sys.executable, "-m", "coder", "init", "-C", str(repository), *flags]
        done = subprocess.run(
            words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def at_a_terminal(repository: Path, answers: list[str]) -> Done:
    """The same with a person who answers each question."""
    words = [sys.executable, "-m", "coder", "init", "-C", str(repository)]
    master, slave = pty.openpty()
    process = subprocess.Popen(words, stdin=slave, stdout=subprocess.PIPE, stderr=slave)
    os.close(slave)
    said = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            data = os.read(master, 4096)
        except OSError:  # the other end is closed
            break
        said += data
        if said.rstrip().endswith(b"[y/N]:") and answers:
            os.write(master, answers.pop(0).encode() + b"\n")
    out, _ = process.communicate(timeout=30)
    os.close(master)
    return Done(process.returncode, out.decode(), said.decode("utf-8", "replace"))


def kept(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def test_without_a_terminal_the_plan_is_shown_and_nothing_runs(
    init: Init, repository: Path, cache: Path
) -> None:
    done = init()
    assert done.exit == 2
    assert done.out == ""
    for shown in (
        PROJECT_FILE,
        "step-one-ran",
        "step-two-ran",
        "hello.txt",
        "COLOUR=blue",
        "bubblewrap",
        "proxy",
    ):
        assert shown in done.err
    assert f"coder init -C {repository} --yes" in done.err
    assert "\nstep-one-ran" not in done.err
    assert kept(cache) == []


def test_show_tells_and_does_nothing(init: Init, cache: Path) -> None:
    done = init("--show", "--yes")
    assert (done.exit, done.out) == (0, "Not set up yet.\n")
    assert kept(cache) == []
    init("--yes")
    assert init("--show").out.startswith("Set up already.")


def test_yes_sets_up_once_and_then_it_is_found(init: Init, cache: Path) -> None:
    first = init("--yes")
    assert first.exit == 0, first.err
    assert "\nstep-one-ran\n$ echo step-two-ran\nstep-two-ran\n" in first.err
    (key,) = kept(cache)
    assert (cache / key / "env" / "made").read_text() == "hello\n"
    second = init()
    assert second.exit == 0
    assert second.err == ""
    assert second.out.startswith("Set up already, and nothing has changed since.")


def test_what_was_agreed_to_is_remembered_for_exactly_that_recipe(
    init: Init, repository: Path, cache: Path
) -> None:
    assert init("--yes").exit == 0
    (repository / "hello.txt").write_text("changed\n")
    assert init().exit == 0
    assert len(kept(cache)) == 2
    (repository / PROJECT_FILE).write_text(FILE.replace("step-two-ran", "something-else"))
    asked = init()
    assert asked.exit == 2
    assert "\nsomething-else" not in asked.err


def test_another_repository_with_the_same_words_asks_anew(
    init: Init, repository: Path, tmp_path: Path
) -> None:
    assert init("--yes").exit == 0
    other = tmp_path / "other"
    subprocess.run(["cp", "-r", str(repository), str(other)], check=True)
    words = [sys.executable, "-m", "coder", "init", "-C", str(other)]
    done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 2


def test_a_person_is_asked_and_may_say_no(repository: Path, cache: Path) -> None:
    refused = at_a_terminal(repository, ["n"])
    assert refused.exit == 2
    assert "Set it up like this?" in refused.err
    assert kept(cache) == []
    agreed = at_a_terminal(repository, ["y"])
    assert agreed.exit == 0
    assert len(kept(cache)) == 1


def test_a_file_is_offered_where_there_is_none_and_changes_nothing(repository: Path, init: Init) -> None:
    (repository / PROJECT_FILE).unlink()
    (repository / ".devcontainer.json").write_text('{"postCreateCommand": "echo from-the-devcontainer"}')
    done = at_a_terminal(repository, ["y", "y"])
    assert done.exit == 0, done.err
    written = (repository / PROJECT_FILE).read_text()
    assert "from-the-devcontainer" in written
    assert all(line.startswith("#") for line in written.splitlines())
    assert init().out.startswith("Set up already")


def test_json_is_one_object(init: Init) -> None:
    found = json.loads(init("--yes", "--json").out)
    assert (found["status"], found["backend"], found["source"]) == ("ready", "bubblewrap", PROJECT_FILE)
    assert found["inputs"] == ["hello.txt"]
    assert len(found["steps"]) == 2
    again = json.loads(init("--json").out)
    assert (again["status"], again["key"]) == ("cached", found["key"])


def test_a_step_that_fails_says_which_and_what_it_last_said(
    init: Init, repository: Path, cache: Path
) -> None:
    (repository / PROJECT_FILE).write_text('[environment]\nsetup = ["echo the-reason; exit 3"]')
    done = init("--yes")
    assert done.exit == 1
    assert "`echo the-reason; exit 3`: it ended with status 3" in done.err
    assert "    the-reason" in done.err
    assert "Traceback" not in done.err
    assert kept(cache) == []


def test_a_time_limit_holds(init: Init, repository: Path, cache: Path) -> None:
    (repository / PROJECT_FILE).write_text('[environment]\nsetup = ["sleep 7401"]')
    done = init("--yes", "--timeout", "3")
    assert done.exit == 1
    assert "took too long" in done.err
    assert kept(cache) == []


def test_an_interruption_ends_it_in_good_order(repository: Path, cache: Path) -> None:
    (repository / PROJECT_FILE).write_text('[environment]\nsetup = ["echo begun; sleep 7501"]')
    words = [sys.executable, "-m", "coder", "init", "-C", str(repository), "--yes"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while process.stderr.readline() != "begun\n":
        pass
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert kept(cache) == []
    assert sleepers("7501") == []


def test_clean_removes_what_belongs_to_this_project(init: Init, cache: Path) -> None:
    init("--yes")
    assert init("--clean").out.startswith("removed  ")
    assert kept(cache) == []
    assert init("--clean").out == "There are no environments.\n"


def test_nothing_to_set_up_is_no_error(init: Init, repository: Path) -> None:
    (repository / PROJECT_FILE).unlink()
    done = init("--yes")
    assert done.exit == 0
    assert done.out.startswith("Nothing to set up")


def test_a_hostile_recipe_cannot_steer_the_terminal(init: Init, repository: Path) -> None:
    (repository / PROJECT_FILE).write_text(
        '[environment]\nsetup = ["echo hi\\u001b[2K\\rsafe; rm -rf x\\u202e"]'
    )
    shown = init().err
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "rm -rf x" in shown


def test_what_a_devcontainer_asks_for_and_does_not_get_is_named(
    init: Init, repository: Path, tmp_path: Path
) -> None:
    (repository / PROJECT_FILE).unlink()
    (repository / ".devcontainer.json").write_text(
        '{"privileged": true, "runArgs": ["-v", "/:/host"], "mounts": ["source=/var/run/docker.sock,target=/s"],'
        f'"initializeCommand": "touch {tmp_path}/owned", "postCreateCommand": "ls /host /s; true"}}'
    )
    done = init("--yes")
    assert done.exit == 0, done.err
    for name in ("privileged", "runArgs", "mounts", "initializeCommand"):
        assert f"ignored   {name}: " in done.err
    assert "cannot access '/host'" in done.err
    assert "cannot access '/s'" in done.err
    assert not (tmp_path / "owned").exists()


def test_variables_are_passed_by_name_from_the_users_own_file_alone(
    init: Init, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIVATE_INDEX", "https://user:passw0rd@host/")
    monkeypatch.setenv("OTHER_SECRET", "hidden-value")
    step = '[ -n "$PRIVATE_INDEX" ] && [ -z "$OTHER_SECRET" ] && echo got-it'
    (repository / PROJECT_FILE).write_text(f"[environment]\nsetup = ['{step}']\npass = ['PRIVATE_INDEX']")
    assert "which a project file may not" in init("--yes").err
    (repository / PROJECT_FILE).write_text(f"[environment]\nsetup = ['{step}']")
    config = Path(os.environ["XDG_CONFIG_HOME"], "coder", "config.toml")
    config.parent.mkdir(parents=True)
    config.write_text('[environment]\npass = ["PRIVATE_INDEX"]')
    done = init("--yes")
    assert done.exit == 0, done.err
    assert "your variables PRIVATE_INDEX, which these commands can read" in done.err
    assert "got-it" in done.err
    assert "passw0rd" not in done.err + done.out
    everything = "".join(path.read_text("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file())
    assert "passw0rd" not in everything


# -- images that the repository names --------------------------------------------------------------------------------


@pytest.mark.docker
def test_an_image_of_the_repository_is_used_when_it_was_agreed_to(init: Init, repository: Path) -> None:
    (repository / PROJECT_FILE).write_text(f"[sandbox]\nimage = '{IMAGE}'")
    asked = init()
    assert asked.exit == 2
    assert f"the image {IMAGE}" in asked.err
    done = init("--yes", "--json")
    found = json.loads(done.out)
    assert (found["status"], found["backend"], found["steps"]) == ("ready", "docker", [])
    assert init().out.startswith("Set up already")


@pytest.mark.docker
def test_a_dockerfile_elsewhere_is_refused(init: Init, repository: Path, cache: Path) -> None:
    (repository / PROJECT_FILE).write_text("[environment]\ndockerfile = '../../etc/passwd'")
    done = init("--yes")
    assert done.exit == 1
    assert "contains `..`" in done.err
    assert "root:" not in done.err
    assert kept(cache) == []
