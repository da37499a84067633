"""The window's costs from outside, as processor time: until it has been drawn, and while nothing happens.

The goals are for a machine of its own; the rivals' figures were measured with the same means, on a shared one.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

IDLE_AFTER, IDLE_FOR = 10.0, 20.0
FIRST_WORDS = b"? keys"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Costs:
    """Seconds of processor time until the first frame, wall seconds for the same, a share of one core when idle, and
    megabytes (proportional set size) then."""

    paint_cpu: float
    paint_wall: float
    idle: float
    memory_mb: float


def measure(place: Path) -> Costs:
    """Start the real program on a terminal of ours, without a model server. Nothing is pressed."""
    began = time.monotonic()
    child, terminal = pty.fork()
    if not child:
        environ = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": str(place), "LC_ALL": "C.UTF-8"}
        words = [sys.executable, "-m", "coder", "-C", str(place), "--base-url", "http://127.0.0.1:9/v1"]
        os.execve(sys.executable, words, environ)
    try:
        _read(terminal, until=FIRST_WORDS, seconds=30.0)
        paint_cpu, paint_wall = _processor_seconds(child), time.monotonic() - began
        _read(terminal, seconds=IDLE_AFTER)
        before = _processor_seconds(child)
        _read(terminal, seconds=IDLE_FOR)
        return Costs(paint_cpu, paint_wall, (_processor_seconds(child) - before) / IDLE_FOR, _memory(child))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def report(costs: Costs) -> None:
    print("\nthe window                        coder    goal    vibe 2  vibe 3    pi     opencode")
    print(
        f"processor seconds to first frame  {costs.paint_cpu:5.2f}    0.35    (2.2    2.3     1.4    6.7 in start + 4 s)"
    )
    print(f"wall seconds to first frame       {costs.paint_wall:5.2f}    0.45    3.4     0.11    2.2    5.4")
    print(f"idle, share of a core             {costs.idle:6.2%}  0.20%   0.50%   2.60%   0.00%  1.50%")
    print(f"memory when ready, MB             {costs.memory_mb:5.0f}    70      115     139     132    645")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="coder-bench-") as scratch:
        report(measure(Path(scratch)))


def _read(terminal: int, *, seconds: float, until: bytes = b"") -> None:
    """Take what is drawn, as a terminal would."""
    seen, deadline = b"", time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            seen = (seen + os.read(terminal, 65536))[-200_000:]
            if until and until in seen:
                return
    if until:
        raise SystemExit(f"the window did not show {until!r} within {seconds:.0f} s")


def _processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _memory(process: int) -> float:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    main()
