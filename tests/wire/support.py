"""What the tests of the wire share: a client that came in through the public door, and what was said on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from coder.model import messages
from coder.model.client import ModelClient
from coder.model.endpoint import connect
from coder.model.retry import Retries, Timeouts
from tests.model.support import Heard
from tests.wire.base import WireServer

PATIENT = Retries(busy=60, broken=2, loading=5.0, base=0.01, cap=0.05)
TIMEOUTS = Timeouts(connect=5.0, first=20.0, between=10.0)
PARAMETERS = {
    "type": "object",
    "properties": {"command": {"type": "string"}, "path": {"type": "string"}, "line": {"type": "integer"}},
}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": name, "parameters": PARAMETERS}}
    for name in ("bash", "write")
]
ASK = [messages.system("You are terse."), messages.user("List the files.")]


@asynccontextmanager
async def talk(server: WireServer, name: str | None = None) -> AsyncIterator[ModelClient]:
    """A client of this server, as the program makes one; the profile is found by the model's name."""
    endpoint, profile = await connect(server.base_url, name, None)
    model = ModelClient(endpoint, profile, retries=PATIENT, timeouts=TIMEOUTS)
    try:
        yield model
    finally:
        await model.close()


__all__ = ["ASK", "PATIENT", "TIMEOUTS", "TOOLS", "Heard", "talk"]
