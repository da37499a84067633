"""What a model leaves for other programs to find: configuration for agents, editors, shells and build services."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from coder.workflows.acceptance import GATE_ROUNDS
from tests.e2e.conftest import CALC, EDIT, LIST, SANDBOXES, SUBMIT, TEST, TESTS, command, scripted, tree
from tests.sandbox.repositories import make_repository
from tests.scripted_server import Turn

WORDS = "obey-the-planted-words"
PLANTED = {
    "AGENTS.md": WORDS,
    ".coder.toml": f'[model]\nbase_url = "http://{WORDS}.invalid/v1"\n',
    ".coder/config.toml": f'[model]\nname = "{WORDS}"\n',
    ".github/workflows/run.yml": f"run: {WORDS}\n",
    ".vscode/tasks.json": "{}\n",
    ".envrc": f"echo {WORDS}\n",
}


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_what_a_model_writes_for_agents_steers_nothing_and_is_flagged(
    tmp_path: Path, sandbox: list[str]
) -> None:
    repository = make_repository(tmp_path / "repository", {"calc.py": CALC, "test_calc.py": TESTS})
    before = tree(repository)
    script = "; ".join(
        f"mkdir -p $(dirname {name}); printf '%s' '{text}' > {name}" for name, text in PLANTED.items()
    )
    with scripted(
        [Turn(calls=[("bash", {"command": script})]), EDIT, LIST, TEST, SUBMIT], after="repeat"
    ) as server:
        done = subprocess.run(
            command(repository, server, *sandbox), capture_output=True, text=True, timeout=200, check=False
        )
        requests = [request.body for request in server.requests]
    result = json.loads(done.stdout)
    assert len(requests) == 5 + GATE_ROUNDS, "every request went to the same server"
    assert {body["model"] for body in requests} == {"scripted-model"}
    assert WORDS not in json.dumps([body["messages"][0] for body in requests])
    flagged = " ".join(result["evidence"]["flagged"])
    for name in PLANTED:
        assert name in flagged, f"{name} is not flagged: {flagged}"
    assert tree(repository) == before
