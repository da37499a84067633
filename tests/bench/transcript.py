"""The transcript on a terminal of its own: what an event, a scroll, a resize and a stream cost, in CPU time.

    python -m tests.bench.transcript

The window holds nothing but the transcript and a line, as its goals were set. Rivals' figures were measured in the
same way on other days: compare orders of magnitude.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from coder import events
from coder.events import Event
from coder.journal import Journal, load

EVENTS = 10_000
COLUMNS, LINES = 110, 40
ROUNDS = 20
PARAGRAPH = (
    "The parser keeps **one** token of lookahead, so `parse_item` must not consume the comma: "
    "the caller decides whether another item follows, and says so in *its* error.\n\n"
)
CODE = (
    "```python\ndef parse_item(stream):\n    token = stream.peek()\n    return token.value  # kept\n```\n\n"
)
MARKDOWN = f"{PARAGRAPH}- first the tests\n- then the parser\n\n{CODE}{PARAGRAPH}"
DIFF = "--- a/parser.py\n+++ b/parser.py\n@@ -10,3 +10,3 @@\n def item(s):\n-    return s.next()\n+    return s.peek()\n x = 1\n"


def story(count: int) -> Iterator[Event]:
    """A long session: an answer with a thought, a command, an edit, a snapshot, over and over."""
    yield events.UserMessage(text="make the parser accept a trailing comma")
    for number in range(count // 6):
        call = str(number)
        yield events.AssistantMessage(
            text=MARKDOWN,
            thinking="The comma is eaten twice. " * 20,
            spent=events.Spent(1, 9000, 8000, 200, 90),
            allowed=512,
        )
        yield events.ToolStarted(
            call=call, name="bash", arguments={"command": f"pytest -q tests/test_{number}.py"}
        )
        output = "\n".join(f"tests/test_{number}.py::test_{n} PASSED" for n in range(20))
        yield events.ToolFinished(call=call, name="bash", text=output, exit=number % 2, seconds=1.2)
        yield events.ToolStarted(
            call=call + "e", name="editor", arguments={"command": "str_replace", "path": "parser.py"}
        )
        yield events.ToolFinished(call=call + "e", name="editor", text="Edited.", diff=DIFF, seconds=0.01)
        yield events.Checkpoint(tree=f"{number:040x}", paths=("parser.py",))


class Measurement:
    """CPU milliseconds of what an app does, from the inside."""

    def __init__(self, app: Any, journal: Path) -> None:
        self._app = app
        self._journal = journal
        self.found: dict[str, float] = {}

    async def all(self) -> None:
        began = time.process_time()
        self._app.view.load(load(self._journal))
        await asyncio.sleep(0.1)
        self.found["resume s"] = time.process_time() - began
        self.found["longest pause ms"] = await self._longest_pause()
        self.found["memory MB"] = memory()
        await self._operations()
        await self._streams()

    async def _operations(self) -> None:
        view, app = self._app.view, self._app
        self._measure_rest()
        await self._each("append", lambda n: view.take(events.Note(text=f"news {n}")))
        await self._each("scroll 7 lines", lambda n: view.scroll_to(y=view.scroll_y - 7))
        await self._each("page", lambda n: view.page(-1))
        view.to_end()
        from textual import events as keys

        await self._each("focus change", lambda n: app.post_message((keys.AppBlur, keys.AppFocus)[n % 2]()))
        await self._each("resize", lambda n: self._resize(COLUMNS - 1 - n % 2), pause=0.25, rounds=6)

    def _measure_rest(self) -> None:
        view = self._app.view
        while view.measuring:
            view.rest()
            view.fill()

    def _resize(self, columns: int) -> None:
        set_size(1, columns, LINES)
        os.kill(os.getpid(), signal.SIGWINCH)

    async def _each(
        self, name: str, do: Callable[[int], object], *, pause: float = 0.08, rounds: int = ROUNDS
    ) -> None:
        """The middle of `rounds` times. Measuring in the background is stopped, but its first slice is counted."""
        spent = []
        for number in range(rounds):
            self._app.view.rest()
            began = time.process_time()
            do(number)
            await asyncio.sleep(pause)
            spent.append(time.process_time() - began)
        self.found[f"{name} ms"] = 1000 * sorted(spent)[len(spent) // 2]

    async def _longest_pause(self) -> float:
        """The longest slice of measuring in the background, in CPU milliseconds, of some seconds' worth."""
        view = self._app.view
        slices: list[float] = []
        fill = view.fill

        def timed() -> None:
            began = time.process_time()
            fill()
            slices.append(time.process_time() - began)

        view.fill = timed
        await asyncio.sleep(6)
        view.fill = fill
        return 1000 * max(slices)

    async def _streams(self) -> None:
        for rate, tokens in ((80, 400), (300, 3000)):
            self._measure_rest()
            began, wall = time.process_time(), time.monotonic()
            words = (MARKDOWN * 60).split(" ")[:tokens]
            for number, word in enumerate(words):
                self._app.view.take(events.TextDelta(text=word + " "))
                await asyncio.sleep(max(0.0, wall + (number + 1) / rate - time.monotonic()))
            self._app.view.take(events.AssistantMessage(text=" ".join(words) + " "))
            await asyncio.sleep(0.1)
            spent = time.process_time() - began
            self.found[f"{tokens} tokens at {rate}/s, s"] = spent
            self.found[f"share of a core at {rate}/s"] = spent / (time.monotonic() - wall)


