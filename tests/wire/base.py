"""One HTTP server on loopback for all dialects: it plays a script of turns and records what it was asked.

    with WireServer(Vllm(), [Turn(thinking="…", calls=[("bash", {"command": "ls"})]), Turn(text="done")]) as server: …

A turn counts as played when its answer went out to the end; a client that left, or a server that died, finds the
same turn again. What a turn looks like on the wire, what is refused and what is published is the dialect's affair.
"""

from __future__ import annotations

import json
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tests.wire.dialect import Dialect

CONTEXT = 262_144  # what the model card's commands serve
_TOKEN = re.compile(r"</?think>|\n|[^\S\n]*\S{1,4}|[^\S\n]+")


def tokens(text: str) -> list[str]:
    """The tokens of our servers: up to four characters and the blanks before them; newlines and tags alone."""
    return _TOKEN.findall(text)


@dataclass(frozen=True)
class Turn:
    """One answer. `pause` in seconds between two pieces; `die_after` so many pieces the server breaks, once."""

    text: str = ""
    thinking: str = ""
    calls: Sequence[tuple[str, dict[str, Any]]] = ()
    pause: float = 0.0
    die_after: int | None = None


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer; dicts and lists go out as JSON."""

    status: int
    body: dict[str, Any] | list[Any] | str = ""
    content_type: str = ""


@dataclass(frozen=True)
class Piece:
    """One chunk of a stream before it is framed: what it adds, and how many tokens (of thought) that is."""

    delta: dict[str, Any]
    tokens: int = 0
    thinking: int = 0
    finish: str | None = None


@dataclass
class Recorded:
    """One POST as it came and what became of it.

    `mode` is thinks, continued (a closed thought was carried on), off (thinking switched off), refused, loading or
    dead; other paths than the chat have none. `thinking_tokens` were sent before the answer ended or the client left.
    """

    path: str
    body: dict[str, Any]
    mode: str = ""
    pieces: int = 0
    thinking_tokens: int = 0
    left: bool = False
    finished: float = 0.0


@dataclass
class State:
    """What a server knows of itself. `until` is when it will have loaded its model, in monotonic seconds."""

    played: int = 0
    running: int = 0
    until: float = 0.0
    engine_dead: bool = False
    died: set[int] = field(default_factory=set)
    prompt: str = ""
    cached: int = 0
    queries: int = 0
    hits: int = 0


class WireServer:
    """Serves one dialect.

    `enforces`: it keeps the thinking budget that it is told, where the dialect can. `refuses`: a field of the request
    that it answers with 400, as builds older or stricter than ours do. `piece` is tokens in one chunk (speculative
    decoding sends several).
    """

    def __init__(
        self,
        dialect: Dialect,
        turns: Sequence[Turn] = (),
        *,
        enforces: bool = True,
        refuses: str = "",
        context: int = CONTEXT,
        piece: int = 1,
    ) -> None:
        self.dialect, self.turns = dialect, list(turns)
        self.enforces, self.refuses, self.context, self.piece = enforces, refuses, context, piece
        self.state = State()
        self.requests: list[Recorded] = []
        self.changed = threading.Condition()
        self.closing = threading.Event()
        self.http: _Http | None = None
        self.port = 0
        self.listen()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def chats(self) -> list[Recorded]:
        """The requests for an answer."""
        return [each for each in self.requests if each.mode]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.hang_up()

    def listen(self) -> None:
        if not self.closing.is_set():
            self.http = _Http(("127.0.0.1", self.port), _Handler)
            self.http.wire = self
            self.port = int(self.http.server_address[1])
            threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def hang_up(self) -> None:
        """Listen no more: connections are refused, and open ones end with their next request."""
        http, self.http = self.http, None
        if http is not None:
            http.shutdown()
            http.server_close()

    def load(self, seconds: float) -> None:
        """Load the model anew: for so long the server is what its dialect says of a loading one."""
        self.state.until = time.monotonic() + seconds
        if self.dialect.loading == "refuses":
            self.hang_up()
            timer = threading.Timer(seconds, self.listen)
            timer.daemon = True
            timer.start()

    def wait(self, until: Callable[[], bool], seconds: float = 5.0) -> bool:
        """Wait until something is true of the server's records; asked again whenever a request ends."""
        with self.changed:
            return self.changed.wait_for(until, seconds)

    def turn(self) -> tuple[int, Turn]:
        number = min(self.state.played, len(self.turns) - 1)
        return number, self.turns[number]

    def count_prompt(self, body: dict[str, Any]) -> int:
        """Tokens of the prompt: four characters each, messages and tools."""
        return len(_prompt(body)) // 4 + 1

    def note_prompt(self, body: dict[str, Any]) -> None:
        """Compare with the prompt before, as a prefix cache does."""
        text, before = _prompt(body), self.state.prompt
        common = next((n for n, (a, b) in enumerate(zip(text, before, strict=False)) if a != b), None)
        length = min(len(text), len(before)) if common is None else common
        self.state.prompt, self.state.cached = text, length // 4
        self.state.queries += len(text) // 4 + 1
        self.state.hits += self.state.cached


