"""Which weights are served, in which precision, and how many bytes they are."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from coder.errors import UsageError
from coder.model.launch.memory import WEIGHTS, Precision

_PUBLISHED = "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-{}"
_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
_OURS = re.compile(r"nemotron[-_. ]?3[-_. ]super", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Weights:
    """`model` is what the server is told: a name on the Hugging Face hub, or an absolute path when `local`."""

    model: str
    precision: Precision
    size: float
    local: bool = False

    @property
    def alias(self) -> str:
        """What the server should call it."""
        return Path(self.model).name if self.local else self.model

    @property
    def known(self) -> bool:
        """Whether the name says that it is the model that the recipes are for."""
        return bool(_OURS.search(self.alias))


def published(precision: Precision) -> Weights:
    """NVIDIA's own."""
    return Weights(_PUBLISHED.format(precision), precision, WEIGHTS[precision])


def named(model: str, usual: Precision) -> Weights:
    """The weights that `--model` names; `usual` is the precision where neither name nor files tell.

    Raises:
        UsageError: no such folder, a folder without weights or with another architecture, or no name at all.
    """
    if not model:
        return published(usual)
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _in_folder(folder.absolute(), usual)
    if not _NAME.fullmatch(model):
        raise UsageError(
            f"{model!r} is neither a folder nor a model's name",
            hint="a folder with .safetensors files, or a name such as " + _PUBLISHED.format(usual),
        )
    precision = _in_name(model) or usual
    return Weights(model, precision, WEIGHTS[precision])


def _in_folder(folder: Path, usual: Precision) -> Weights:
    if not str(folder).isprintable():
        raise UsageError(f"the path {str(folder)!r} holds characters that do not belong in a command")
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors") if file.is_file())
    if size == 0:
        raise UsageError(f"{folder} holds no .safetensors files", hint="the weights' whole folder is needed")
    settings = _settings(folder)
    architecture = settings.get("model_type", "nemotron_h")
    if architecture != "nemotron_h":
        raise UsageError(
            f"{folder} holds a model of the kind {architecture!r}; these recipes are for Nemotron 3 Super",
            hint="serve it with its own flags, then name the server with --base-url",
        )
    quantised = settings.get("quantization_config")
    told = str(quantised.get("quant_algo", "")) if isinstance(quantised, dict) else ""
    return Weights(str(folder), _in_name(told) or _in_name(folder.name) or usual, float(size), local=True)


def _settings(folder: Path) -> dict[str, object]:
    with suppress(OSError, ValueError):
        found = json.loads((folder / "config.json").read_text("utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def _in_name(name: str) -> Precision | None:
    found = re.search(r"NVFP4|FP8|BF16", name.upper())
    return cast("Precision", found[0]) if found else None
