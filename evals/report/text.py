"""A report for standard output: one line, Markdown, or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from coder.transcript.words import duration
from evals.report.summary import Rate, Summary
from evals.result import Seconds, Status

SIGNS = {Status.RESOLVED: "✓", Status.SERVER_ERROR: "!", Status.ENVIRONMENT_ERROR: "!"}


def as_json(found: Sequence[Summary]) -> str:
    return msgspec.json.format(msgspec.json.encode(list(found))).decode()


def percent(rate: Rate) -> str:
    share = 100 * rate.resolved / rate.of if rate.of else 0.0
    return f"{rate.resolved} of {rate.of} ({share:.1f} %, 95 % interval {100 * rate.low:.1f}-{100 * rate.high:.1f} %)"


def in_short(found: Summary) -> str:
    """The score, and what else was."""
    others = ", ".join(f"{count} {status}" for status, count in found.statuses.items())
    lines = [f"resolved {percent(found.rate)}: {others}"]
    if found.attempts > 1:
        lines.append(f"over {found.attempts} attempts each: {_repeated(found)}")
    spent = found.spent
    lines.append(
        f"{spent.prompt_tokens} prompt tokens ({spent.cached_tokens} cached), {spent.completion_tokens} written, "
        f"{duration(found.span)}"
    )
    if found.findings:
        lines.append(f"{len(found.findings)} attempts did what a score should not count: see the report")
    return "\n".join(lines)


def _repeated(found: Summary) -> str:
    parts = [f"{100 * found.mean:.1f} % on average"]
    parts += [f"pass@{k} {100 * value:.1f} %" for k, value in found.pass_at.items() if k > 1]
    parts += [f"pass^{k} {100 * value:.1f} %" for k, value in found.pass_all.items() if k > 1]
    best = found.best_of
    parts.append(f"best of {found.attempts} by “{found.selector}” {best.resolved} of {best.of}")
    return ", ".join(parts)


def as_markdown(found: Summary) -> str:
    """The whole report of one run."""
    return "\n".join(_markdown(found)) + "\n"


def _markdown(found: Summary) -> Iterator[str]:
    yield f"# {_cell(found.name or found.folder)} on {_cell(found.data)}"
    yield ""
    yield f"Resolved **{percent(found.rate)}**."
    if found.attempts > 1:
        yield f"{found.attempts} attempts each: {_repeated(found)}."
    yield ""
    yield from _table(("What", "Value"), _facts(found))
    yield from _headed(
        "How attempts ended",
        ("Status", "Attempts"),
        {str(key): count for key, count in found.statuses.items()},
    )
    yield from _headed("How the agent's runs ended", ("Reason", "Attempts"), found.reasons)
    for title, rates in (("By repository", found.repos), ("By difficulty", found.difficulties)):
        yield from _headed(title, ("", "Resolved"), {key: percent(rate) for key, rate in rates.items()})
    if found.findings:
        rows = {key: "; ".join(f"{each.kind}: {each.detail}" for each in each_of) for key, each_of in found.findings.items()}  # fmt: skip
        yield from _headed("What a reader of the score should know", ("Attempt", "Seen"), rows)
    yield "## Tasks"
    yield ""
    yield from _table(
        ("Task", "Difficulty", *(f"{n}" for n in range(1, found.attempts + 1))),
        [(task.id, task.difficulty, *task.statuses) for task in found.tasks],
    )


def _facts(found: Summary) -> list[tuple[str, str]]:
    return [*facts(found).items()]


def facts(found: Summary) -> dict[str, str]:
    """Everything of a run that is one line."""
    spent, seconds = found.spent, found.seconds
    share = spent.cached_tokens / spent.prompt_tokens if spent.prompt_tokens else 0.0
    return {
        "Model": found.model,
        "Server": found.server,
        "Strategy": found.strategy,
        "Sandbox": found.sandbox,
        "Settings": ", ".join(f"{key} {value}" for key, value in found.settings.items() if value not in ("", [])),
        "Data": f"{found.data} (sha256 {found.sha256[:16]}…)",
        "Program": f"coder {found.program}",
        "Attempts": f"{found.done} of {found.instances * found.attempts}",
        "Prompt tokens": f"{spent.prompt_tokens} ({100 * share:.1f} % from the server's cache)",
        "Tokens written": f"{spent.completion_tokens}, of these thoughts {spent.thinking_tokens}; "
        f"an attempt: median {found.tokens.median:.0f}, nine of ten up to {found.tokens.p90:.0f}",
        "Requests": f"{spent.requests}, tool calls {spent.tool_calls}, thoughts cut at their budget {spent.thinking_cuts}",
        "Edits that did not apply": str(found.failed_edits),
        "Times that old results were blanked": str(found.masked),
        "Time": f"{duration(found.span)}; an attempt: median {duration(found.wall.median)}, "
        f"nine of ten within {duration(found.wall.p90)}, the longest {duration(found.wall.most)}",
        "Where the time went": ", ".join(f"{part} {duration(value)}" for part, value in shares(seconds).items()),
        "Side by side": f"{found.at_once:.1f} attempts on average",
    }  # fmt: skip


def shares(seconds: Seconds) -> dict[str, float]:
    """Parts of the total, with what is the runner's own."""
    parts = {
        "model": seconds.model,
        "tools": seconds.tools,
        "grading": seconds.tests,
        "set-up": seconds.setup,
    }
    return {**parts, "own": max(0.0, seconds.total - sum(parts.values()))}


def _headed(title: str, head: Sequence[str], rows: Mapping[str, object]) -> Iterator[str]:
    if rows:
        yield f"## {title}"
        yield ""
        yield from _table(head, [(key, str(value)) for key, value in rows.items()])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(_cell(str(value)) for value in row) + " |"
    yield ""


def _cell(text: str) -> str:
    """A row's text must not end its cell, nor become markup."""
    plain = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return plain.replace("<", "&lt;").replace("`", "\\`").replace("[", "\\[")
