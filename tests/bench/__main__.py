"""`make bench`: speed and size as ratios, against mini-swe-agent where one can be had, and against the bare engine;
then the transcript's figures.

MINI=/path/to/mini names an installed one; otherwise one is installed into .bench/ (about 700 MB) when the package
registry answers, and its rows are left out when it does not.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from pathlib import Path

from tests.bench import sandbox, transcript, window
from tests.bench.startup import (
    Measured,
    large_repository,
    measure_coder,
    measure_mini,
    mini_binary,
    small_repository,
)

RUNS = 3


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="coder-bench-") as scratch:
        place = Path(scratch)
        small = small_repository(place / "small")
        large = large_repository(place / "large")
        mini = mini_binary()
        measured: dict[str, list[Measured]] = {"coder": [], "coder, 6900 files": [], "mini-swe-agent": []}
        for number in range(
            RUNS + 1
        ):  # in turns, so that the machine's moods fall on all alike; the first is a warm-up
            rows = {"coder": measure_coder(small, place), "coder, 6900 files": measure_coder(large, place)}
            if mini:
                rows["mini-swe-agent"] = measure_mini(mini, small, place)
            for name, row in rows.items() if number else ():
                measured[name].append(row)
    report({name: rows for name, rows in measured.items() if rows})
    asyncio.run(sandbox.main())
    window.main()
    transcript.report()


def report(measured: dict[str, list[Measured]]) -> None:
    middle = {name: Measured.median(rows) for name, rows in measured.items()}
    print(
        f"{'':<20}{'first request':>15}{'whole run':>12}{'peak memory':>13}{'first prompt':>14}{'per turn':>10}"
    )
    for name, row in middle.items():
        print(
            f"{name:<20}{row.first_request:>13.2f} s{row.whole:>10.2f} s{row.memory_mb:>10.0f} MB"
            f"{row.prompt_tokens:>7.0f} tokens{row.overhead_ms:>7.0f} ms"
        )
    ours, large = middle["coder"], middle["coder, 6900 files"]
    print()
    print(
        f"first request, 6900 files against 2:       {large.first_request / ours.first_request:.2f} (goal <= 1.5)"
    )
    print(f"overhead per turn beside the sandbox's:    {ours.overhead_ms:.0f} ms (goal < 50)")
    print(f"first prompt with tools:                   {ours.prompt_tokens:.0f} tokens (goal <= 1500)")
    print(f"requests that begin with the one before:   {ours.append_only:.0%} (goal 100%)")
    if "mini-swe-agent" in middle:
        mini = middle["mini-swe-agent"]
        print(
            f"first request against mini-swe-agent:      {ours.first_request / mini.first_request:.2f} (goal <= 0.33)"
        )
        print(
            f"peak memory against mini-swe-agent:        {ours.memory_mb / mini.memory_mb:.2f} (goal < 0.5)"
        )
    else:
        print("mini-swe-agent could not be had here: its ratios are left out")
    print(
        f"\n{RUNS} runs each, medians; spread of our first request "
        f"{statistics.stdev([row.first_request for row in measured['coder']]):.2f} s"
    )


if __name__ == "__main__":
    main()
