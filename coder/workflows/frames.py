"""The places in this repository that a traceback passes, as Python and pytest print them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

_FRAME = re.compile(r"^(?:E\s+)?(?:File \")?([^\s:\"]+\.py)(?:\", line |:)(\d+)", re.MULTILINE)


def frames(output: str, files: Collection[str]) -> Iterator[tuple[str, int]]:
    """(file, line from 1) of each place in the traceback that lies in one of `files`, outermost first."""
    for match in _FRAME.finditer(output):
        written = match[1]
        path = next((p for p in files if written == p or written.endswith("/" + p)), None)
        if path:
            yield path, int(match[2])
