"""The embedded model server: llama.cpp from a wheel, in a child process that is watched, on loopback."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from coder.errors import ModelUnavailable, UsageError
from coder.model import weights, wire
from coder.model.endpoint import warm_up

Report = Callable[[str], None]
CONTEXT = 16384
_CHILD = Path(__file__).with_name("embedded.py")
_LOAD_SECONDS = 600.0


class EmbeddedServer:
    """One model in one child process. Start it on the event loop's own thread: it dies when that thread ends.

    Args:
        weights: a GGUF file.
        port: 0 takes a free one.
        context: tokens, shared by all slots.
        slots: how many requests run side by side, each with its own cached prompt.
        threads: of the processor; 0 is one for each core that we may use.
    """

    def __init__(
        self,
        weights: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        context: int = CONTEXT,
        slots: int = 2,
        threads: int = 0,
    ) -> None:
        self.weights = weights
        self._settings = {
            "weights": str(weights),
            "name": model_name(weights),
            "host": host,
            "port": port,
            "context": context,
            "slots": slots,
            "threads": threads or cores(),
        }
        self._process: asyncio.subprocess.Process | None = None
        self._log: Path | None = None
        self.base_url = ""

    async def start(self, *, report: Report | None = None, timeout: float = _LOAD_SECONDS) -> str:
        """Load the model and wait until it answers; returns the base URL. `report` hears how long it takes.

        Raises:
            UsageError: the weights are bad, or the port is taken.
            ModelUnavailable: llama.cpp is not installed, or it died or hung; the hint names its log.
        """
        libraries = _library_folders()
        handle, name = tempfile.mkstemp(prefix="coder-llama-", suffix=".log")
        self._log = Path(name)
        settings = self._settings | {"libraries": libraries, "parent": os.getpid()}
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(_CHILD),
                json.dumps(settings),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=handle,
                env=_environment(),
                start_new_session=True,  # Ctrl-C reaches us, and we end it
            )
        finally:
            os.close(handle)
        try:
            self.base_url = await self._ready(report or _silent, timeout)
        except (UsageError, ModelUnavailable):
            await self.stop(keep_log=True)
            raise
        except asyncio.CancelledError:
            await self.stop()
            raise
        return self.base_url

    async def stop(self, *, keep_log: bool = False) -> None:
        """End the server. Its log goes too, unless it is wanted."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        log, self._log = self._log, None
        if log is not None and not keep_log:
            log.unlink(missing_ok=True)

    async def wait(self) -> int:
        """Wait until the server ends by itself; its exit status (negative: the signal)."""
        assert self._process is not None
        return await self._process.wait()

    def failure(self, why: str) -> UsageError | ModelUnavailable:
        """What to tell when the server died: its own last error."""
        log = self._log.read_text("utf-8", "replace") if self._log else ""
        if "couldn't bind" in log:
            port = self._settings["port"]
            return UsageError(
                f"port {port} is taken", hint="take another one with --port, 0 for any free one"
            )
        errors = [line for line in log.splitlines() if re.match(r"[\d.]+ E ", line) or "Error" in line]
        words = re.sub(r"^[\d.]+ E ", "", errors[0]).strip() if errors else "it said nothing"
        hint = f"its log is {self._log}"
        if "failed to load model" in log or "magic" in log:
            return UsageError(f"llama.cpp cannot load {self.weights}: {words}", hint=hint)
        return ModelUnavailable(f"the embedded model server {why}: {words}", hint=hint)

    async def _ready(self, report: Report, timeout: float) -> str:
        """Wait for the child's line, then for /health."""
        assert self._process is not None
        assert self._process.stdout is not None
        clock = asyncio.create_task(_tick(report, self._settings["name"]))
        try:
            async with asyncio.timeout(timeout):
                line = await self._process.stdout.readline()
        except TimeoutError as silence:
            raise self.failure(f"did not load its model within {timeout:.0f} s") from silence
        finally:
            clock.cancel()
        if not line:
            status = await self._process.wait()
            raise self.failure(
                f"ended with status {status}" if status > 0 else f"was killed by signal {-status}"
            )
        address = str(json.loads(line)["address"]).replace("//0.0.0.0:", "//127.0.0.1:")
        health = await wire.get(f"{address}/health", timeout=10.0)
        if health.status != 200:
            raise self.failure(f"does not answer ({health.problem or health.status})")
        return f"{address}/v1"


