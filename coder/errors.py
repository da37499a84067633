"""The exception tree.

CoderError                     exit status
├── UsageError                 2    the command line, the task or the repository cannot be used
│   └── ConfigError            2    a configuration file or variable is wrong; names file and key
├── LimitReached               3    a cap on turns, tokens, time or identical failures
├── ModelError                 4    the model server failed
│   ├── ModelUnavailable       4    refused, still loading, overloaded, timed out: worth a retry
│   ├── ModelRejected          4    the server refused the request: the same request would fail again
│   ├── ContextOverflow        4    the prompt does not fit; masking and a retry may help
│   └── StreamBroken           4    the answer ended in the middle, or was not what the protocol says
├── NoSandbox                  5    nothing on this machine can isolate commands
└── Interrupted                130  Ctrl-C

A tool that fails is a result for the model, never an exception. Errors of the sandbox room
(`sandbox.errors.SandboxError`) become `NoSandbox` or a tool result where they cross into this package.
"""

from __future__ import annotations

from typing import ClassVar


class CoderError(Exception):
    """The base of everything that this program raises on purpose.

    `hint` says in one line what the user can do next; faces print it under the message.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(CoderError):
    exit_status = 2


class ConfigError(UsageError):
    pass


class LimitReached(CoderError):
    """`kind` is one of turns, tokens, seconds, thinking, failures, stuck."""

    exit_status = 3

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ModelError(CoderError):
    """`status` is the HTTP status where there was one."""

    exit_status = 4

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ModelUnavailable(ModelError):
    pass


class ModelRejected(ModelError):
    pass


class ContextOverflow(ModelError):
    """`limit` is the server's context length in tokens where it told."""

    def __init__(self, message: str, *, limit: int | None = None, status: int | None = None) -> None:
        super().__init__(message, status=status)
        self.limit = limit


class StreamBroken(ModelError):
    pass


class NoSandbox(CoderError):
    exit_status = 5


class Interrupted(CoderError):
    exit_status = 130
