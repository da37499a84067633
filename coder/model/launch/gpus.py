"""The GPUs of this machine, as nvidia-smi tells."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from coder.errors import UsageError

_QUERY = ["--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
_PATIENCE = 20.0
"""Seconds. Without persistence mode the driver wakes every GPU first, which takes several on a full node."""

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Gpu:
    """`index` as in PCI bus order; `total` and `free` in bytes."""

    index: int
    name: str
    total: float
    free: float


def read_gpus(
    *, timeout: float = _PATIENCE, hint: str = "", memory: Path = Path("/proc/meminfo")
) -> list[Gpu]:
    """Every GPU that nvidia-smi lists.

    Args:
        hint: what an error says that the user can do instead.
        memory: where a GPU that shares the machine's memory (DGX Spark) is looked up: nvidia-smi answers [N/A] there.

    Raises:
        UsageError: nvidia-smi is missing, hangs, fails, or says nothing that can be understood.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        raise UsageError("there is no nvidia-smi on this machine, so its GPUs are not known", hint=hint)
    answer = _ask(program, timeout, hint)
    gpus: list[Gpu] = []
    for row in csv.reader(line for line in answer.splitlines() if line.strip()):
        gpu = _gpu(len(gpus), [cell.strip() for cell in row], memory)
        if gpu is None:
            raise UsageError(f"nvidia-smi said {_plain(','.join(row))!r}, which is no GPU", hint=hint)
        gpus.append(gpu)
    if not gpus:
        raise UsageError("nvidia-smi lists no GPU", hint=hint)
    return gpus


def _ask(program: str, timeout: float, hint: str) -> str:
    try:
        process = subprocess.Popen(
            [program, *_QUERY],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as problem:
        raise UsageError(f"nvidia-smi does not start: {problem}", hint=hint) from problem
    with process:
        try:
            answer, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as silence:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise UsageError(f"nvidia-smi did not answer within {timeout:g} s", hint=hint) from silence
    if process.returncode != 0:
        words = _plain(answer.strip().splitlines()[0]) if answer.strip() else "it said nothing"
        raise UsageError(f"nvidia-smi failed (status {process.returncode}): {words}", hint=hint)
    return answer


def _gpu(index: int, cells: list[str], memory: Path) -> Gpu | None:
    """A row, or None when it is not one."""
    if len(cells) != 3 or not cells[0]:
        return None
    name, total, free = _plain(cells[0]), cells[1], cells[2]
    if total == free == "[N/A]":
        shared = _shared_memory(memory)
        return Gpu(index, name, *shared) if shared else None
    if not (total.isascii() and total.isdigit() and free.isascii() and free.isdigit()) or int(total) == 0:
        return None
    return Gpu(index, name, float(int(total) * _MIB), float(min(int(free), int(total)) * _MIB))


def _shared_memory(path: Path) -> tuple[float, float] | None:
    """Bytes of the machine's own memory, all and available."""
    with suppress(OSError):
        found = dict(re.findall(r"^(\w+):\s+(\d+) kB$", path.read_text("ascii"), re.MULTILINE))
        if "MemTotal" in found and "MemAvailable" in found:
            return int(found["MemTotal"]) * 1024.0, int(found["MemAvailable"]) * 1024.0
    return None


def _plain(text: str) -> str:
    """One line that is safe in a comment of a shell script."""
    return "".join(each if each.isprintable() else "?" for each in text)[:200]
