"""What we know of a server: recognising it from what it answers, and what it can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coder.model.wire import Answer

# Servers that hand `chat_template_kwargs` to the model's template. One that does not know the field either
# ignores it or names it in a 400, and the client then leaves it out.
_TEMPLATE_KWARGS = frozenset({"vllm", "sglang", "tensorrt-llm", "llama.cpp", "nim", "litellm", "generic"})
_TOP_K = frozenset({"vllm", "sglang", "tensorrt-llm", "llama.cpp", "llama-cpp-python"})
_OWNERS = {
    "vllm": "vllm",
    "sglang": "sglang",
    "tensorrt_llm": "tensorrt-llm",
    "llamacpp": "llama.cpp",
    "me": "llama-cpp-python",
    "library": "ollama",
    "organization_owner": "lm-studio",
}


@dataclass(frozen=True, slots=True)
class Backend:
    """`name`: vllm, sglang, tensorrt-llm, llama.cpp, llama-cpp-python, ollama, lm-studio, nim, litellm, generic.

    `version` is empty where the server does not tell.
    """

    name: str = "generic"
    version: str = ""

    @property
    def takes_template_kwargs(self) -> bool:
        return self.name in _TEMPLATE_KWARGS

    @property
    def takes_top_k(self) -> bool:
        return self.name in _TOP_K

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One entry of `/v1/models`. `root` is the name behind an alias, `parameters` the weights' count."""

    id: str
    owned_by: str = ""
    root: str = ""
    context_length: int | None = None
    parameters: int | None = None


def served_models(answer: Answer) -> list[ServedModel] | None:
    """The models of a `/v1/models` answer; None when this is no such answer."""
    data = answer.json()
    entries = data.get("data") if isinstance(data, dict) else None
    if answer.status != 200 or not isinstance(entries, list):
        return None
    return [
        _served(entry) for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    ]


def recognise(answer: Answer, models: list[ServedModel]) -> Backend:
    """The kind of server, from its `/v1/models` answer alone."""
    if any(name.startswith("x-litellm-") for name in answer.headers):
        return Backend("litellm", answer.headers.get("x-litellm-version", ""))
    if answer.headers.get("server", "").lower().startswith("llama.cpp"):
        return Backend("llama.cpp")
    for model in models:
        if model.owned_by in _OWNERS:
            return Backend(_OWNERS[model.owned_by])
    return Backend()


# Where the version, or the server's name when `/v1/models` told nothing, can be read.
DETAIL_PATHS = {
    "vllm": ("/version",),
    "tensorrt-llm": ("/version",),
    "llama.cpp": ("/props",),
    "ollama": ("/api/version", "/api/ps"),
    "lm-studio": ("/api/v1/models",),
    "generic": ("/api/version", "/v1/metadata"),
}


def refine(backend: Backend, model: str, details: dict[str, Answer]) -> tuple[Backend, int | None]:
    """Add what the detail paths told: the version, and a context length where `/v1/models` has none."""
    read = {path: answer.json() for path, answer in details.items() if answer.status == 200}
    version = _text(_get(read.get("/version") or read.get("/api/version"), "version"))
    match backend.name:
        case "llama.cpp":
            props = read.get("/props")
            build = _text(_get(props, "build_info")).replace("b0-unknown", "")
            return Backend("llama.cpp", build), _count(
                _get(_get(props, "default_generation_settings"), "n_ctx")
            )
        case "ollama":
            return Backend("ollama", version), _named(
                _get(read.get("/api/ps"), "models"), model, "context_length"
            )
        case "lm-studio":
            models = _get(read.get("/api/v1/models"), "models")
            return backend, _named(models, model, "max_context_length")
        case "generic" if _get(read.get("/v1/metadata"), "modelInfo") is not None:
            return Backend("nim", _text(_get(read["/v1/metadata"], "version"))), None
        case "generic" if version:
            return Backend("ollama", version), None
    return Backend(backend.name, version or backend.version), None


def _served(entry: dict[str, Any]) -> ServedModel:
    meta = entry.get("meta")
    return ServedModel(
        entry["id"],
        _text(entry.get("owned_by")),
        _text(entry.get("root")),
        _count(entry.get("max_model_len")) or _count(_get(meta, "n_ctx")),
        _count(_get(meta, "n_params")),
    )


def _named(models: object, name: str, key: str) -> int | None:
    for entry in models if isinstance(models, list) else []:
        if isinstance(entry, dict) and name in (
            entry.get("name"),
            entry.get("model"),
            entry.get("key"),
            entry.get("id"),
        ):
            return _count(entry.get(key))
    return None


def _get(data: object, key: str) -> object:
    return data.get(key) if isinstance(data, dict) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
