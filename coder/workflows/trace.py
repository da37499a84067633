"""What a failing test really called, with arguments and results: the plugin's command, and its answer read with care."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

MAX_TRACE = 400_000
SECONDS = 20


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `line` (from 1) is where the function starts, `test` the node id of the test that led to it.

    `result` is a short text for the value, "raises", or empty for a generator.
    """

    path: str
    line: int
    name: str
    arguments: tuple[tuple[str, str], ...]
    result: str
    test: str = ""

    def text(self) -> str:
        """Such as `discount(quantity=10) returned 5`."""
        match self.result:
            case "raises":
                return f"{self.call_text()} raised the exception"
            case "":
                return self.call_text()
            case _:
                return f"{self.call_text()} returned {self.result}"

    def call_text(self) -> str:
        """Such as `discount(quantity=10)`."""
        return f"{self.name}({', '.join(f'{name}={value}' for name, value in self.arguments)})"


def plugin_source() -> bytes:
    """The pytest plugin, to be written into the sandbox."""
    return resources.files("coder.workflows").joinpath("trace_plugin.py").read_bytes()


def trace_command(python: str, tests: Sequence[str]) -> str:
    """A bash script that runs `tests` under the plugin and prints the trace; the plugin's source is its standard input.

    It leaves nothing behind and prints nothing but the trace, which is at most a few hundred kilobytes.
    """
    targets = " ".join(shlex.quote(test) for test in tests)
    return (
        'd=$(mktemp -d) && cat > "$d/coder_trace_plugin.py" && '
        'CODER_TRACE="$d/trace.json" PYTHONPATH="$d${PYTHONPATH:+:$PYTHONPATH}" '
        f"timeout -k 1 {SECONDS} {python} -B -m pytest -q -p no:cacheprovider -p coder_trace_plugin {targets} >/dev/null 2>&1 </dev/null; "
        'cat "$d/trace.json"; rm -rf "$d"'
    )


def read_trace(text: str) -> tuple[Call, ...]:
    """The calls in a trace; what is no trace gives none. The text comes out of the sandbox and may be anything."""
    try:
        rows = json.loads(text[:MAX_TRACE])
        return tuple(_call(row) for row in rows)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ()


def _call(row: dict[str, object]) -> Call:
    arguments = row["arguments"]
    line = row["line"]
    if not isinstance(arguments, list) or not isinstance(line, int):
        raise TypeError("not a call")
    pairs = tuple((str(name)[:60], str(value)[:100]) for name, value in arguments)
    return Call(
        str(row["path"])[:500],
        line,
        str(row["name"])[:100],
        pairs,
        str(row["result"])[:100],
        str(row["test"]),
    )