@asynccontextmanager
async def embedded(
    spec: str = "",
    *,
    context: int = CONTEXT,
    slots: int = 2,
    threads: int = 0,
    report: Report | None = None,
    progress: weights.Progress | None = None,
) -> AsyncIterator[str]:
    """The base URL of an embedded server for this block; its weights are fetched first where they are missing.

    `report` hears one sentence at a time, the announcement of a download among them; `progress` hears bytes.
    Raises what `weights.resolve` and `EmbeddedServer.start` raise.
    """
    tell = report or _silent
    warm_up()
    path = await _fetched(spec, tell, progress or weights.ProgressLine(tell))
    server = EmbeddedServer(path, context=context, slots=slots, threads=threads)
    try:
        yield await server.start(report=tell)
    finally:
        await server.stop()


def serve_forever(
    spec: str = "",
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    context: int = CONTEXT,
    slots: int = 2,
    threads: int = 0,
    report: Report = print,
) -> int:
    """`coder serve`: serve until Ctrl-C or SIGTERM; returns the exit status. Raises as `embedded` does."""
    return asyncio.run(_serve(spec, host, port, context, slots, threads, report))


async def _serve(
    spec: str, host: str, port: int, context: int, slots: int, threads: int, report: Report
) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    serving = asyncio.create_task(_serving(spec, host, port, context, slots, threads, report))
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        stopping.cancel()
        return serving.result()
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
    report("stopped")
    return 0


async def _serving(
    spec: str, host: str, port: int, context: int, slots: int, threads: int, report: Report
) -> int:
    if not wire.is_loopback(host):
        report(f"{host} is not this machine alone: whoever reaches the port may use the model, without a key")
    path = await _fetched(spec, report, weights.ProgressLine(report))
    server = EmbeddedServer(path, host=host, port=port, context=context, slots=slots, threads=threads)
    try:
        url = await server.start(report=report)
        report(f"serving {model_name(path)} at {url}   (Ctrl-C ends it)")
        report(f'try it: coder fix "failing test" --base-url {url}')
        status = await server.wait()
        raise server.failure(f"ended with status {status}")
    finally:
        await server.stop()


async def _fetched(spec: str, report: Report, progress: weights.Progress) -> Path:
    """`weights.resolve` in a thread; a cancelled task stops it."""
    stop = threading.Event()

    def announce(download: weights.Download) -> None:
        report(str(download))

    try:
        return await asyncio.to_thread(weights.resolve, spec, announce=announce, progress=progress, stop=stop)
    finally:
        stop.set()


def model_name(path: Path) -> str:
    """The name that the model is served under: the file's, without its quantisation."""
    stem = path.stem.lower()
    return re.sub(r"(-instruct)?[-_.](i?q\d\w*|f16|bf16|f32)$", "", stem) or stem


def cores() -> int:
    """Physical cores that this process may use: a second thread on a core slows llama.cpp down."""
    allowed = os.sched_getaffinity(0)
    physical = {_core(cpu) for cpu in allowed}
    return max(1, min(len(physical), _cpu_quota()))


def _core(cpu: int) -> tuple[str, str] | int:
    topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
    try:
        return (topology / "physical_package_id").read_text(), (topology / "core_id").read_text()
    except OSError:
        return cpu


def _cpu_quota() -> int:
    """Whole processors that the container's quota grants (cgroup v2)."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return sys.maxsize


def _environment() -> dict[str, str]:
    """OpenMP's threads spin while they wait for each other; on a busy machine that costs more than the work itself.
    Measured on two busy cores: 1 token a second with the default, 7 with a short spin; on two idle ones 19 with the
    default, 13 with a spin of 1,000, 22 with 100,000."""
    return {"GOMP_SPINCOUNT": "100000"} | os.environ


def _library_folders() -> list[str]:
    """Where the child finds xllamacpp: isolated mode leaves out the user's own site-packages."""
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(
            "the embedded model server (xllamacpp) is not installed here",
            hint="pip install xllamacpp, or start a model server of your own and name it with --base-url",
        )
    return [str(Path(folder).parent) for folder in spec.submodule_search_locations]


async def _tick(report: Report, name: object) -> None:
    report(f"loading {name}")
    seconds = 0
    while True:
        await asyncio.sleep(10)
        seconds += 10
        report(f"still loading {name} ({seconds} s)")


def _silent(_: str) -> None:
    """Nobody wants to hear."""
