"""`action.yml` as a runner reads it: its steps, with the expressions in them filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass(frozen=True)
class Step:
    """`words` start it as a runner does: `bash --noprofile --norc -eo pipefail FILE` (docs.github.com, "shell")."""

    environ: dict[str, str]
    script: str

    def words(self, folder: Path) -> list[str]:
        file = folder / "step.sh"
        file.write_text(self.script)
        return ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(file)]


def action() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROJECT / "action.yml").read_text())
    return found


def step(name: str, *, inputs: Mapping[str, str], token: str, temp: Path, source: Path = PROJECT) -> Step:
    """One step with these inputs, the others by default. Raises KeyError for an input that there is not."""
    declared = action()["inputs"]
    known = {"github.token": token, "runner.temp": str(temp), "github.action_path": str(source)}
    defaults = {key: filled(str(value.get("default", "")), known) for key, value in declared.items()}
    unknown = set(inputs) - set(declared)
    if unknown:
        raise KeyError(f"action.yml has no input {', '.join(sorted(unknown))}")
    known |= {f"inputs.{key}": value for key, value in {**defaults, **inputs}.items()}
    found = next(each for each in action()["runs"]["steps"] if each["name"] == name)
    environ = {key: filled(value, known) for key, value in found["env"].items()}
    return Step(environ, found["run"])


def filled(text: str, known: Mapping[str, str]) -> str:
    return EXPRESSION.sub(lambda match: known[match[1]], text)
