"""Which instances of a data set: by id, by pattern, a slice, a sample."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import click

from coder.errors import UsageError
from evals.instance import Dataset, Instance

OPTIONS = (
    click.option("--ids", metavar="ID,…", default="", help="Only these instances, in this order."),
    click.option("--match", metavar="REGEX", default="", help="Only instances whose id this matches."),
    click.option(
        "--slice", "part", metavar="A:B", default="", help="Of those, from A up to B, as Python slices."
    ),
    click.option("--limit", type=click.IntRange(1), metavar="N", help="Of those, N by chance."),
    click.option("--seed", type=int, default=0, show_default=True, help="What that chance starts from."),
)


def choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options above."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def choose(
    data: Dataset, *, ids: str, match: str, part: str, limit: int | None, seed: int
) -> tuple[Instance, ...]:
    """The chosen instances, in the set's order but for `ids`. Raises UsageError when none is left, or for an unknown id."""
    chosen = list(data.instances)
    if ids:
        known = {each.id: each for each in chosen}
        wanted = [name.strip() for name in ids.split(",") if name.strip()]
        if unknown := [name for name in wanted if name not in known]:
            raise UsageError(f"{data.name} has no instance {unknown[0]}")
        chosen = [known[name] for name in dict.fromkeys(wanted)]
    if match:
        try:
            pattern = re.compile(match)
        except re.error as error:
            raise UsageError(f"--match: {error}") from error
        chosen = [each for each in chosen if pattern.search(each.id)]
    if part:
        chosen = chosen[_slice(part)]
    if limit is not None and limit < len(chosen):
        kept = set(random.Random(seed).sample(range(len(chosen)), limit))  # noqa: S311 - a sample, no secret
        chosen = [each for place, each in enumerate(chosen) if place in kept]
    if not chosen:
        raise UsageError("no instance is left to run", hint=f"{data.name} has {len(data.instances)}.")
    return tuple(chosen)


def _slice(text: str) -> slice:
    parts = text.split(":")
    if not 2 <= len(parts) <= 3 or not all(re.fullmatch(r"-?\d*", each) for each in parts):
        raise UsageError(f"--slice: {text!r} is no slice", hint="Such as 0:50 or 100:.")
    return slice(*(int(each) if each not in ("", "-") else None for each in parts))
