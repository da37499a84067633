"""A pytest plugin that records the repository's own calls during the tests: `-p trace_plugin`, CODER_TRACE=<file to write>.

It runs inside the sandbox, in the repository's Python (3.8 or later): nothing of ours, nothing but pytest to import.
"""

from __future__ import annotations

import dis
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import pytest

MAX_CALLS = 600
MAX_CALLS_OF_A_TEST = 120
MAX_VALUE = 70
_GENERATOR = 0x20 | 0x80 | 0x200

_calls: list[dict[str, Any]] = []
_root = os.getcwd() + os.sep


def _show(value: Any) -> str:
    """A short text for a value; objects without a text of their own show their attributes."""
    try:
        text = repr(value)
        if re.search(r"^<\S+ object at 0x[0-9a-f]+>$", text):
            inner = ", ".join(f"{name}={item}" for name, item in getattr(value, "__dict__", {}).items())
            text = f"{type(value).__name__}({inner})"
    except Exception:  # noqa: BLE001 - a repr of the repository's own may raise anything; the trace goes on
        return "?"
    text = re.sub(r" at 0x[0-9a-f]+", "", " ".join(text.split()))
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _is_ours(code: CodeType) -> bool:
    path = code.co_filename
    return path.startswith(_root) and "site-packages" not in path and not code.co_name.startswith("<")


def _arguments(frame: FrameType) -> list[tuple[str, str]]:
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames[:count]
    return [(name, _show(frame.f_locals[name])) for name in names if name in frame.f_locals]


def _raised(frame: FrameType) -> bool:
    """Whether a frame that "returns" None is in fact left by an exception."""
    instruction = frame.f_code.co_code[frame.f_lasti]
    return not dis.opname[instruction].startswith(("RETURN", "YIELD", "INSTRUMENTED", "RESUME"))


class _Recorder:
    def __init__(self, test: str) -> None:
        self.test = test
        self.count = 0
        self.open: dict[int, dict[str, Any]] = {}
        self.previous: Callable[..., Any] | None = None

    def __call__(self, frame: FrameType, event: str, value: Any) -> None:
        if event not in {"call", "return"} or not _is_ours(frame.f_code):
            return
        if self.count >= MAX_CALLS_OF_A_TEST or len(_calls) >= MAX_CALLS:
            sys.setprofile(self.previous)
            return
        sys.setprofile(None)
        try:
            self._record(frame, event, value)
        finally:
            sys.setprofile(self)

    def _record(self, frame: FrameType, event: str, value: Any) -> None:
        code = frame.f_code
        if event == "call":
            path = code.co_filename[len(_root) :].replace(os.sep, "/")
            call = {
                "path": path,
                "line": code.co_firstlineno,
                "name": code.co_name,
                "arguments": _arguments(frame),
            }
            self.open.setdefault(id(frame), call)
            return
        call = self.open.pop(id(frame), {})
        if not call:
            return
        if code.co_flags & _GENERATOR:
            call["result"] = ""
        elif value is None and _raised(frame):
            call["result"] = "raises"
        else:
            call["result"] = _show(value)
        call["test"] = self.test
        self.count += 1
        _calls.append(call)
        if self.count in {20, 100}:
            _write()


def _write() -> None:
    with open(os.environ["CODER_TRACE"], "w", encoding="utf-8") as file:
        json.dump(_calls, file)


def _recorded(item: pytest.Item) -> Iterator[None]:
    recorder = _Recorder(item.nodeid)
    recorder.previous = sys.getprofile()
    sys.setprofile(recorder)
    try:
        yield
    finally:
        sys.setprofile(recorder.previous)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    yield from _recorded(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    yield from _recorded(item)


def pytest_sessionfinish() -> None:
    _write()
