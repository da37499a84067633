"""What can go wrong in these rooms; callers above turn these into their own errors or into tool results."""

from __future__ import annotations


class SandboxError(Exception):
    """Something about the sandbox failed; `hint` says in one line what the user can do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SandboxUnavailable(SandboxError):
    """This backend cannot be used on this machine (no engine, no image, no user namespaces …)."""


class ManifestProblem(SandboxError):
    """A file that says what a project needs, such as pyproject.toml, cannot be understood."""


class FileRefused(SandboxError):
    """A path or a file that the host will not touch: outside the workspace, a link, a device, too large."""


class PatchRefused(SandboxError):
    """A patch that may not be applied; `reasons` lists every one."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons
