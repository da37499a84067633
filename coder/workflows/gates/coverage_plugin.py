"""A pytest plugin that notes which of some lines run: `-p coder_coverage_plugin`, CODER_LINES=<JSON file: path -> lines>.

It writes, to the same name with `.out`, path -> [lines among them that can run at all, lines that did]. It runs inside
the sandbox, in the repository's Python (3.8 or later): nothing of ours, nothing but pytest to import.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

import pytest

with open(os.environ["CODER_LINES"], encoding="utf-8") as _file:
    _wanted = {os.path.realpath(path): (path, set(lines)) for path, lines in json.load(_file).items()}
_ran: dict[str, set[int]] = {path: set() for path in _wanted}
_known: dict[str, str] = {}


def _place(filename: str) -> str:
    """The wanted file that `filename` is, or nothing."""
    if filename not in _known:
        path = os.path.realpath(filename)
        _known[filename] = path if path in _wanted else ""
    return _known[filename]


def _trace(frame: FrameType, event: str, argument: Any) -> Any:
    path = _place(frame.f_code.co_filename)
    if not path:
        return None
    ran = _ran[path]

    def note(frame: FrameType, event: str, argument: Any) -> Any:
        ran.add(frame.f_lineno)
        return note

    return note(frame, event, argument)


def _can_run(path: str) -> set[int]:
    try:
        with open(path, "rb") as file:
            codes = [compile(file.read(), path, "exec")]
    except (OSError, SyntaxError, ValueError):
        return set()
    lines: set[int] = set()
    while codes:
        code = codes.pop()
        lines.update(_lines_of(code))
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return lines


def _lines_of(code: CodeType) -> Iterator[int]:
    import dis

    for _, line in dis.findlinestarts(code):
        if line:
            yield line


def _traced() -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(_trace)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.hookimpl(hookwrapper=True)
def pytest_collection() -> Iterator[None]:
    """What runs while modules are imported counts, too."""
    yield from _traced()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    yield from _traced()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    threading.settrace(_trace)
    try:
        yield from _traced()
    finally:
        threading.settrace(None)


def pytest_sessionfinish() -> None:
    found = {
        name: [sorted(lines & _can_run(path)), sorted(lines & _ran[path])]
        for path, (name, lines) in _wanted.items()
    }
    with open(os.environ["CODER_LINES"] + ".out", "w", encoding="utf-8") as file:
        json.dump(found, file)
