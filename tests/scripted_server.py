"""A scripted OpenAI-compatible model server on loopback: it plays turns, good and bad, and records every request.

In a test:     with ScriptedServer([Turn(calls=[("bash", {"command": "ls"})]), Turn(text="done")]) as server: …
From a shell:  python tests/scripted_server.py --port 0 script.json      (prints its base URL)
               script.json: a list of turns, or {"turns": […], "kind": "llama.cpp", "model": …, "after": "error"}
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

Call = tuple[str, dict[str, Any] | str]
OVERFLOWS = {
    "vllm": "This model's maximum context length is {n} tokens. However, your prompt contains at least {more} input"
    " tokens, which exceeds this limit even without any output tokens. (parameter=input_tokens, value={more})",
    "llama.cpp": "request ({more} tokens) exceeds the available context size ({n} tokens), try increasing it",
    "generic": "This model's maximum context length is {n} tokens. However, you requested more.",
}


@dataclass(frozen=True)
class Turn:
    """One answer. The defaults give a healthy stream; everything else is a way to be different or to break.

    `calls` are (name, arguments) pairs, arguments a dict or raw text. `shape` of the calls on the wire: openai,
    vllm (the first piece has no arguments key), no_index, no_id, same_index, whole (one piece, arguments an object).
    """

    text: str = ""
    thinking: str = ""
    calls: Sequence[Call] = ()
    thinking_field: str = "reasoning_content"  # or reasoning, or inline: <think> inside the content
    shape: str = "openai"
    finish: str = ""  # empty: stop or tool_calls; "none": never sent
    usage: dict[str, Any] | None = None  # None: counted from the lengths; {}: none
    each_usage: dict[str, Any] | None = None  # in each piece too, as with continuous_usage_stats
    piece: int = 8  # characters in one piece
    delay: float = 0.0  # seconds before the first piece
    pause: float = 0.0  # seconds between pieces
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str | bytes | dict[str, Any] | None = None  # sent as it is instead of an answer
    content_type: str = ""
    overflow: bool = False  # the 400 of this kind of server
    refuse: str = ""  # 400 when the request has this field, anywhere; else this turn as usual
    die_after: int | None = None  # break the connection after so many pieces
    hang_after: int | None = None  # fall silent after so many pieces, until the client leaves
    error_after: int | None = None  # send an error object after so many pieces
    error: dict[str, Any] = field(
        default_factory=lambda: {"message": "EngineCore encountered an issue.", "code": 500}
    )


def gives_up(why: str) -> Turn:
    """Says so twice in one answer, since who edited nothing is asked back once."""
    return Turn(calls=[("submit", {"give_up": True, "summary": why})] * 2)


Script = Turn | Callable[[dict[str, Any]], Turn]


@dataclass
class Recorded:
    """One request as it came; `left` says that the client closed the connection before the answer was complete."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    started: float
    finished: float = 0.0
    left: bool = False


