"""Plots as SVG markup, coloured by the page's own style, each with its numbers as text too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

from evals.report.summary import Rate

WIDTH, ROW, LABEL = 720, 22, 220
_COLOURS = ("good", "accent", "care", "word", "bad", "faint")
BINS = 16


def rates(found: Mapping[str, Rate]) -> str:
    """A dot for each rate, with its 95 % interval as a bar, on an axis from 0 to 100 %."""
    scale = WIDTH - LABEL - 90
    height = ROW * len(found) + 24
    drawn = []
    for tick in (0, 25, 50, 75, 100):
        x = LABEL + scale * tick / 100
        drawn.append(f'<line x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{height - 18}" class="grid"/>')
        drawn.append(f'<text x="{x:.1f}" y="{height - 4}" class="label middle">{tick} %</text>')
    for number, (name, rate) in enumerate(found.items()):
        y = ROW * number + ROW // 2
        share = rate.resolved / rate.of if rate.of else 0.0
        low, high, dot = (LABEL + scale * value for value in (rate.low, rate.high, share))
        drawn.append(
            f'<text x="{LABEL - 8}" y="{y + 4}" class="label end">{escape(_short(name))}</text>'
            f'<line x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}" class="interval"/>'
            f'<circle cx="{dot:.1f}" cy="{y}" r="5" class="dot"/>'
            f'<text x="{WIDTH - 82}" y="{y + 4}" class="label">{rate.resolved}/{rate.of} {100 * share:.0f} %</text>'
        )
    return _svg(height, "Rates with their 95 % intervals", drawn)


def parts(
    found: Mapping[str, float],
    kinds: Mapping[str, str] | None = None,
    *,
    say: Callable[[float], str] = lambda value: f"{value:.0f}",
) -> str:
    """One bar, divided as the values are; below it what each part is."""
    total = sum(found.values())
    if total <= 0:
        return ""
    drawn, x = [], 0.0
    legend = []
    for number, (name, value) in enumerate(found.items()):
        kind = (kinds or {}).get(name) or _COLOURS[number % len(_COLOURS)]
        width = WIDTH * value / total
        shade = 1 - 0.12 * (number % 5)
        drawn.append(
            f'<rect x="{x:.1f}" y="0" width="{width:.1f}" height="20" fill-opacity="{shade:.2f}" class="fill-{kind}">'
            f"<title>{escape(name)}: {escape(say(value))}</title></rect>"
        )
        legend.append(f'<span class="key-{kind}">■ {escape(name)} {escape(say(value))}</span>')
        x += width
    return _svg(20, "Shares", drawn) + f'<p class="legend">{" ".join(legend)}</p>'


def histogram(title: str, values: Sequence[float]) -> str:
    """How often what was seen."""
    if not values:
        return ""
    most = max(values)
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int(BINS * value / most)) if most else 0] += 1
    step, top = WIDTH / BINS, max(counts)
    drawn = [
        f'<rect x="{number * step + 1:.1f}" y="{120 - 110 * count / top:.1f}" width="{step - 2:.1f}" '
        f'height="{110 * count / top:.1f}" class="fill-accent"><title>{count}</title></rect>'
        for number, count in enumerate(counts)
    ]
    drawn += [
        f'<text x="{WIDTH * share:.0f}" y="138" class="label {anchor}">{most * share:.4g}</text>'
        for share, anchor in ((0.0, ""), (0.5, "middle"), (1.0, "end"))
    ]
    return f"<figure><figcaption>{escape(title)}</figcaption>{_svg(144, title, drawn)}</figure>"


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"


def _svg(height: int, label: str, drawn: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}" '
        f'preserveAspectRatio="xMinYMin meet">{"".join(drawn)}</svg>'
    )
