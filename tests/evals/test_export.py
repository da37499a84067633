"""Trajectories for other tools, by shape: their programs need a newer Python than this one has to be."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from evals.export.atif import SCHEMA, trajectory
from tests.evals import made
from tests.scripted_server import ScriptedServer


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole run of one task."""
    folder = tmp_path_factory.mktemp("run")
    with ScriptedServer([made.answer], after="repeat") as server:
        done = made.done(
            made.run_words(made.data_set(folder, 1), folder / "out", server.base_url, "-q"), folder
        )
    assert done.returncode == 0, done.stderr
    return folder / "out"


def test_a_trajectory_has_every_step_with_its_results(run: Path) -> None:
    found = trajectory(run / "instances/made__task-0/1/journal.jsonl")
    assert found["schema_version"] == SCHEMA
    assert found["agent"]["model_name"] == "scripted"
    assert [step["step_id"] for step in found["steps"]] == list(range(1, len(found["steps"]) + 1))
    assert [step["source"] for step in found["steps"][:2]] == ["system", "user"]
    assert "Task 0" in found["steps"][1]["message"]
    answers = [step for step in found["steps"] if step["source"] == "agent"]
    assert len(answers) == 3
    for step in answers:
        called = [call["tool_call_id"] for call in step["tool_calls"]]
        assert [result["source_call_id"] for result in step["observation"]["results"]] == called
    assert answers[0]["tool_calls"][0]["function_name"] == "bash"
    assert found["final_metrics"]["total_steps"] == len(found["steps"])
    spent = sum(step["metrics"]["prompt_tokens"] for step in answers)
    assert found["final_metrics"]["total_prompt_tokens"] == spent > 0


def test_every_attempt_is_exported(run: Path, tmp_path: Path) -> None:
    done = made.done(made.words("export", run, "-o", tmp_path / "atif"), tmp_path)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "atif").iterdir()
    assert path.name == "made__task-0-1.json"
    assert json.loads(path.read_text())["session_id"]


class FakeBase:
    """Harbor's base class, as its documentation tells it."""

    def __init__(self, logs_dir: Path, model_name: str | None = None) -> None:
        self.logs_dir, self.model_name = logs_dir, model_name
        self.ran: list[tuple[str, str, Any]] = []

    async def exec_as_root(self, environment: Any, command: str, env: Any = None) -> None:
        self.ran.append(("root", command, env))

    async def exec_as_agent(self, environment: Any, command: str, env: Any = None) -> None:
        self.ran.append(("agent", command, env))


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("harbor", "harbor.agents", "harbor.agents.installed", "harbor.agents.installed.base"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["harbor.agents.installed.base"].BaseInstalledAgent = FakeBase  # type: ignore[attr-defined]  # an empty module
    monkeypatch.delitem(sys.modules, "evals.harbor_agent", raising=False)
    from evals import harbor_agent

    yield harbor_agent
    sys.modules.pop("evals.harbor_agent", None)


def test_the_adapter_runs_the_program_that_there_is(
    adapter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from coder.cli import cli

    monkeypatch.setenv("CODER_BASE_URL", "http://host:8000/v1")
    monkeypatch.setenv("HOME_SECRET", "x")
    agent = adapter.CoderAgent(tmp_path, "openai/nano")
    asyncio.run(agent.install(SimpleNamespace()))
    asyncio.run(agent.run("mend 'it'; rm -rf /", SimpleNamespace(), SimpleNamespace()))
    user, command, env = agent.ran[-1]
    assert user == "agent"
    assert env == {"CODER_BASE_URL": "http://host:8000/v1"}
    assert "'mend '\"'\"'it'\"'\"'; rm -rf /'" in command
    flags = [word for word in command.split(" > ")[0].split() if word.startswith("--")]
    known = CliRunner().invoke(cli, ["run", "--help"]).output
    assert [flag for flag in flags if flag not in known] == []
    assert "--model nano" in command


def test_the_adapter_hands_tokens_and_trajectory_over(adapter: Any, run: Path, tmp_path: Path) -> None:
    (tmp_path / "coder").mkdir()
    journal = run / "instances/made__task-0/1/journal.jsonl"
    (tmp_path / "coder/journal.jsonl").write_bytes(journal.read_bytes())
    context = SimpleNamespace()
    adapter.CoderAgent(tmp_path).populate_context_post_run(context)
    assert context.n_input_tokens > 0
    assert json.loads((tmp_path / "trajectory.json").read_text())["schema_version"] == SCHEMA
