"""The prefix-cache contract: our prompts only grow, so a healthy server has nearly all of each one cached already."""

from __future__ import annotations

from dataclasses import dataclass

from coder.model.messages import Usage

LONG = 9000
"""Tokens from which a prompt should hit every cache: vLLM's blocks for a hybrid model hold up to 8,320."""
_TURNS = 3


@dataclass(slots=True)
class CacheMeter:
    """Feed it the usage of each request of one conversation.

    `reusable` tokens were sent before and could have been cached; `cached` were, as the server says.
    """

    reusable: int = 0
    cached: int = 0
    _before: int = 0
    _missed: int = 0
    _silent: int = 0

    def note(self, usage: Usage) -> str:
        """Count one request; returns `off` or `unreported` once, when the contract is seen broken, else nothing."""
        reusable = min(self._before, usage.prompt)
        self._before = usage.prompt
        self.reusable += reusable
        self.cached += min(usage.cached, reusable)
        if reusable < LONG:
            return ""
        if not usage.cached_reported:
            self._silent += 1
            return "unreported" if self._silent == _TURNS else ""
        self._missed = self._missed + 1 if usage.cached == 0 else 0
        return "off" if self._missed == _TURNS else ""

    def rewritten(self) -> None:
        """The conversation was changed at an earlier place: nothing is reusable in the next request."""
        self._before = 0

    @property
    def rate(self) -> float | None:
        """The share of reusable tokens that were cached; None where nothing was reusable yet."""
        return self.cached / self.reusable if self.reusable else None
