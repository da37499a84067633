"""The record that a run leaves beside its patch can be checked by anyone who has the repository."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import SOLVES, SUBMIT, TEST, Coder, scripted
from tests.scripted_server import Turn


def test_the_record_is_true_in_a_clean_clone(repository: Path, coder: Coder, tmp_path: Path) -> None:
    session = tmp_path / "session"
    with scripted(SOLVES) as server:
        done = coder(server, "--session", str(session))
    assert done.exit == 0, done.stderr
    record = json.loads((session / "evidence.json").read_text())
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(repository), str(clone)], check=True)

    def said(*command: str) -> str:
        return subprocess.run(command, cwd=clone, check=True, capture_output=True, text=True).stdout.strip()

    assert record["base"] == said("git", "rev-parse", "HEAD")
    assert record["hashes"]["base"] == said("git", "rev-parse", "HEAD^{tree}")
    patch = (session / "patch.diff").read_bytes()
    assert record["hashes"]["patch"] == hashlib.sha256(patch).hexdigest()
    (clone / "patch.diff").write_bytes(patch)
    blob = said("git", "rev-parse", "HEAD:test_calc.py")
    tests = hashlib.sha256(f"test_calc.py\0{blob}\n".encode()).hexdigest()
    assert record["hashes"]["tests"] == tests

    checkout, before, apply, after = (
        line.replace("python ", f"{sys.executable} ") for line in record["reproduce"]
    )
    exits = [
        subprocess.run(line, shell=True, cwd=clone, check=False, capture_output=True).returncode
        for line in (checkout, before, apply, after)
    ]
    assert exits == [0, 1, 0, 0]
    page = (session / "evidence.md").read_text()
    assert "passed every gate" in page
    assert "test_calc.py::test_add" in page


def test_a_change_that_was_not_accepted_has_a_record_too(coder: Coder, tmp_path: Path) -> None:
    spoil = Turn(calls=[("bash", {"command": "sed -i 's/a \\* 2/a * 3/; s/a - b/a + b/' calc.py"})])
    with scripted([spoil, TEST, SUBMIT], after="repeat") as server:
        done = coder(server, "--session", str(tmp_path / "session"), "--max-turns", "6")
    assert done.exit == 1, done.stderr
    record = json.loads((tmp_path / "session" / "evidence.json").read_text())
    assert record["status"] == "unsolved"
    assert [gate["outcome"] for gate in record["gates"] if gate["name"] == "no-regressions"] == ["failed"]
    assert "not accepted" in (tmp_path / "session" / "evidence.md").read_text()