class ScriptedServer:
    """Plays one turn a chat request. `after` the last turn: `repeat` it, or `error` (HTTP 500).

    `kind` is vllm, llama.cpp or generic; `loading` is how many first requests are answered with 503.
    A turn may be a function of the request's body; `pages` are answered to GETs as they are.
    """

    def __init__(
        self,
        turns: Sequence[Script],
        *,
        kind: str = "vllm",
        model: str = "scripted",
        context: int = 32768,
        after: str = "error",
        loading: int = 0,
        api_key: str = "",
        port: int = 0,
        pages: dict[str, str] | None = None,
    ) -> None:
        self.pages = pages or {}
        self.turns, self.kind, self.model, self.context = list(turns), kind, model, context
        self.after, self.loading, self.api_key = after, loading, api_key
        self.requests: list[Recorded] = []  # the chat requests; `gets` counts the rest
        self.gets: list[str] = []
        self.idle = threading.Condition()
        self.closing = threading.Event()
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.script = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    def wait(self, until: Callable[[], bool], seconds: float = 5.0) -> bool:
        """Wait until something is true of the server's records; asked again after each request."""
        with self.idle:
            return self.idle.wait_for(until, seconds)

    def next_turn(self, recorded: Recorded) -> Turn:
        with self.idle:
            played = len(self.requests)
            self.requests.append(recorded)
            if played < self.loading:
                body = {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}
                return Turn(status=503, body=body)
            played -= self.loading
            if played >= len(self.turns) and (self.after != "repeat" or not self.turns):
                return Turn(status=500, body={"error": {"message": "the script has ended"}})
            turn = self.turns[min(played, len(self.turns) - 1)]
        return turn if isinstance(turn, Turn) else turn(recorded.body)

    def done(self, recorded: Recorded) -> None:
        with self.idle:
            recorded.finished = time.monotonic()
            self.idle.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    script: ScriptedServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is part of the play."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Silence."""

    def version_string(self) -> str:
        return {"llama.cpp": "llama.cpp", "vllm": "uvicorn"}.get(self.server.script.kind, "scripted")

    # -- GET ---------------------------------------------------------------------------------------------------------

    def do_GET(self) -> None:
        script = self.server.script
        script.gets.append(self.path)
        if script.api_key and self.headers.get("Authorization") != f"Bearer {script.api_key}":
            self._send(401, {"error": "Unauthorized"})
        elif self.path in script.pages:
            self._send(200, script.pages[self.path], content_type="text/plain")
        elif self.path == "/health":
            self._send(200, {"status": "ok"} if script.kind == "llama.cpp" else b"")
        elif self.path == "/v1/models":
            self._send(200, {"object": "list", "data": [self._model()]})
        elif self.path == "/version" and script.kind == "vllm":
            self._send(200, {"version": "0.32.0"})
        elif self.path == "/props" and script.kind == "llama.cpp":
            settings = {"n_ctx": script.context}
            self._send(
                200, {"build_info": "b11434", "default_generation_settings": settings, "total_slots": 2}
            )
        else:
            self._send(404, {"detail": "Not Found"})

    def _model(self) -> dict[str, Any]:
        script = self.server.script
        entry: dict[str, Any] = {"id": script.model, "object": "model", "created": 1}
        if script.kind == "vllm":
            return entry | {"owned_by": "vllm", "root": script.model, "max_model_len": script.context}
        if script.kind == "llama.cpp":
            return entry | {"owned_by": "llamacpp", "meta": {"n_ctx": script.context, "n_ctx_train": 32768}}
        return entry | {"owned_by": "someone"}

    # -- POST --------------------------------------------------------------------------------------------------------

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        data = self.rfile.read(length)
        if len(data) < length:  # the client was killed while it sent
            self.close_connection = True
            return
        recorded = Recorded(
            self.path,
            json.loads(data or b"{}"),
            {k.lower(): v for k, v in self.headers.items()},
            time.monotonic(),
        )
        try:
            self._play(self.server.script.next_turn(recorded), recorded)
        except (BrokenPipeError, ConnectionResetError):
            recorded.left, self.close_connection = True, True
        finally:
            self.server.script.done(recorded)

    def _play(self, turn: Turn, recorded: Recorded) -> None:
        self._pause(turn.delay, recorded)
        if turn.overflow:
            self._send(400, self._overflow())
        elif turn.refuse and _has_key(recorded.body, turn.refuse):
            refusal = f"Extra inputs are not permitted: {turn.refuse}"
            self._send(400, {"error": {"message": refusal, "code": 400}})
        elif turn.body is not None or turn.status != 200:
            body = turn.body if turn.body is not None else {"error": {"message": f"scripted {turn.status}"}}
            self._send(turn.status, body, turn.headers, turn.content_type)
        elif recorded.body.get("stream"):
            self._stream(turn, recorded)
        else:
            self._send(200, _whole(turn, recorded.body, self.server.script.model))

    def _stream(self, turn: Turn, recorded: Recorded) -> None:
        self.send_response(200)
        headers = {
            "Content-Type": turn.content_type or "text/event-stream",
            "Transfer-Encoding": "chunked",
        } | turn.headers
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for number, chunk in enumerate(chunks(turn, recorded.body, self.server.script.model)):
            if number == turn.die_after:
                self._die()
                return
            if number == turn.hang_after:
                self._pause(3600.0, recorded)
            if number == turn.error_after:
                self._event(json.dumps({"error": turn.error}))
                break
            if number and turn.pause:
                self._pause(turn.pause, recorded)
            self._event(json.dumps(chunk))
        else:
            self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, data: str) -> None:
        payload = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(payload), payload))
        self.wfile.flush()

    def _die(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _pause(self, seconds: float, recorded: Recorded) -> None:
        """Wait, but notice a client that leaves."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self.server.script.closing.is_set():
            readable = select.select([self.connection], [], [], min(left, 0.05))[0]
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise BrokenPipeError

    def _overflow(self) -> dict[str, Any]:
        script = self.server.script
        message = OVERFLOWS[script.kind].format(n=script.context, more=script.context + 1)
        return {"error": {"message": message, "code": 400}}

    def _send(
        self,
        status: int,
        body: dict[str, Any] | str | bytes,
        headers: dict[str, str] | None = None,
        content_type: str = "",
    ) -> None:
        data = json.dumps(body) if isinstance(body, dict) else body
        payload = data.encode() if isinstance(data, str) else data
        self.send_response(status)
        self.send_header("Content-Type", content_type or "application/json")
        self.send_header("Content-Length", str(len(payload)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)


def chunks(turn: Turn, request: dict[str, Any], model: str) -> Iterator[dict[str, Any]]:
    """The chunks of a turn, as a server would stream them."""
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    for delta in _deltas(turn):
        running = {"usage": turn.each_usage} if turn.each_usage else {}
        yield frame | running | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    finish = turn.finish or ("tool_calls" if turn.calls else "stop")
    if finish != "none":
        yield frame | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    if request.get("stream_options", {}).get("include_usage") and turn.usage != {}:
        yield frame | {"choices": [], "usage": turn.usage or _usage(turn, request)}


def _deltas(turn: Turn) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    content = turn.text
    if turn.thinking and turn.thinking_field == "inline":
        content = f"<think>\n{turn.thinking}\n</think>\n\n{turn.text}"
    elif turn.thinking:
        yield from ({turn.thinking_field: piece} for piece in _cut(turn.thinking, turn.piece))
    yield from ({"content": piece} for piece in _cut(content, turn.piece))
    for index, (name, arguments) in enumerate(turn.calls):
        yield from ({"tool_calls": [piece]} for piece in _call_pieces(turn, index, name, arguments))


def _call_pieces(
    turn: Turn, index: int, name: str, arguments: dict[str, Any] | str
) -> Iterator[dict[str, Any]]:
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
    head: dict[str, Any] = {
        "index": index,
        "id": f"call-{index}-{name}",
        "type": "function",
        "function": {"name": name},
    }
    if turn.shape == "whole":
        yield head | {"function": {"name": name, "arguments": arguments}}
        return
    if turn.shape != "vllm":
        head["function"]["arguments"] = ""
    place: dict[str, Any] = {"index": index}
    if turn.shape == "no_index":
        del head["index"]
        place = {}
    elif turn.shape == "same_index":
        head["index"] = place["index"] = 0
    elif turn.shape == "no_id":
        del head["id"]
    yield head
    yield from (place | {"function": {"arguments": piece}} for piece in _cut(raw, turn.piece))


def _whole(turn: Turn, request: dict[str, Any], model: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": turn.text}
    if turn.thinking:
        message[turn.thinking_field] = turn.thinking
    functions = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in turn.calls]
    if functions:
        calls = [
            {"id": f"call-{n}", "type": "function", "function": each} for n, each in enumerate(functions)
        ]
        message["tool_calls"] = calls
    finish = turn.finish or ("tool_calls" if turn.calls else "stop")
    choice = {"index": 0, "message": message, "finish_reason": finish}
    frame = {"id": "chatcmpl-1", "object": "chat.completion", "model": model}
    return frame | {"choices": [choice], "usage": _usage(turn, request)}


def _usage(turn: Turn, request: dict[str, Any]) -> dict[str, Any]:
    prompt = len(json.dumps(request.get("messages", []))) // 4
    calls = sum(len(json.dumps(arguments)) for _, arguments in turn.calls)
    completion = (len(turn.text) + len(turn.thinking) + calls) // 4 + 1
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def _cut(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _has_key(value: Any, key: str) -> bool:
    if isinstance(value, dict):
        return key in value or any(_has_key(each, key) for each in value.values())
    return isinstance(value, list) and any(_has_key(each, key) for each in value)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a script of model turns on loopback.")
    parser.add_argument("script", type=Path)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    data = json.loads(options.script.read_text())
    settings = {"turns": data} if isinstance(data, list) else data
    turns = [Turn(**turn) for turn in settings.pop("turns")]
    with ScriptedServer(turns, **settings, port=options.port) as server:
        print(server.base_url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
