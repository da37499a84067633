"""What may be done without asking, what is asked, and what can be answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


class Mode(StrEnum):
    """From the narrowest to the widest. Reading never asks."""

    PLAN = "plan"
    """Reading only; everything else is refused."""
    ASK = "ask"
    """Edits and commands ask."""
    EDITS = "edits"
    """Edits pass, commands ask."""
    AUTO = "auto"
    """Everything passes, in the sandbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """A call that waits for the user."""

    id: str
    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)
    what: str = ""
    """The command, or the path of the edited file."""
    cwd: str = ""
    why: str = ""
    """Why it is asked, in a few words."""
    diff: str = ""
    """What an edit would change."""
    prefix: str = ""
    """A rule that would fit; empty where no rule can be sure."""
    session: str = ""
    """What an answer for the whole session covers, in words."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Made by `once`, `session`, `prefix` and `no`. `text` is the prefix rule, or the reason against."""

    kind: Literal["once", "session", "prefix", "no"]
    text: str = ""

    @classmethod
    def once(cls) -> Answer:
        return cls("once")

    @classmethod
    def session(cls) -> Answer:
        """Also for what ApprovalRequest.session names, until the session ends."""
        return cls("session")

    @classmethod
    def prefix(cls, rule: str) -> Answer:
        """Also for every command that begins with these words, until the session ends."""
        return cls("prefix", rule)

    @classmethod
    def no(cls, reason: str = "") -> Answer:
        """The model is told `reason`."""
        return cls("no", reason)
