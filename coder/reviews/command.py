"""From the flags of `coder review` to an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from coder import headless
from coder.errors import UsageError
from coder.model.endpoint import warm_up
from coder.reviews.output import FORMS, blocking, heard
from coder.start import new_request, run_until_interrupted
from coder.workflows.review.run import review

MAX_PATCH_BYTES = 50_000_000


def reviewed(flags: Mapping[str, Any]) -> int:
    """Review as the flags say; 0 for nothing found, 1 for findings. Raises CoderError."""
    warm_up()
    request = new_request("run", flags["task"], flags["directory"], flags, os.environ)
    request = replace(request, verify=flags["tests"])
    patch = _patch(flags["diff"]) if flags["diff"] else None
    progress = headless.Progress(sys.stderr, plain=flags["plain"])
    with closing(progress):
        found = run_until_interrupted(
            review(request, flags["base"], patch, *([] if flags["quiet"] else [progress]))
        )
    if text := FORMS[flags["format"]](found):
        headless.write_result(text)
    return int(blocking(heard(found.verdict)))


def _patch(path: Path) -> bytes:
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_PATCH_BYTES:
        raise UsageError(f"{path} is larger than {MAX_PATCH_BYTES // 10**6} MB")
    if not data.strip():
        raise UsageError(f"{path} is empty")
    return data
