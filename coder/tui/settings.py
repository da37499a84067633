"""What the user chose about the window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user chose. `state` is the folder for what outlives sessions, `folder` this session's own."""

    state: Path
    folder: Path
    theme: str = ""
    themes: Path | None = None
    """The folder of the user's own themes."""
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    mouse: bool = True
