"""Finding the model server: the one that was named, or the first that answers on the usual ports of this machine."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from coder.errors import ConfigError, ModelRejected, ModelUnavailable, UsageError
from coder.model import wire
from coder.model.backends import DETAIL_PATHS, Backend, ServedModel, recognise, refine, served_models
from coder.model.profile import GENERIC, SMALL, Profile, load_profile, match_profile
from coder.model.wire import Answer

# vLLM and NIM, SGLang, TensorRT-LLM as on Nemotron's card, llama.cpp (and its second usual port), Ollama, LM Studio,
# LiteLLM; the first in this order that answers wins.
USUAL_PORTS = (8000, 30000, 8123, 8080, 8081, 11434, 1234, 4000)
PROBE_SECONDS = 0.25
NAMED_SECONDS = 10.0
DETAIL_SECONDS = 1.0
LOADING_SECONDS = 900.0
LOADING_PAUSE = 1.0
LOADING_TELL = 10.0
_SMALL_PARAMETERS = 9_000_000_000
_LOOK_HINT = "start a model server, name one with --base-url URL, or start the embedded one: coder serve"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model on a server. `base_url` ends where `/chat/completions` follows; `why` says how it was chosen.

    `context_length` in tokens, None where the server does not tell.
    """

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)
    backend: Backend = field(default_factory=Backend)
    context_length: int | None = None
    why: str = ""


def warm_up() -> None:
    """Import the client library in a thread, so that it is there when the first request is."""
    if "openai" not in sys.modules:
        threading.Thread(target=importlib.import_module, args=("openai",), daemon=True).start()


OnWait = Callable[[str], Awaitable[None]]


async def connect(
    base_url: str | None,
    model: str | None,
    api_key: str | None,
    *,
    profile: str | None = None,
    patience: float = LOADING_SECONDS,
    on_wait: OnWait | None = None,
) -> tuple[Endpoint, Profile]:
    """Recognise the server at `base_url`, or look for one on this machine when it is None.

    A named server that is still loading its model is waited for, `patience` seconds at most; `on_wait` hears so.

    Raises:
        ConfigError: the URL or the profile's name is wrong.
        UsageError: the server does not serve `model`; the message lists what it serves.
        ModelUnavailable: nothing answers there, or it is still loading.
        ModelRejected: the server wants a key, or another one.
    """
    chosen = load_profile(profile) if profile else None
    if api_key and not (api_key.isascii() and api_key.isprintable()):
        raise ConfigError(
            "the server's key holds characters that cannot be sent", hint="look at CODER_API_KEY"
        )
    if base_url:
        url = normalise(base_url)
        answer = await _loaded(url, api_key or "", patience, on_wait)
        why = f"named: {url}"
    else:
        url, answer = await _look_around(api_key is not None)
        api_key, why = None, f"found on this machine: {url}"
    endpoint, served = await _endpoint(url, answer, model, api_key or "", why)
    return endpoint, chosen or _profile_for(endpoint, served)


def normalise(base_url: str) -> str:
    """The URL in the one form that we use: with a scheme, with `/v1` where no path was given, no slash at the end."""
    text = base_url.strip()
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"{base_url!r} is not the URL of a server", hint="for example: http://127.0.0.1:8000/v1"
        )
    try:
        _ = parts.port
    except ValueError as problem:
        raise ConfigError(
            f"{base_url!r}: {problem}", hint="for example: http://127.0.0.1:8000/v1"
        ) from problem
    path = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


async def _loaded(url: str, api_key: str, patience: float, on_wait: OnWait | None) -> Answer:
    """The list of models, asked for until the server is no longer loading."""
    started, told = time.monotonic(), -LOADING_TELL
    while True:
        answer = await wire.get(f"{url}/models", api_key=api_key, timeout=NAMED_SECONDS)
        waited = time.monotonic() - started
        if answer.status != 503 or waited >= patience:
            return answer
        if on_wait and waited - told >= LOADING_TELL:
            told = waited
            await on_wait(f"the server at {url} is still loading its model (waited {waited:.0f} s)")
        await asyncio.sleep(min(LOADING_PAUSE, patience))


