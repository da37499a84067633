"""Two runs of the same tasks, paired."""

from __future__ import annotations

import msgspec

from coder.errors import UsageError
from evals.folder import RunFolder
from evals.report.statistics import mcnemar
from evals.report.summary import Summary, summary
from evals.result import Status


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`p` is McNemar's, exact: how often chance alone makes such a difference, or a greater one, of first attempts."""

    first: Summary
    second: Summary
    paired: int
    both: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    neither: int
    p: float
    unpaired: tuple[str, ...]
    """Ids that only one run has a verdict for."""


def compare(first: RunFolder, second: RunFolder) -> Comparison:
    """Raises UsageError when the runs are of different data, or share no task that has a verdict in both."""
    one, two = first.run(), second.run()
    if one.sha256 != two.sha256:
        raise UsageError(
            f"{first.path} and {second.path} are of different data: {one.data} and {two.data}",
            hint="Only the same tasks can be compared.",
        )
    left, right = _verdicts(first), _verdicts(second)
    shared = [each for each in left if each in right]
    if not shared:
        raise UsageError(f"{first.path} and {second.path} have no task in common")
    only_first = tuple(each for each in shared if left[each] and not right[each])
    only_second = tuple(each for each in shared if right[each] and not left[each])
    both = sum(left[each] and right[each] for each in shared)
    return Comparison(
        first=summary(first),
        second=summary(second),
        paired=len(shared),
        both=both,
        only_first=only_first,
        only_second=only_second,
        neither=len(shared) - both - len(only_first) - len(only_second),
        p=mcnemar(len(only_first), len(only_second)),
        unpaired=tuple(sorted(left.keys() ^ right.keys())),
    )


def _verdicts(folder: RunFolder) -> dict[str, bool]:
    """First attempts whose server and environment held."""
    return {
        result.instance: result.status is Status.RESOLVED
        for result in folder.results()
        if result.attempt == 1 and not result.status.infrastructure
    }


def as_text(found: Comparison) -> str:
    """For a terminal, and for Markdown as it is."""
    a, b = found.both + len(found.only_first), found.both + len(found.only_second)
    lines = [
        f"A  {found.first.folder}: {_of(a, found.paired)}   {_name(found.first)}",
        f"B  {found.second.folder}: {_of(b, found.paired)}   {_name(found.second)}",
        f"both {found.both}, only A {len(found.only_first)}, only B {len(found.only_second)}, neither {found.neither}",
        f"McNemar, exact: p = {found.p:.3g}" + _verdict(found.p, b - a),
    ]
    lines += [f"  only A  {each}" for each in found.only_first]
    lines += [f"  only B  {each}" for each in found.only_second]
    if found.unpaired:
        lines.append(f"not compared, since one has no verdict: {', '.join(found.unpaired)}")
    lines += [f"{what}: A {x}, B {y}" for what, x, y in _costs(found.first, found.second)]
    return "\n".join(lines)


def _of(count: int, total: int) -> str:
    return f"{count} of {total} ({100 * count / total:.1f} %)"


def _name(found: Summary) -> str:
    return ", ".join(filter(None, (found.name, found.strategy)))


def _verdict(p: float, difference: int) -> str:
    if p >= 0.05 or difference == 0:
        return ": no difference is shown"
    return ": B is better" if difference > 0 else ": A is better"


def _costs(a: Summary, b: Summary) -> list[tuple[str, str, str]]:
    return [
        ("tokens written, an attempt", f"{a.tokens.median:.0f}", f"{b.tokens.median:.0f}"),
        ("seconds, an attempt", f"{a.wall.median:.1f}", f"{b.wall.median:.1f}"),
    ]
