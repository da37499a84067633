"""What a server is working on, by its own figures: a busy server is told apart from a dead or a forgetful one."""

from __future__ import annotations

from dataclasses import dataclass

from coder.model import wire
from coder.model.endpoint import Endpoint
from coder.model.figures import Figures

LOOK_SECONDS = 5.0
# Prometheus names: vLLM (v1/metrics/loggers.py), SGLang (metrics_collector.py), llama.cpp (tools/server).
_RUNNING = ("vllm:num_requests_running", "sglang:num_running_reqs", "llamacpp:requests_processing")
_WAITING = ("vllm:num_requests_waiting", "sglang:num_queue_reqs", "llamacpp:requests_deferred")


@dataclass(frozen=True, slots=True)
class Load:
    """`alive`: something answered there. `running` and `waiting` count requests; None where the server does not tell."""

    alive: bool = True
    running: int | None = None
    waiting: int | None = None

    @property
    def busy(self) -> bool:
        return bool(self.running or self.waiting)

    @property
    def idle(self) -> bool:
        return self.running == 0 and not self.waiting

    def __str__(self) -> str:
        if not self.alive:
            return "it does not answer"
        if self.running is None:
            return "it does not tell what it is working on"
        return f"{self.running} running, {self.waiting or 0} waiting"


async def look(endpoint: Endpoint) -> Load:
    """Ask the server once, in at most `LOOK_SECONDS` a path. Never raises for what the server does."""
    root = endpoint.base_url.removesuffix("/v1")
    for path in endpoint.backend.traits.load:
        answer = await wire.get(root + path, api_key=endpoint.api_key, timeout=LOOK_SECONDS)
        if answer.refused:
            return Load(alive=False)
        if answer.status == 200 and (load := _read(answer)):
            return load
    if endpoint.backend.traits.load:
        return Load()
    answer = await wire.get(f"{endpoint.base_url}/models", api_key=endpoint.api_key, timeout=LOOK_SECONDS)
    return Load(alive=not answer.refused)


def _read(answer: wire.Answer) -> Load | None:
    """Prometheus text, llama.cpp's list of slots, or TensorRT-LLM's list of iterations."""
    data = answer.json()
    if not isinstance(data, list):
        figures = Figures(answer.body.decode("utf-8", "replace"))
        running, waiting = figures.sum(*_RUNNING), figures.sum(*_WAITING)
        return (
            None
            if running is None
            else Load(True, round(running), None if waiting is None else round(waiting))
        )
    entries = [entry for entry in data if isinstance(entry, dict)]
    if entries and "is_processing" in entries[0]:
        return Load(running=sum(entry.get("is_processing") is True for entry in entries))
    if entries and isinstance(active := entries[-1].get("numActiveRequests"), int):
        queued = entries[-1].get("numQueuedRequests")
        return Load(running=active, waiting=queued if isinstance(queued, int) else None)
    return None