async def _look_around(has_key: bool) -> tuple[str, Answer]:
    """Ask all the usual ports side by side. No key is sent: whoever listens there is not known yet."""
    urls = [f"http://127.0.0.1:{port}/v1" for port in USUAL_PORTS]
    answers = await asyncio.gather(*(wire.get(f"{url}/models", timeout=PROBE_SECONDS) for url in urls))
    for url, answer in zip(urls, answers, strict=True):
        if served_models(answer):
            return url, answer
    for url, answer in zip(urls, answers, strict=True):
        if answer.status == 503:
            raise ModelUnavailable(
                f"the server at {url} is still loading its model", hint="try again in a moment"
            )
        if answer.status == 401:
            key = "" if has_key else " and set CODER_API_KEY"
            raise ModelUnavailable(
                f"the server at {url} asks for a key", hint=f"name it with --base-url {url}{key}"
            )
    raise ModelUnavailable("no model server answers on this machine", hint=_LOOK_HINT)


async def _endpoint(
    url: str, answer: Answer, model: str | None, api_key: str, why: str
) -> tuple[Endpoint, ServedModel | None]:
    models = served_models(answer)
    if models is None:
        _raise_unless_usable(url, answer, model)
        models = []
    backend = recognise(answer, models)
    name, chosen_why = _choose(models, model, backend)
    served = next(
        (each for each in models if each.id == name),
        models[0] if backend.name == "llama.cpp" and models else None,
    )
    context = served.context_length if served else None
    root = url.removesuffix("/v1")
    paths = DETAIL_PATHS.get(backend.name, ())
    details = await asyncio.gather(
        *(wire.get(root + path, api_key=api_key, timeout=DETAIL_SECONDS) for path in paths)
    )
    backend, detail_context = refine(backend, name, dict(zip(paths, details, strict=True)))
    why = f"{why} ({backend}); {chosen_why}"
    return Endpoint(url, name, api_key, backend, context or detail_context, why), served


def _raise_unless_usable(url: str, answer: Answer, model: str | None) -> None:
    """A server without a list of models can still be used when the model was named."""
    match answer.status:
        case 0:
            raise ModelUnavailable(f"no model server answers at {url}: {answer.problem}", hint=_LOOK_HINT)
        case 401 | 403:
            raise ModelRejected(
                f"the server at {url} refuses the key",
                hint="set CODER_API_KEY to its key",
                status=answer.status,
            )
        case 502 | 503 | 504:
            raise ModelUnavailable(
                f"the server at {url} is not ready (it may be loading its model)",
                hint="try again in a moment",
                status=answer.status,
            )
    if model is None:
        raise UsageError(
            f"{url}/models does not list models (HTTP {answer.status})",
            hint="name the model with --model NAME, and check that --base-url ends in /v1",
        )


def _choose(models: list[ServedModel], wanted: str | None, backend: Backend) -> tuple[str, str]:
    """The model's name for requests, and why this one."""
    names = [model.id for model in models]
    if wanted is None:
        if not names:
            raise ModelUnavailable(
                "the server has no model loaded", hint="load one, or name it with --model NAME"
            )
        known = next(
            (model.id for model in models if match_profile(model.id, model.root).name != GENERIC), names[0]
        )
        return known, "its only model" if len(
            names
        ) == 1 else f"one of its {len(names)} models: --model chooses"
    exact = [name for name in names if name.lower() == wanted.lower()]
    similar = [name for name in names if wanted.lower() in name.lower()]
    for found in (exact, similar):
        if len(found) == 1:
            return found[0], f"the model {wanted!r} that was asked for"
    if backend.name in ("vllm", "sglang", "tensorrt-llm", "ollama") and names:
        raise UsageError(f"the server has no model {wanted!r}", hint=f"it serves: {', '.join(names[:10])}")
    return wanted, f"the model {wanted!r} that was asked for, which the server does not list"


def _profile_for(endpoint: Endpoint, served: ServedModel | None) -> Profile:
    names = [endpoint.model, served.id, served.root] if served else [endpoint.model]
    profile = match_profile(*names)
    small = served is not None and served.parameters is not None and served.parameters < _SMALL_PARAMETERS
    return load_profile(SMALL) if profile.name == GENERIC and small else profile
