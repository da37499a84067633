"""What a person has typed: the texts sent before, and the one not sent yet, which outlives a crash."""

from __future__ import annotations

import json
import os
from pathlib import Path

HISTORY_FILE, DRAFT_FILE = "history.jsonl", "draft.txt"
MAX_HISTORY = 1000
MAX_HISTORY_BYTES = 4 * 1024 * 1024
MAX_DRAFT_BYTES = 1024 * 1024


class History:
    """The texts sent, oldest first, shared by all sessions. A disk that refuses costs the history, nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.texts = _read_history(path)
        self._at = len(self.texts)
        self._draft = ""

    def add(self, text: str) -> None:
        """Remember `text`, once where it is sent twice in a row. One write: sessions side by side lose nothing."""
        if text and text != (self.texts[-1] if self.texts else ""):
            self.texts.append(text)
            _append(self._path, json.dumps(text, ensure_ascii=True) + "\n")
        self._at = len(self.texts)

    def earlier(self, current: str) -> str | None:
        """The text before the one shown, None at the oldest. `current` is kept for the way back."""
        if self._at == len(self.texts):
            self._draft = current
        if self._at == 0:
            return None
        self._at -= 1
        return self.texts[self._at]

    def later(self) -> str | None:
        """The text after the one shown; at last what was being written; None there."""
        if self._at >= len(self.texts):
            return None
        self._at += 1
        return self._draft if self._at == len(self.texts) else self.texts[self._at]


class Draft:
    """The unsent text, in the session's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / DRAFT_FILE

    def move(self, folder: Path) -> None:
        """Keep it in another folder from now on."""
        if (path := folder / DRAFT_FILE) != self._path:
            text = self.load()
            self.save("")
            self._path = path
            if text:
                self.save(text)

    def load(self) -> str:
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_DRAFT_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    def save(self, text: str) -> None:
        """Replace the draft at once; an empty one is removed. Errors are no reason to disturb the typing."""
        beside = self._path.with_suffix(".new")
        try:
            if not text:
                self._path.unlink(missing_ok=True)
                return
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(text.encode("utf-8", "replace")[:MAX_DRAFT_BYTES])
            beside.replace(self._path)
        except OSError:
            return


def _read_history(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - MAX_HISTORY_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return []
    texts = []
    for line in lines[-MAX_HISTORY:]:
        try:
            text = json.loads(line)
        except ValueError:
            continue
        if isinstance(text, str):
            texts.append(text)
    return texts


def _append(path: Path, line: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        os.write(descriptor, line.encode())
    except OSError:
        return
    finally:
        os.close(descriptor)
