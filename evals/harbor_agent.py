"""An adapter that lets Harbor run coder in its task containers (Harbor 0.25, Python 3.12 or newer).

    harbor run -d DATASET --agent evals.harbor_agent:CoderAgent --model openai/MODEL

    CODER_BASE_URL   the model server, as the containers reach it
    CODER_API_KEY    its key, where it wants one
    CODER_WHEELS     a folder of wheels on this machine: with it, nothing is fetched from a package index

The container is the sandbox: it holds nothing else, and is thrown away.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from harbor.agents.installed.base import BaseInstalledAgent

from evals.export.atif import trajectory

HOME = "/opt/coder"
WHEELS = f"{HOME}/wheels"
SESSION = "/logs/agent/coder"
"""Harbor mounts /logs/agent from its own folder for this agent (`logs_dir`)."""


class CoderAgent(BaseInstalledAgent):  # type: ignore[misc]  # Harbor is not installed where types are checked
    """Runs `coder run` on the instruction, and hands its trajectory and tokens over."""

    SUPPORTS_ATIF = True

    @staticmethod
    def name() -> str:
        return "coder"

    def get_version_command(self) -> str:
        return f"{HOME}/bin/coder --version"

    async def install(self, environment: Any) -> None:
        """Put coder into the container, from wheels where there are some."""
        await self.exec_as_root(environment, command=f"python3 -m venv {HOME}")
        wheels = os.environ.get("CODER_WHEELS", "")
        source = "nemotron-coder"
        if wheels:
            await environment.upload_dir(Path(wheels), WHEELS)
            source = f"--no-index --find-links {WHEELS} nemotron-coder"
        await self.exec_as_root(environment, command=f"{HOME}/bin/pip install --quiet {source}")

    async def run(self, instruction: str, environment: Any, context: Any) -> None:
        """Let the agent work in the task's own folder."""
        await self.exec_as_agent(environment, command=command(instruction, self.model_name), env=variables())

    def populate_context_post_run(self, context: Any) -> None:
        """Tell Harbor what was used, and leave the trajectory where its viewer looks."""
        import json

        journal = Path(self.logs_dir) / "coder" / "journal.jsonl"
        if not journal.is_file():
            return
        found = trajectory(journal)
        (Path(self.logs_dir) / "trajectory.json").write_text(json.dumps(found), "utf-8", "replace")
        totals = found["final_metrics"]
        context.n_input_tokens = totals["total_prompt_tokens"]
        context.n_output_tokens = totals["total_completion_tokens"]
        context.n_cache_tokens = totals["total_cached_tokens"]


def command(instruction: str, model: str | None) -> str:
    """What runs in the container. Coder's own exit status 1 (no acceptable change) is a result, not a failure."""
    words = [
        f"{HOME}/bin/coder",
        "run",
        instruction,
        "--headless",
        "--unsafe-no-sandbox",
        "--apply",
        "--quiet",
    ]
    words += ["--output-format", "json", "--session", SESSION]
    if model:
        words += ["--model", model.partition("/")[2] or model]
    return f"{shlex.join(words)} > /logs/agent/coder.json || [ $? -le 3 ]"


def variables() -> dict[str, str]:
    """What the run needs of this machine's environment, and nothing else."""
    return {name: os.environ[name] for name in ("CODER_BASE_URL", "CODER_API_KEY") if name in os.environ}
