"""A report as one page of HTML: every plot is drawn in it, and it asks for nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from coder.transcript.page import document
from coder.transcript.words import duration
from evals.folder import RunFolder
from evals.report import plots
from evals.report.summary import Summary, Task
from evals.report.text import SIGNS, facts, percent, shares
from evals.result import Result, Status

RUN_PAGE = "run.html"
"""Beside an attempt's journal."""


def write_page(path: Path, folders: Sequence[RunFolder], found: Sequence[Summary]) -> None:
    """Write the report of these runs to `path`, and a page beside each journal that has none. Raises OSError."""
    for folder in folders:
        for result in folder.results():
            _write_run_page(folder.place(result.instance, result.attempt))
    style = files("coder.transcript").joinpath("page.css").read_text(encoding="utf-8")
    style += files("evals.report").joinpath("page.css").read_text(encoding="utf-8")
    parts = [_comparison(found)] if len(found) > 1 else []
    for folder, summary in zip(folders, found, strict=True):
        parts.append("".join(_run(folder, summary, path.resolve().parent)))
    title = ", ".join(dict.fromkeys(each.data for each in found))
    path.write_text(
        document(f"Evaluation: {title}", style, "".join(parts)), encoding="utf-8", errors="replace"
    )


def _write_run_page(folder: Path) -> None:
    from coder.errors import UsageError
    from coder.show import write_page

    if (folder / "journal.jsonl").is_file() and not (folder / RUN_PAGE).exists():
        try:
            write_page(str(folder), folder / RUN_PAGE)
        except UsageError:  # a journal that was cut off at its beginning has no page
            return


def _comparison(found: Sequence[Summary]) -> str:
    rates = {f"{number}. {each.name or each.folder}": each.rate for number, each in enumerate(found, 1)}
    return f"<section><h2>Resolved</h2>{plots.rates(rates)}</section>"


def _run(folder: RunFolder, found: Summary, home: Path) -> Iterator[str]:
    yield f"<section><h2>{escape(found.name or found.folder)}</h2>"
    yield f'<p class="score">{escape(percent(found.rate))}</p>'
    if found.attempts > 1:
        best = found.best_of
        rows = {f"pass@{k}": f"{100 * value:.1f} %" for k, value in found.pass_at.items()}
        rows |= {f"pass^{k}": f"{100 * value:.1f} %" for k, value in found.pass_all.items()}
        rows[f"best of {found.attempts}, chosen by “{found.selector}”"] = f"{best.resolved} of {best.of}"
        yield _table(rows)
    yield plots.parts(
        {str(status): float(count) for status, count in found.statuses.items()},
        {status: "good" if status is Status.RESOLVED else "care" if status.infrastructure else "bad" for status in found.statuses},
    )  # fmt: skip
    for title, rates in (("By repository", found.repos), ("By difficulty", found.difficulties)):
        if len(rates) > 1:
            yield f"<h3>{title}</h3>{plots.rates(rates)}"
    results = list(folder.results())
    yield "<h3>Where the time went</h3>"
    yield plots.parts(
        {part: value for part, value in shares(found.seconds).items() if value > 0}, say=duration
    )
    yield '<div class="pair">'
    yield plots.histogram("Seconds an attempt", [each.seconds.total for each in results])
    yield plots.histogram(
        "Tokens written an attempt", [float(each.spent.completion_tokens) for each in results]
    )
    yield "</div>"
    yield _table(facts(found))
    yield f"<h3>Tasks</h3>{_tasks(folder, found, home)}"
    failures = [each for each in results if each.status is not Status.RESOLVED]
    if failures:
        yield "<h3>What failed, and why</h3>" + _failures(failures)
    if found.findings:
        rows = {
            key: "; ".join(f"{each.kind}: {each.detail}" for each in those)
            for key, those in found.findings.items()
        }
        yield "<h3>What a reader of the score should know</h3>" + _table(rows)
    yield "</section>"


def _tasks(folder: RunFolder, found: Summary, home: Path) -> str:
    head = "".join(f"<th>{number}</th>" for number in range(1, found.attempts + 1))
    rows = "".join(_task(folder, task, home) for task in found.tasks)
    return f'<div class="wide"><table><thead><tr><th>Task</th><th>Difficulty</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _task(folder: RunFolder, task: Task, home: Path) -> str:
    cells = []
    for attempt, status in zip(task.attempts, task.statuses, strict=True):
        kind = "ok" if status is Status.RESOLVED else "warning" if status.infrastructure else "error"
        text = f'<span class="{kind}">{SIGNS.get(status, "✗")} {escape(status)}</span>'
        cells.append(f"<td>{_linked(folder.place(task.id, attempt) / RUN_PAGE, text, home)}</td>")
    return f"<tr><td>{escape(task.id)}</td><td>{escape(task.difficulty)}</td>{''.join(cells)}</tr>"


def _linked(page: Path, text: str, home: Path) -> str:
    if not page.is_file():
        return text
    where = quote(os.path.relpath(page.resolve(), home))
    return f'<a href="{where}">{text}</a>'


def _failures(results: Sequence[Result]) -> str:
    return _table({f"{each.instance} ({each.attempt})": each.detail or each.status for each in results})


def _table(rows: Mapping[str, str]) -> str:
    body = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in rows.items())
    return f'<div class="wide"><table><tbody>{body}</tbody></table></div>'
