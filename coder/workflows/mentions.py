"""`@path` in what a user writes: the file is named as it stands, and a small one is attached as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from coder.agent.inbox import without_forgery

MENTION = re.compile(r"(?<![\w@/.])@([^\s@'\"`,;:()\[\]{}<>]+)")
_FILE_BYTES = 8 * 1024
_ALL_BYTES = 32 * 1024
_FORGED = re.compile(r"<(?=\s*/?\s*file\b)", re.IGNORECASE)


def mentioned(text: str, known: Collection[str]) -> tuple[str, ...]:
    """The paths of `known` that `text` mentions, in its order. A full stop at the end belongs to the sentence."""
    found: dict[str, None] = {}
    for match in MENTION.finditer(text):
        path = match[1].removeprefix("./")
        for candidate in (path, path.rstrip(".!?")):
            if candidate in known:
                found[candidate] = None
                break
    return tuple(found)


def with_attachments(text: str, paths: tuple[str, ...], read: Callable[[str], bytes | None]) -> str:
    """`text` with the small text files among `paths` after it. `read` gives None for what cannot be read."""
    parts = [text]
    room = _ALL_BYTES
    for path in paths:
        data = read(path)
        if data is None or len(data) > min(room, _FILE_BYTES) or b"\0" in data:
            continue
        room -= len(data)
        content = without_forgery(_FORGED.sub("‹", data.decode("utf-8", "replace")))
        parts.append(f'<file path="{path}">\n{content.rstrip()}\n</file>')
    return "\n\n".join(parts)
