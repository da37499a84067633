"""What a person sees of a run that goes on: a line a result, and in a terminal how far it is."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import Self, TextIO

from coder.transcript.words import duration
from evals.result import Result, Status
from sandbox.text import clean_text

_SIGNS = {Status.RESOLVED: "✓"}


class Progress:
    """Writes to `stream`; a context, since a terminal's last line is taken away at its end."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._live = None
        self._began = time.monotonic()
        self._made = 0
        self._statuses: Counter[Status] = Counter()
        if stream.isatty() and not quiet:
            from rich.console import Console
            from rich.status import Status as Spinner

            self._live = Spinner("beginning", console=Console(file=stream))

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        if self._quiet:
            return
        if self._live is not None:
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self._stream, flush=True)

    def __call__(self, result: Result, done: int, total: int) -> None:
        self._made += 1
        self._statuses[result.status] += 1
        what = f"{_SIGNS.get(result.status, '✗')} {result.instance}"
        if result.attempt > 1:
            what += f" ({result.attempt})"
        facts = [what, result.status, duration(result.seconds.total)]
        if result.spent.completion_tokens:
            facts.append(f"{result.spent.completion_tokens} tokens")
        if result.status is not Status.RESOLVED and result.detail:
            facts.append(" ".join(clean_text(result.detail).split())[:160])
        self.say(f"[{done}/{total}] " + "  ".join(facts))
        if self._live is not None:
            self._live.update(self._ahead(done, total))

    def _ahead(self, done: int, total: int) -> str:
        """How far it is, and when it ends if the rest is as quick."""
        resolved = self._statuses[Status.RESOLVED]
        left = (total - done) * (time.monotonic() - self._began) / self._made
        return f"{done} of {total} done, {resolved} of {self._made} resolved, about {duration(left)} to go"
