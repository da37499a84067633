"""An environment that could not be made: says nothing about any model."""

from __future__ import annotations

from coder.errors import CoderError


class EnvironmentFailed(CoderError):
    """What went wrong, in a sentence."""
