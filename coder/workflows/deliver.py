"""Handing over a patch: to a file always, to the user's tree or a branch only when asked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from coder.errors import UsageError
from coder.workflows.request import Request
from sandbox.errors import PatchRefused, SandboxError
from sandbox.workspace import Workspace

PATCH_FILE = "patch.diff"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where the patch went; `problem` says what was asked for and could not be done."""

    applied: bool = False
    branch: str = ""
    problem: str = ""


def keep(patch: bytes, request: Request) -> Path:
    """Write the patch into the session and, when asked, to the user's own file. Returns the session's."""
    kept = request.session / PATCH_FILE
    for path in filter(None, (kept, request.patch)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = path.with_name(f".{path.name}.{os.getpid()}")
            whole.write_bytes(patch)
            whole.replace(path)
        except OSError as error:
            raise UsageError(f"the patch cannot be written to {path}: {error.strerror}") from error
    return kept


def deliver(workspace: Workspace, request: Request, message: str, *, apply: bool) -> Delivery:
    """Apply an accepted change as a whole or not at all, and commit it to a branch when one is named."""
    applied, branch = False, ""
    try:
        if request.branch:
            workspace.write_branch(request.branch, message=message)
            branch = request.branch
        if apply:
            workspace.apply_to_source()
            applied = True
    except (PatchRefused, SandboxError) as error:
        return Delivery(applied, branch, str(error))
    return Delivery(applied, branch)
