"""A server that answers what the doctor asks: healthy by default, with a switch for each fault."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from coder.doctor.patient import Patient
from coder.model.backends import Backend
from coder.model.endpoint import Endpoint
from coder.model.profile import Profile, load_profile
from tests.scripted_server import ScriptedServer, Turn

NEMOTRON = load_profile("nemotron-3-super")
SMALL = load_profile("small-coder")
VLLM = Backend("vllm", "0.32.0")
NUMBERS = " ".join(map(str, range(1, 41)))
THOUGHT = "the next number is divisible by three\n" * 60
NO_PARSER = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'


@dataclass
class Served:
    """The model and its server. Each field's first value is health.

    `calls`: parsed, tags, fence, none, refused, damaged. `forced`: what a required call gives. `tag`: whole, cut,
    other. `thoughts`: the field, inline, or none. `off`: thinking off is honoured. `budget`: server, client,
    nobody, short (the model stops by itself), refused. `cache`: reported, hits, off, corrupt, weak. `schema`:
    kept, prose, refused. `slots`: 1 makes requests wait for one another. `overflow`: refused, cut, unknown.
    """

    calls: str = "parsed"
    forced: str = "parsed"
    tag: str = "whole"
    thoughts: str = "reasoning"
    off: bool = True
    repeats: bool = False
    budget: str = "server"
    cache: str = "reported"
    schema: str = "kept"
    slots: int = 8
    overflow: str = "refused"
    context: int = 32768
    pieces: int = 8
    keeps_working: bool = False
    seen: dict[str, int] = field(default_factory=dict)
    hits: int = 0
    queued: int = 0
    server: ScriptedServer | None = None

    def __call__(self, body: dict[str, Any]) -> Turn:
        prompt = body["messages"][0]["content"]
        size = len(prompt) // 4
        if size > self.context and self.overflow != "cut":
            unknown = Turn(status=400, body={"error": {"message": "too many letters", "code": 400}})
            return Turn(overflow=True) if self.overflow == "refused" else unknown
        if "tools" in body:
            return self._call(prompt, body)
        if "response_format" in body:
            return self._schema()
        for mark, answer in self._answers().items():
            if mark in prompt:
                return answer(prompt, body)
        raise AssertionError(prompt[-200:])

    def _answers(self) -> dict[str, Callable[[str, dict[str, Any]], Turn]]:
        return {
            "from 1 to 40": lambda *_: Turn(text=NUMBERS, piece=self.pieces),
            "Is 91": lambda _, body: self._think(body, "7 times 13 is 91.", "No."),
            "divisible by 3": self._budgeted,
            "word OK": self._cached,
            "pass phrase": self._phrase,
            "a lighthouse": self._long,
        }

    # -- calls -------------------------------------------------------------------------------------------------------

    def _call(self, prompt: str, body: dict[str, Any]) -> Turn:
        calls = self._wanted(prompt)
        kind = self.forced if body.get("tool_choice") == "required" else self.calls
        if kind == "refused":
            return Turn(status=400, body={"error": {"message": NO_PARSER, "code": 400}})
        if kind == "none":
            return Turn(text="I would read the file.")
        if kind == "parsed":
            return Turn(calls=calls, shape="vllm")
        if kind == "damaged":
            return Turn(calls=[(name, '{"path": "a') for name, _ in calls])
        if kind == "fence":
            name, arguments = calls[0]
            call = json.dumps({"name": name, "arguments": arguments})
            return Turn(text=f"```json\n{call}\n```")
        return Turn(text="\n".join(_xml(name, arguments) for name, arguments in calls))

    def _wanted(self, prompt: str) -> list[tuple[str, dict[str, Any]]]:
        if "write_file" not in prompt:
            paths = ["a.py", "b.py"] if "twice" in prompt else ["src/app.py"]
            return [("read_file", {"path": path}) for path in paths]
        content = prompt.split("\n\n", 1)[1].strip()
        if "</parameter>" in content:
            cut = content.split("</parameter>")[0]
            content = {"whole": content, "cut": cut, "other": "x = 1"}[self.tag]
        return [("write_file", {"path": "hello.py", "content": content})]

    # -- thoughts ----------------------------------------------------------------------------------------------------

    def _think(self, body: dict[str, Any], thought: str, text: str) -> Turn:
        if self.thoughts == "none" or (_thinks_not(body) and self.off):
            return Turn(text=text)
        if body["max_tokens"] < 30:
            cut = "I wonder whether it"
            return Turn(
                thinking=cut,
                text=cut if self.repeats else "",
                thinking_field=self.thoughts,
                finish="length",
                usage={},
            )
        return Turn(thinking=thought, text=text, thinking_field=self.thoughts)

    def _budgeted(self, _: str, body: dict[str, Any]) -> Turn:
        if body["messages"][-1]["role"] == "assistant":  # the client's own cut, carried on
            return Turn(thinking=THOUGHT) if self.budget == "nobody" else Turn(text="27")
        budget = body.get("thinking_token_budget")
        if budget and self.budget == "refused":
            words = "thinking_token_budget is set but reasoning_config is not configured"
            return Turn(status=400, body={"error": {"message": words, "code": 400}})
        if _thinks_not(body):
            return Turn(thinking=THOUGHT) if self.budget == "nobody" else Turn(text="27")
        if self.budget == "short":
            return self._think(body, "Easy.", "27")
        if budget and self.budget == "server":
            return self._think(body, THOUGHT[: 4 * budget], "27")
        return self._think(body, THOUGHT, "27")

    # -- cache -------------------------------------------------------------------------------------------------------

    def _again(self, prompt: str) -> int:
        self.seen[prompt] = self.seen.get(prompt, 0) + 1
        return self.seen[prompt] - 1

    def _cached(self, prompt: str, _: dict[str, Any]) -> Turn:
        size = min(len(prompt) // 4, self.context)
        warm = self._again(prompt) > 0
        usage: dict[str, Any] = {"prompt_tokens": size, "completion_tokens": 1}
        if self.cache == "reported":
            usage["prompt_tokens_details"] = {"cached_tokens": (size - 10) * warm}
        if self.cache == "hits" and warm:
            self.hits += size
        return Turn(text="OK", usage=usage)

    def _phrase(self, prompt: str, _: dict[str, Any]) -> Turn:
        found = re.search(r"pass phrase is ([\w-]+)\.", prompt)
        assert found
        wrong = self.cache == "weak" or (self.cache == "corrupt" and self._again(prompt) > 0)
        return Turn(text="I do not know" if wrong else found.group(1))

    # -- the rest ----------------------------------------------------------------------------------------------------

    def _schema(self) -> Turn:
        if self.schema == "refused":
            words = "response_format is not supported"
            return Turn(status=400, body={"error": {"message": words, "code": 400}})
        kept = '{"verdict": "accept", "reason": "clearer"}'
        return Turn(text=kept if self.schema == "kept" else "It looks good.")

    def _long(self, _: str, body: dict[str, Any]) -> Turn:
        if body["max_tokens"] > 1000:
            return Turn(text="one\n" * 2000, pause=0.02)
        self.queued += 1
        wait = 0.0 if self.slots > 1 else 0.2 * (self.queued - 1)
        return Turn(text="one\n" * 16, pause=0.01 if self.slots > 1 else 0.001, delay=wait)

    def metrics(self) -> str:
        assert self.server
        running = sum(not each.finished for each in self.server.requests)
        if self.keeps_working and any(each.left for each in self.server.requests):
            running = 1
        return f'vllm:num_requests_running{{engine="0"}} {running}.0\nvllm:prefix_cache_hits_total {self.hits}.0\n'


class Pages(dict[str, Any]):
    """Pages that may be made when they are asked for."""

    def __getitem__(self, path: str) -> str:
        page = super().__getitem__(path)
        return page() if callable(page) else page


def _thinks_not(body: dict[str, Any]) -> bool:
    kwargs = body.get("chat_template_kwargs", {})
    return kwargs.get("enable_thinking") is False or body.get("reasoning_effort") == "none"


def _xml(name: str, arguments: dict[str, Any]) -> str:
    parameters = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function={name}>\n{parameters}</function>\n</tool_call>"


def serving(
    served: Served,
    *,
    kind: str = "vllm",
    model: str = "nemotron-3-super",
    pages: dict[str, Any] | None = None,
) -> ScriptedServer:
    """The server of this model; not started yet."""
    metrics = {"/metrics": served.metrics} if pages is None else pages
    server = ScriptedServer(
        [served], kind=kind, model=model, context=served.context, after="repeat", pages=Pages(metrics)
    )
    served.server = server
    return server


@asynccontextmanager
async def patient(
    served: Served,
    profile: Profile = NEMOTRON,
    *,
    backend: Backend = VLLM,
    pages: dict[str, Any] | None = None,
) -> AsyncIterator[Patient]:
    kind = backend.name if backend.name in ("vllm", "llama.cpp") else "generic"
    with serving(served, kind=kind, pages=pages) as server:
        endpoint = Endpoint(server.base_url, server.model, backend=backend, context_length=served.context)
        made = Patient.of(endpoint, profile)
        try:
            yield made
        finally:
            await made.close()
