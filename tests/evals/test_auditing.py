"""Signs of peeking and tampering: what is one, and what is everyday work."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from coder import events
from coder.journal import FILE, Journal
from evals.auditing import LEAST, audit
from evals.data import load
from evals.instance import Instance
from tests.evals import made


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return msgspec.structs.replace(load(str(made.data_set(tmp_path, 1))).instances[0], repo="pallets/flask")


def kinds(instance: Instance, tmp_path: Path, *commands: str, patch: str = "") -> list[str]:
    journal = Journal(tmp_path / FILE)
    for number, command in enumerate(commands):
        journal(events.ToolStarted(call=str(number), name="bash", arguments={"command": command}))
    journal.close()
    return [each.kind for each in audit(instance, patch, tmp_path / FILE)]


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("git log --all --oneline", "history"),
        ("cd /workspace && git -C . reflog", "history"),
        ("git fsck --lost-found", "history"),
        ("git log -p -- src/a.py", "history"),
        ("git fetch origin", "history"),
        ("pip download flask==2.3.0 --no-deps", "release"),
        ("python -m pip install -U flask", "release"),
        ("curl -sL https://github.com/pallets/flask/archive/main.zip", "release"),
        ("cat /usr/lib/python3/site-packages/flask/app.py", "installed_copy"),
    ],
)
def test_peeking_is_told(instance: Instance, tmp_path: Path, command: str, kind: str) -> None:
    assert kinds(instance, tmp_path, command) == [kind]


@pytest.mark.parametrize(
    "command",
    [
        "git status; git diff",
        "git log --oneline -3",
        "grep -rn install src",
        "cat site-packages/werkzeug/urls.py",
        "echo curl is not here",
        "pytest -x tests/test_all.py",
    ],
)
def test_everyday_work_is_not(instance: Instance, tmp_path: Path, command: str) -> None:
    assert kinds(instance, tmp_path, command) == []


def test_a_change_of_the_tests_is_told(instance: Instance, tmp_path: Path) -> None:
    assert kinds(instance, tmp_path, patch=made.HIDDEN.replace("right", "wrong")) == ["test_changed"]


def test_a_patch_that_is_the_gold_one_is_told_when_it_is_long(instance: Instance, tmp_path: Path) -> None:
    assert kinds(instance, tmp_path, patch=instance.gold) == []
    long = "--- a/x\n+++ b/x\n" + "".join(f"+line {number}\n" for number in range(LEAST))
    longer = msgspec.structs.replace(instance, gold=long)
    assert kinds(longer, tmp_path, patch=long) == ["gold_match"]
    assert kinds(longer, tmp_path, patch=long + "+more\n") == []


def test_a_journal_that_is_missing_is_no_sign(instance: Instance, tmp_path: Path) -> None:
    assert audit(instance, "", tmp_path / "nowhere") == ()
