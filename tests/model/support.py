"""What the client's tests share: a request, a listener, and a client of a scripted server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from coder.model import messages
from coder.model.backends import Backend
from coder.model.client import ModelClient
from coder.model.endpoint import Endpoint
from coder.model.messages import Delta
from coder.model.profile import Profile, load_profile
from coder.model.retry import Retries, Timeouts
from tests.scripted_server import ScriptedServer, Turn

BASH = {"type": "function", "function": {"name": "bash", "parameters": {"type": "object", "properties": {}}}}
ASK = [messages.system("You are terse."), messages.user("List the files.")]
QUICK = Retries(busy=3, broken=2, loading=1.0, base=0.01, cap=0.05)
NEMOTRON = load_profile("nemotron-3-super")


class Heard:
    """What the listeners heard."""

    def __init__(self) -> None:
        self.deltas: list[Delta] = []
        self.retries: list[str] = []

    async def on_delta(self, delta: Delta) -> None:
        self.deltas.append(delta)

    async def on_retry(self, words: str) -> None:
        self.retries.append(words)

    def text(self, kind: str) -> str:
        return "".join(delta.text for delta in self.deltas if delta.kind == kind)


def endpoint(server: ScriptedServer, context_length: int | None = None) -> Endpoint:
    backend = Backend(server.kind)
    return Endpoint(server.base_url, server.model, backend=backend, context_length=context_length)


@asynccontextmanager
async def client(
    server: ScriptedServer, profile: Profile = NEMOTRON, retries: Retries = QUICK, **timeouts: float
) -> AsyncIterator[ModelClient]:
    made = ModelClient(endpoint(server), profile, retries=retries, timeouts=Timeouts(**timeouts))
    try:
        yield made
    finally:
        await made.close()


GOOD = Turn(text="fine")
