"""A server's own figures as the probes read them, and what they give away."""

from __future__ import annotations

import re

from coder.model import wire
from coder.model.endpoint import Endpoint
from coder.model.figures import Figures

_SECONDS = 5.0


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
