"""How full the model's context is: counted by the server where it counts, else calibrated from its usage reports."""

from __future__ import annotations

from dataclasses import dataclass

from coder.model.thinking import estimate_tokens

_LEAST, _MOST = 1 / 8, 0.5
"""Tokens a character, at least and at most: code and prose have about 0.25, long rules of dashes few."""
_WORTH_A_LOOK = 1500


@dataclass(slots=True)
class Window:
    """Sizes in characters come in, tokens go out.

    `limit` is the context length in tokens, None where it is not known; `reserve` the tokens kept free for the
    answer, at most a quarter of the limit.
    """

    limit: int | None = None
    reserve: int = 0
    _tokens: int = 0
    _size: int = 0

    def expects(self, size: int) -> int:
        """The tokens of a prompt of `size` characters: what the server counted last, and the rest by its ratio."""
        if not self._size:
            return estimate_tokens(size)
        ratio = min(max(self._tokens / self._size, _LEAST), _MOST)
        return max(0, self._tokens + round((size - self._size) * ratio))

    def is_full(self, size: int) -> bool:
        """Whether a prompt of this size leaves too little room for an answer."""
        return self.limit is not None and self.expects(size) > self.limit - min(self.reserve, self.limit // 4)

    def told(self, size: int, tokens: int) -> None:
        """The server counted `tokens` for a prompt of `size` characters."""
        if tokens > 0 and size > 0:
            self._tokens, self._size = tokens, size

    def lost(self, size: int, tokens: int) -> bool:
        """Whether a server that read `tokens` must have dropped a part of a prompt of this size, and kept silent:
        what was added to an earlier prompt must show, at the least that text can come to."""
        if size < self._size:
            return False
        least = self._tokens + (size - self._size) * _LEAST
        return 0 < tokens < 0.9 * least and least > _WORTH_A_LOOK
