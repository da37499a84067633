"""What we know of a server: recognising it from what it answers, and what it can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from coder.model.wire import Answer


@dataclass(frozen=True, slots=True)
class Traits:
    """What a kind of server can be asked for; sent only where it is known to be taken.

    `template_kwargs`: it hands `chat_template_kwargs` to the model's template. `effort`: it steers thinking by
    `reasoning_effort` (none, low, …) instead. `splits`: it can tell thoughts from answers. `top_k`: it takes the field.
    `budget`: the path of the field that holds a thinking budget in tokens. `running_count`: the path of the switch
    that makes each piece of a stream carry the tokens so far. `continues`: how a thought that we closed is carried
    on (see `continuation.py`); empty where no way is known. `counter`: where it counts a chat's tokens
    (see `counting.py`). `load`: where it says what it is working on (see `load.py`). `truncates`: it drops the
    beginning of a prompt that is too long, and says nothing.
    """

    template_kwargs: bool = True
    effort: bool = False
    splits: bool = True
    top_k: bool = False
    budget: tuple[str, ...] = ()
    running_count: tuple[str, ...] = ()
    continues: Literal["", "flag", "flag-bare", "parts"] = ""
    counter: str = ""
    load: tuple[str, ...] = ()
    truncates: bool = False


_USAGE_EACH = ("stream_options", "continuous_usage_stats")
# Read in the servers' sources (vLLM 0.20 to 0.33, SGLang 0.5.23, TensorRT-LLM main of autumn 2026, llama.cpp b11434,
# llama-cpp-python 0.3.36, Ollama of August 2026); vLLM and llama.cpp were also run. A server that does not know a
# field ignores it or names it in a 400, and the client then leaves it out.
_TRAITS = {
    "vllm": Traits(
        top_k=True,
        budget=("thinking_token_budget",),
        running_count=_USAGE_EACH,
        continues="flag",
        counter="/tokenize",
        load=("/metrics",),
    ),
    "sglang": Traits(
        top_k=True,
        budget=("custom_params", "thinking_budget"),
        running_count=_USAGE_EACH,
        continues="flag-bare",
        counter="/tokenize",
        load=("/metrics",),
    ),
    "tensorrt-llm": Traits(
        top_k=True, budget=("thinking_token_budget",), running_count=_USAGE_EACH, load=("/metrics",)
    ),
    "nim": Traits(
        budget=("nvext", "max_thinking_tokens"),
        running_count=_USAGE_EACH,
        continues="flag",
        load=("/v1/metrics", "/metrics"),
    ),
    "llama.cpp": Traits(
        top_k=True,
        budget=("reasoning_budget_tokens",),
        running_count=("timings_per_token",),
        continues="parts",
        counter="/v1/chat/completions/input_tokens",
        load=("/metrics", "/slots"),
    ),
    "llama-cpp-python": Traits(template_kwargs=False, splits=False, top_k=True),
    "ollama": Traits(template_kwargs=False, effort=True, truncates=True),
    "lm-studio": Traits(template_kwargs=False, effort=True),
}
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
    def traits(self) -> Traits:
        return _TRAITS.get(self.name, Traits())

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
    "vllm": ("/version", "/v1/metadata"),
    "sglang": ("/server_info", "/v1/metadata"),
    "tensorrt-llm": ("/version", "/v1/metadata"),
    "llama.cpp": ("/props",),
    "ollama": ("/api/version", "/api/ps"),
    "lm-studio": ("/api/v1/models", "/api/v0/models"),
    "litellm": ("/model/info",),
    "generic": ("/api/version", "/v1/metadata"),
}


def refine(backend: Backend, model: str, details: dict[str, Answer]) -> tuple[Backend, int | None]:
    """Add what the detail paths told: the version, and a context length where `/v1/models` has none."""
    read = {path: answer.json() for path, answer in details.items() if answer.status == 200}
    version = _text(_get(read.get("/version") or read.get("/api/version"), "version"))
    if _get(read.get("/v1/metadata"), "modelInfo") is not None:  # NIM has one of the other servers inside
        return Backend("nim", _text(_get(read["/v1/metadata"], "version"))), None
    match backend.name:
        case "llama.cpp":
            props = read.get("/props")
            build = _text(_get(props, "build_info")).replace("b0-unknown", "")
            return Backend("llama.cpp", build), _count(
                _get(_get(props, "default_generation_settings"), "n_ctx")
            )
        case "sglang":
            return Backend("sglang", _text(_get(read.get("/server_info"), "version"))), None
        case "ollama":
            loaded = _named(_get(read.get("/api/ps"), "models"), model)
            return Backend("ollama", version), _count(_get(loaded, "context_length"))
        case "lm-studio":
            return backend, _lm_studio_context(read, model)
        case "litellm":
            entry = _named(_get(read.get("/model/info"), "data"), model)
            return backend, _count(_get(_get(entry, "model_info"), "max_input_tokens"))
        case "generic" if version:
            return Backend("ollama", version), None
    return Backend(backend.name, version or backend.version), None


def _lm_studio_context(read: dict[str, object], model: str) -> int | None:
    """What the loaded instance has; what the model could have is only the second best."""
    entry = _named(_get(read.get("/api/v1/models"), "models"), model)
    instances = _get(entry, "loaded_instances")
    loaded = _get(instances[0], "config") if isinstance(instances, list) and instances else None
    older = _named(_get(read.get("/api/v0/models"), "data"), model)
    told = (
        _get(loaded, "context_length"),
        _get(older, "loaded_context_length"),
        _get(entry, "max_context_length"),
    )
    return next(filter(None, map(_count, told)), None)


def _served(entry: dict[str, Any]) -> ServedModel:
    meta = entry.get("meta")
    return ServedModel(
        entry["id"],
        _text(entry.get("owned_by")),
        _text(entry.get("root")),
        _count(entry.get("max_model_len")) or _count(_get(meta, "n_ctx")),
        _count(_get(meta, "n_params")),
    )


def _named(models: object, name: str) -> object:
    """The entry of a list of models that has this name, whatever the list calls it."""
    for entry in models if isinstance(models, list) else []:
        if isinstance(entry, dict) and name in map(entry.get, ("name", "model", "key", "id", "model_name")):
            return entry
    return None


def _get(data: object, key: str) -> object:
    return data.get(key) if isinstance(data, dict) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
