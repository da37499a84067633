"""A server's own figures in Prometheus text: sums over all labels, and the labels of an info line."""

from __future__ import annotations

import re

from coder.model import wire
from coder.model.endpoint import Endpoint

_SECONDS = 5.0
_LINE = re.compile(r"^([A-Za-z_:][\w:]*)(\{[^\n]*\})?\s+([0-9.eE+-]+)", re.MULTILINE)


class Figures:
    """Empty where the server publishes none."""

    def __init__(self, text: str = "") -> None:
        self._lines = [(name, labels, float(value)) for name, labels, value in _LINE.findall(text)]

    def __bool__(self) -> bool:
        return bool(self._lines)

    def sum(self, *names: str) -> float | None:
        """The sum of the figures of these names over all labels; None when there is none."""
        found = [value for name, _, value in self._lines if name in names]
        return sum(found) if found else None

    def has(self, beginning: str) -> bool:
        return any(name.startswith(beginning) for name, _, _ in self._lines)

    def label(self, name: str, label: str) -> str:
        """A label's value in the first line of that name; empty when there is none."""
        for each, labels, _ in self._lines:
            if each == name and (found := re.search(rf'\b{re.escape(label)}="([^"]*)"', labels)):
                return found.group(1)
        return ""


async def read(endpoint: Endpoint) -> Figures:
    """What `/metrics` says now. Never raises for what the server does."""
    root = endpoint.base_url.removesuffix("/v1")
    for path in endpoint.backend.traits.load:
        if path.endswith("/metrics"):
            answer = await wire.get(root + path, api_key=endpoint.api_key, timeout=_SECONDS)
            figures = Figures(answer.body.decode("utf-8", "replace") if answer.status == 200 else "")
            if figures:
                return figures
    return Figures()


def speculates(figures: Figures) -> bool:
    """Whether vLLM drafts tokens: it publishes these figures only then (v1/spec_decode/metrics.py)."""
    return figures.has("vllm:spec_decode_")


def before(version: str, release: tuple[int, int]) -> bool:
    """Whether a version is older than a release; no for one that cannot be read."""
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) < release
