"""What looks like a secret in a line of text. The forms of keys are those that their issuers document."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

_KEYS = {
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{60,}\b",
    "GitLab token": r"\bglpat-[\w-]{20,}\b",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}\b",
    "Google key": r"\bAIza[\w-]{35}\b",
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "NVIDIA key": r"\bnvapi-[\w-]{40,}\b",
    "API key": r"\bsk-(?:[a-z]+-)*[A-Za-z0-9_-]{20,}\b",
    "Stripe key": r"\b[rs]k_live_[A-Za-z0-9]{20,}\b",
    "package index token": r"\bpypi-[\w-]{50,}\b|\bnpm_[A-Za-z0-9]{36}\b",
    "signed token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "password in an address": r"\b[a-z][a-z0-9+.-]*://[^\s/:@'\"{}$<>]+:(?P<value>[^\s/@'\"{}$<>]{6,})@",
}
_ASSIGNED = (
    r"(?i:password|passwd|pwd|secret|token|api_?key|access_?key|private_?key|credential)s?[\"']?\s*[:=]{1,2}\s*"
    r"[\"'](?P<value>[^\"'\s]{8,})[\"']"
)
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in {**_KEYS, "assigned secret": _ASSIGNED}.items()}
_PLACEHOLDER = re.compile(
    r"(?i)example|placeholder|change_?me|your[_-]|dummy|fake|redacted|xxx|\*\*\*|\.\.\.|<.*>|\{.*\}|\$|%\("
)
_MIN_BITS = 3.0
"""Entropy of a character, in bits, from which an assigned value is taken for random rather than for a word."""


def secrets_in(line: str) -> Iterator[str]:
    """The kinds of secret that `line` seems to hold. Only the first 2,000 characters are read."""
    for kind, pattern in _PATTERNS.items():
        for match in pattern.finditer(line[:2000]):
            value = match.groupdict().get("value")
            if value is None or _is_random(value):
                yield kind
                break


def _is_random(value: str) -> bool:
    if _PLACEHOLDER.search(value):
        return False
    counts = Counter(value)
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    return bits >= _MIN_BITS and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