def spin() -> float:
    """CPU milliseconds of an empty loop of 20,000 turns: how fast this machine is just now, whatever else it does."""
    spent = []
    for _ in range(50):
        began = time.process_time()
        for _ in range(20_000):
            pass
        spent.append(time.process_time() - began)
    return 1000 * sorted(spent)[25]


def memory() -> float:
    """Megabytes that this process has for itself (PSS)."""
    rows = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("Pss:")) / 1024


def set_size(descriptor: int, columns: int, lines: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def inside(journal: Path, result: Path) -> None:
    """The measured process, on its terminal."""
    from textual.app import ComposeResult
    from textual.widgets import Static

    from coder.tui.steady import Steady
    from coder.tui.view import TranscriptView

    class Bench(Steady):
        def compose(self) -> ComposeResult:
            self.view = TranscriptView()
            yield self.view
            yield Static("status")

        def on_mount(self) -> None:
            self.run_worker(self._measure())

        async def _measure(self) -> None:
            await asyncio.sleep(0.5)
            measurement = Measurement(self, journal)
            measurement.found["ready MB"] = memory()
            before = spin()
            await measurement.all()
            measurement.found["spin ms"] = (before + spin()) / 2
            result.write_text(json.dumps(measurement.found))
            self.exit()

    Bench().run()


def measure(seconds: float = 240.0) -> dict[str, float]:
    """The figures, from a child on a pseudo terminal. Raises RuntimeError when it gives none in time."""
    with tempfile.TemporaryDirectory(prefix="coder-bench-") as scratch:
        journal, result = Path(scratch) / "journal.jsonl", Path(scratch) / "result.json"
        writer = Journal(journal)
        for event in story(EVENTS):
            writer(event)
        writer.close()
        child, terminal = pty.fork()
        if child == 0:
            set_size(0, COLUMNS, LINES)
            os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
            os.execv(
                sys.executable, [sys.executable, "-m", "tests.bench.transcript", str(journal), str(result)]
            )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and drained(terminal):
            pass
        if time.monotonic() >= deadline:
            os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)
        if not result.exists():
            raise RuntimeError("the transcript could not be measured")
        found: dict[str, float] = json.loads(result.read_text())
        return found


def drained(terminal: int) -> bool:
    """Take what the child writes; says whether it still lives."""
    ready, _, _ = select.select([terminal], [], [], 1.0)
    try:
        return not ready or bool(os.read(terminal, 65536))
    except OSError:
        return False


GOALS: list[tuple[str, float, str]] = [
    ("append ms", 8, "Textual Markdown widgets, 100 messages: 220"),
    ("scroll 7 lines ms", 5, "92"),
    ("page ms", 5, ""),
    ("focus change ms", 5, "75"),
    ("resize ms", 60, "1748"),
    ("resume s", 0.6, ""),
    ("longest pause ms", 16, ""),
    (
        "share of a core at 80/s",
        0.15,
        "Vibe 3 (Rust) 0.09, pi 0.15-0.18, Vibe 2 0.25, Toad 0.37-0.46, OpenCode 0.76-0.92",
    ),
    ("share of a core at 300/s", 0.25, ""),
    ("3000 tokens at 300/s, s", 2.0, "Textual MarkdownStream 13.3"),
    ("ready MB", 70, "Vibe 2 115, pi 132, Vibe 3 139, Toad 175, OpenCode 645"),
    ("memory MB", 180, ""),
]


def report() -> None:
    """Print the figures beside the goals and the rivals."""
    found = measure()
    print(f"\ntranscript of {EVENTS} events, {COLUMNS}x{LINES}, CPU time")
    print(f"(an empty loop of 20,000 turns took {found['spin ms']:.2f} ms of CPU meanwhile)")
    for name, goal, rivals in GOALS:
        beside = f"   {rivals}" if rivals else ""
        print(f"{name:<28}{found[name]:>10.2f}   (goal <= {goal:g}){beside}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        inside(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        report()
