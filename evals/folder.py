"""A run's folder on the disk. Every file is whole or not there.

DIR/run.json                                  `Run`
DIR/instances/ID/ATTEMPT/result.json          `Result`: written last, so its presence says that the attempt is done
DIR/instances/ID/ATTEMPT/worked.json          `Worked`: the agent is done, a grading may not be
DIR/instances/ID/ATTEMPT/journal.jsonl        the run's events
DIR/instances/ID/ATTEMPT/patch.diff           the model's patch
DIR/instances/ID/ATTEMPT/tests.txt            what the grading printed, cut to a size for reading
DIR/preds.jsonl, preds-2.jsonl …              predictions of attempt 1, 2 …, as the official harness takes them
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from coder.errors import UsageError
from evals.result import Result, Run, Worked

_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


def write_whole(path: Path, data: bytes) -> None:
    """Write beside `path` and rename, so that nobody ever reads half of it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class RunFolder:
    """Reads and writes a run's folder. Raises UsageError for one that is none, OSError for the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def place(self, instance: str, attempt: int) -> Path:
        """The folder of one attempt. An id is made fit for a file name."""
        return self.path / "instances" / _UNSAFE.sub("_", instance).lstrip(".") / str(attempt)

    def run(self) -> Run:
        path = self.path / "run.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Run)
        except FileNotFoundError:
            raise UsageError(f"{self.path} is no evaluation run: it has no run.json") from None
        except msgspec.DecodeError as error:
            raise UsageError(f"{path} cannot be read: {error}") from error

    def begin(self, run: Run) -> None:
        write_whole(self.path / "run.json", msgspec.json.format(msgspec.json.encode(run)))

    def result(self, instance: str, attempt: int) -> Result | None:
        """What came of an attempt; None when it is not done, or its file is damaged."""
        try:
            data = (self.place(instance, attempt) / "result.json").read_bytes()
            return msgspec.json.decode(data, type=Result)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def results(self) -> Iterator[Result]:
        """Every attempt that is done, in the run's own order."""
        run = self.run()
        for instance in run.instances:
            for attempt in range(1, run.attempts + 1):
                if (found := self.result(instance, attempt)) is not None:
                    yield found

    def keep(self, result: Result) -> None:
        path = self.place(result.instance, result.attempt) / "result.json"
        write_whole(path, msgspec.json.format(msgspec.json.encode(result)))

    def keep_work(self, worked: Worked) -> None:
        path = self.place(worked.result.instance, worked.result.attempt) / "worked.json"
        write_whole(path, msgspec.json.encode(worked))

    def work(self, instance: str, attempt: int) -> Worked | None:
        """What an agent left to be graded, if that says something about the model."""
        try:
            data = (self.place(instance, attempt) / "worked.json").read_bytes()
            worked = msgspec.json.decode(data, type=Worked)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return None if worked.infrastructure else worked