def _prompt(body: dict[str, Any]) -> str:
    asked = body.get("messages", body.get("prompt", ""))
    return json.dumps(body.get("tools") or []) + json.dumps(asked)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    wire: WireServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is part of the play."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Silence."""

    def version_string(self) -> str:
        return self.server.wire.dialect.server_header

    def handle_one_request(self) -> None:
        """A server that listens no more serves nobody on its old connections either."""
        super().handle_one_request()
        self.close_connection = self.close_connection or self.server is not self.server.wire.http

    def do_GET(self) -> None:
        wire = self.server.wire
        loading = wire.dialect.loading_answer() if time.monotonic() < wire.state.until else None
        self._send(loading or wire.dialect.get(self.path, wire) or wire.dialect.not_found())

    def do_POST(self) -> None:
        wire = self.server.wire
        if self.server is not wire.http:
            self.close_connection = True
            return
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        recorded = Recorded(self.path, body)
        wire.requests.append(recorded)
        try:
            if self.path in ("/v1/chat/completions", "/v1/completions"):
                self._answer(recorded)
            else:
                self._send(wire.dialect.post(self.path, body, wire) or wire.dialect.not_found())
        except OSError:
            recorded.left, self.close_connection = True, True
        finally:
            with wire.changed:
                recorded.finished = time.monotonic()
                wire.changed.notify_all()

    def _answer(self, recorded: Recorded) -> None:
        wire = self.server.wire
        dialect, body = wire.dialect, recorded.body
        recorded.mode = "loading"
        if time.monotonic() < wire.state.until:
            if loading := dialect.loading_answer():
                self._send(loading)
                return
            self._pause(wire.state.until - time.monotonic())  # the model is loaded within the request
        if wire.state.engine_dead:
            recorded.mode = "dead"
            wire.state.engine_dead = False
            wire.load(0.15)  # it goes down with this answer, and its supervisor starts it again
            self._send(dialect.dead_answer())
            return
        recorded.mode = "refused"
        if refusal := dialect.refusal(recorded.path, body, wire):
            self._send(refusal)
            return
        recorded.mode = dialect.mode(recorded.path, body)
        wire.note_prompt(body)
        wire.state.running += 1
        try:
            self._stream(recorded)
        finally:
            wire.state.running -= 1

    def _stream(self, recorded: Recorded) -> None:
        wire = self.server.wire
        number, turn = wire.turn()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self._own_headers()
        self.end_headers()
        for chunk, piece in wire.dialect.stream(turn, recorded, wire):
            if recorded.pieces == turn.die_after and number not in wire.state.died:
                wire.state.died.add(number)
                self._die()
                return
            self._pause(turn.pause)
            self._event(json.dumps(chunk))
            recorded.pieces += 1
            recorded.thinking_tokens += piece.thinking
        wire.state.played += 1
        self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _die(self) -> None:
        wire = self.server.wire
        self.close_connection = True
        if error := wire.dialect.death():
            self._event(json.dumps(error))
            wire.state.engine_dead = wire.dialect.engine_dies
            self._event("[DONE]")
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def _event(self, data: str) -> None:
        payload = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(payload), payload))
        self.wfile.flush()

    def _pause(self, seconds: float) -> None:
        """Wait, but notice a client that leaves, as all these servers do."""
        deadline = time.monotonic() + seconds
        while not self.server.wire.closing.is_set():
            left = max(0.0, deadline - time.monotonic())
            if select.select([self.connection], [], [], min(left, 0.05))[0]:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    raise BrokenPipeError
                time.sleep(left)  # a client that talks out of turn
            if left == 0.0:
                return

    def _own_headers(self) -> None:
        for name, value in self.server.wire.dialect.headers.items():
            self.send_header(name, value)

    def _send(self, answer: Answer) -> None:
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        kind = "text/plain; charset=utf-8" if isinstance(answer.body, str) else "application/json"
        payload = text.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type or kind)
        self.send_header("Content-Length", str(len(payload)))
        self._own_headers()
        self.end_headers()
        self.wfile.write(payload)
