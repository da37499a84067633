"""The status line, for people who serve their models: what fits, the most important first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from coder.transcript.line import cells, clip
from coder.transcript.safe import first_line
from coder.tui.figures import Figures
from coder.tui.plate import BAD, CARE, DIM, PLAIN, STRONG, Piece, Row

NARROW = 70
"""Below this many columns the line has its short form."""

WIDE = 100
"""From this many on it names what the sandbox does not enforce; below, it counts."""

SEPARATOR = " │ "
BAR_CELLS = 7
FULL = 0.8
"""A context that is filled more than this is shown with care."""


@dataclass(frozen=True, slots=True)
class Field:
    """`rank` says what goes first when there is no room: the highest."""

    rank: int
    text: str
    style: str = PLAIN


def status_row(figures: Figures, mode: str, width: int, now: float) -> Row:
    """The line's pieces, at most `width` cells in all."""
    fields = _narrow(figures, mode) if width < NARROW else _wide(figures, mode, width, now)
    fields = [replace(field, text=clip(first_line(field.text), width // 2)) for field in fields if field.text]
    separator = " · " if width < NARROW else SEPARATOR
    while len(fields) > 1 and _cells(fields, separator) > width:
        fields.remove(max(fields, key=lambda field: field.rank))
    pieces: list[Piece] = [(" ", PLAIN)]
    for place, field in enumerate(fields):
        pieces += [(separator, DIM)] * bool(place) + [(field.text, field.style)]
    return pieces


def title_row(figures: Figures, width: int) -> Row:
    """The line above the transcript: the task at the left, model and place at the right."""
    right = first_line(" · ".join(filter(None, [figures.model, figures.place])))
    right = clip(right, width // 2)
    task = first_line(" ".join(figures.task.split()))
    left = clip(f" coder · {task}" if task else " coder", max(0, width - cells(right) - 3))
    rule = "─" * max(0, width - cells(left) - cells(right) - 3)
    return [(left, STRONG), (f" {rule} ", DIM), (right, DIM)]


def _cells(fields: list[Field], separator: str) -> int:
    return 1 + sum(cells(field.text) for field in fields) + len(separator) * (len(fields) - 1)


def _wide(figures: Figures, mode: str, width: int, now: float) -> list[Field]:
    changed = f"+{figures.added} -{figures.removed}" if figures.added or figures.removed else ""
    spent, allowed = figures.thinking
    thought = f"thought {spent}/{allowed}" if allowed else f"thought {spent}" if spent else ""
    timing = [_rate(figures, " tok/s"), _seconds("ttft", figures.first_token), _cache(figures)]
    return [
        Field(0, mode, STRONG),
        _sandbox(figures, short=width < WIDE),
        Field(1, _step(figures)),
        Field(3, _queue(figures), CARE),
        _context(figures),
        Field(4, timing[0]),
        Field(8, timing[1]),
        Field(7, timing[2]),
        Field(9, thought, DIM),
        Field(6, changed),
        Field(5, _clock(figures.seconds(now)) if figures.began else ""),
        Field(10, figures.doing, DIM),
    ]


def _narrow(figures: Figures, mode: str) -> list[Field]:
    used, limit = figures.context
    return [
        Field(0, mode, STRONG),
        _sandbox(figures, short=True),
        Field(1, _step(figures)),
        Field(2, f"{100 * used // limit}%" if used and limit else "", _full(figures)),
        Field(4, _rate(figures, "t/s")),
    ]


def _sandbox(figures: Figures, *, short: bool = False) -> Field:
    """Without a sandbox that is the last thing to leave the line."""
    if figures.sandbox in ("none", "unconfined"):
        return Field(0, "NO SANDBOX", BAD)
    if not figures.weak:
        return Field(3, figures.sandbox)
    weak = f"!{len(figures.weak)}" if short else f"not: {', '.join(figures.weak)}"
    return Field(3, f"{figures.sandbox} {weak}", CARE)


def _step(figures: Figures) -> str:
    turn, most = figures.turns
    return "" if not turn else f"step {turn}/{most}" if most else f"step {turn}"


def _queue(figures: Figures) -> str:
    waiting, running = figures.load or (0, 0)
    return f"queue {waiting}+{running}" if figures.load else ""


def _context(figures: Figures) -> Field:
    used, limit = figures.context
    if not used:
        return Field(2, "")
    if not limit:
        return Field(2, f"ctx {used}")
    filled = min(BAR_CELLS, round(BAR_CELLS * used / limit))
    bar = "▓" * filled + "░" * (BAR_CELLS - filled)
    return Field(2, f"ctx {bar} {100 * used // limit}% of {_thousands(limit)}", _full(figures))


def _full(figures: Figures) -> str:
    used, limit = figures.context
    return CARE if limit and used > FULL * limit else PLAIN


def _rate(figures: Figures, unit: str) -> str:
    about = "~" if figures.estimated else ""
    return f"{about}{figures.rate:.0f}{unit}" if figures.rate else ""


def _seconds(label: str, seconds: float) -> str:
    return f"{label} {seconds:.1f} s" if seconds else ""


def _cache(figures: Figures) -> str:
    return "" if figures.cache is None else f"cache {figures.cache:.0%}"


def _thousands(tokens: int) -> str:
    return f"{tokens // 1000}k" if tokens >= 10_000 else str(tokens)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
