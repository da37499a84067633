"""A server's own figures in Prometheus text: sums over all labels, and the labels of an info line."""

from __future__ import annotations

import re

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
