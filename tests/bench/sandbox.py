"""What a sandbox costs, against the bare engine: a command, a start, eight at once, memory while nothing runs.

    python -m tests.bench.sandbox [ROUNDS]

Everything is measured in turns, so that the machine's moods fall on all alike; ratios are of medians, and of the
quickest of each, which a busy machine distorts less.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from sandbox.base import Policy, Sandbox
from sandbox.docker import Docker
from tests.conftest import IMAGE, missing
from tests.sandboxes import make_sandbox, make_workspace

ROUNDS = 30
TOGETHER = 8
Action = Callable[[], Awaitable[object]]


async def main(rounds: int = ROUNDS) -> None:
    with tempfile.TemporaryDirectory(prefix="coder-bench-") as scratch:
        place = Path(scratch)
        kinds = ["bubblewrap", *([] if missing("docker") else ["docker"])]
        async with contextlib.AsyncExitStack() as held:
            boxes = {kind: await held.enter_async_context(_opened(kind, place / kind)) for kind in kinds}
            await _commands(boxes, rounds)
            await _together(held, boxes, place)
        await _starts(kinds, place, max(3, rounds // 3))
    if "docker" not in kinds:
        print(f"Docker is left out: {missing('docker')}")


@contextlib.asynccontextmanager
async def _opened(kind: str, directory: Path) -> AsyncIterator[Sandbox]:
    directory.mkdir()
    workspace = make_workspace(directory)
    sandbox = make_sandbox(kind, workspace, Policy())
    await sandbox.start()
    try:
        yield sandbox
    finally:
        await sandbox.close()
        workspace.close()


async def _commands(boxes: dict[str, Sandbox], rounds: int) -> None:
    actions: dict[str, Action] = {
        kind: lambda box=box: box.run("true", timeout=30)
        for kind, box in boxes.items()  # type: ignore[misc]
    }
    docker = boxes.get("docker")
    if isinstance(docker, Docker):
        container = _container(docker)
        actions["docker exec"] = lambda: _program("docker", "exec", container, "true")
    times = await _in_turns(actions, rounds)
    _report("one trivial command", times)
    _goal("bubblewrap, one command", statistics.median(times["bubblewrap"]) * 1000, 40, "ms")
    if docker:
        _ratio("docker against a bare docker exec", times["docker"], times["docker exec"], 1.3)
        _report("memory while nothing runs", {})
        print(f"{'docker':<24}{_memory(docker) / (1 << 20):>10.1f} MB in its control group")
    print(f"{'bubblewrap':<24}{0:>10.1f} MB: nothing runs between commands")


async def _starts(kinds: list[str], place: Path, rounds: int) -> None:
    """From nothing to the end of the first command, and the sandbox's removal apart."""
    workspace = make_workspace(_made(place / "starts"))

    async def once(kind: str) -> None:
        sandbox = make_sandbox(kind, workspace, Policy())
        await sandbox.start()
        leaving.append(sandbox)

    leaving: list[Sandbox] = []
    actions: dict[str, Action] = {kind: lambda kind=kind: once(kind) for kind in kinds}  # type: ignore[misc]
    if "docker" in kinds:
        actions["docker run"] = lambda: _program("docker", "run", "--rm", "--network", "none", IMAGE, "true")
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, seconds in (await _in_turns(actions, 1)).items():
            times[name] += seconds
        for sandbox in leaving:
            await sandbox.close()
        leaving.clear()
    workspace.close()
    _report("from nothing to ready", times)
    if "docker" in kinds:
        _ratio("docker against a bare docker run", times["docker"], times["docker run"], 1.5)


async def _together(held: contextlib.AsyncExitStack, boxes: dict[str, Sandbox], place: Path) -> None:
    """Eight commands at once in eight sandboxes, against one alone."""
    for kind, box in boxes.items():
        places = [place / f"{kind}-{number}" for number in range(1, TOGETHER)]
        eight = [box, *[await held.enter_async_context(_opened(kind, each)) for each in places]]

        async def all_at_once(eight: list[Sandbox] = eight) -> None:
            await asyncio.gather(*(each.run("true", timeout=60) for each in eight))

        actions: dict[str, Action] = {
            "one": lambda box=box: box.run("true", timeout=60),  # type: ignore[misc]
            "eight": all_at_once,
        }
        if isinstance(box, Docker):
            containers = [_container(each) for each in eight if isinstance(each, Docker)]

            async def bare(containers: list[str] = containers) -> None:
                await asyncio.gather(*(_program("docker", "exec", each, "true") for each in containers))

            actions["eight docker exec"] = bare
        times = await _in_turns(actions, 5)
        _report(f"{kind}: eight at once", times)
        if "eight docker exec" in times:
            _ratio("eight against eight bare", times["eight"], times["eight docker exec"], 1.3)
        print(
            f"eight take as long as {statistics.median(times['eight']) / statistics.median(times['one']):.1f} alone"
        )


async def _in_turns(actions: dict[str, Action], rounds: int) -> dict[str, list[float]]:
    """Seconds of each action in each round; one round more goes before, to warm up, when there are several."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(rounds + (rounds > 1)):
        for name, action in actions.items():
            began = time.perf_counter()
            await action()
            if number or rounds == 1:
                times[name].append(time.perf_counter() - began)
    return times


async def _program(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise SystemExit(f"{' '.join(words)} failed")


def _container(sandbox: Docker) -> str:
    assert sandbox._container is not None
    return sandbox._container.id


def _memory(sandbox: Docker) -> int:
    group = sandbox.control_group("memory")
    if group is None:
        return 0
    usage = next(
        path for name in ("memory.current", "memory.usage_in_bytes") if (path := group / name).exists()
    )
    return int(usage.read_text())


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _report(title: str, times: dict[str, list[float]]) -> None:
    print(f"\n{title}")
    for name, seconds in times.items():
        middle, least = statistics.median(seconds) * 1000, min(seconds) * 1000
        print(f"{name:<24}{middle:>10.0f} ms median{least:>10.0f} ms least")


def _ratio(what: str, ours: list[float], bare: list[float], goal: float) -> None:
    middle, least = statistics.median(ours) / statistics.median(bare), min(ours) / min(bare)
    print(f"{what + ':':<44}{middle:.2f} (least {least:.2f}; goal <= {goal})")


def _goal(what: str, value: float, goal: float, unit: str) -> None:
    print(f"{what + ':':<44}{value:.0f} {unit} (goal < {goal:g})")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
