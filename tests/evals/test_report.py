"""Reports of folders made by hand: the numbers, the words, and the page in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from coder import cli, events
from coder.envelope import Spent
from coder.journal import FILE, Journal
from evals.folder import RunFolder
from evals.report.compare import compare
from evals.report.summary import summary
from evals.report.text import as_markdown, in_short
from evals.result import Finding, Result, Run, Seconds, Status
from tests.chromium import chromium

HOSTILE = "<img src=x onerror=alert(1)> \x1b[31m| `code` \u202e"


def made(path: Path, *attempts: str, sha: str = "a" * 64, name: str = "nano") -> RunFolder:
    """A folder with one task for each word: a letter for each attempt, r resolved, u unresolved, s server, - not done."""
    signs = {
        "r": Status.RESOLVED,
        "u": Status.UNRESOLVED,
        "s": Status.SERVER_ERROR,
        "l": Status.LIMIT_TURNS,
    }
    folder = RunFolder(path)
    ids = tuple(f"task-{number}" for number in range(len(attempts)))
    folder.begin(Run(data="made", sha256=sha, instances=ids, attempts=max(map(len, attempts)), name=name))
    for place, (task, word) in enumerate(zip(ids, attempts, strict=True)):
        for number, letter in enumerate(word, 1):
            if letter in signs:
                folder.keep(
                    Result(
                        instance=task,
                        attempt=number,
                        repo=f"repo/{'ab'[place % 2]}",
                        difficulty="easy",
                        status=signs[letter],
                        reason="submitted" if letter in "ru" else "turns",
                        detail="" if letter == "r" else f"it did not: {HOSTILE}",
                        patch="+ x\n" * number,
                        spent=Spent(
                            requests=2,
                            prompt_tokens=1000,
                            cached_tokens=900,
                            completion_tokens=10 * (place + 1),
                        ),
                        seconds=Seconds(total=10.0, setup=1.0, model=6.0, tools=2.0, tests=0.5),
                        started=1000.0 + place,
                        findings=(Finding(kind="history", detail="git reflog"),) if letter == "l" else (),
                        model="nano-model",
                    )
                )
    return folder


def test_numbers(tmp_path: Path) -> None:
    found = summary(made(tmp_path, "rr", "ru", "ur", "uu"))
    assert (found.rate.resolved, found.rate.of) == (2, 4)
    assert (found.rate.low, found.rate.high) == (0.150039, 0.849961)
    assert found.mean == 0.5
    assert found.pass_at == {1: 0.5, 2: 0.75}
    assert found.pass_all == {1: 0.5, 2: 0.25}
    assert found.best_of.resolved == 2
    assert found.spent.cached_tokens == 7200
    assert found.tokens.median == 25
    assert found.span == 13
    assert found.at_once == round(80 / 13, 2)
    assert {name: (rate.resolved, rate.of) for name, rate in found.repos.items()} == {
        "repo/a": (1, 2),
        "repo/b": (1, 2),
    }


def test_what_is_not_done_is_not_resolved(tmp_path: Path) -> None:
    found = summary(made(tmp_path, "r", "-", "s"))
    assert (found.rate.resolved, found.rate.of) == (1, 3)
    assert found.done == 2


def test_an_empty_run_has_a_report(tmp_path: Path) -> None:
    assert "resolved 0 of 1" in in_short(summary(made(tmp_path, "-")))


def test_markdown_holds_what_others_wrote_as_text(tmp_path: Path) -> None:
    text = as_markdown(summary(made(tmp_path, "r", "l", name="a|b <b>")))
    assert "Resolved **1 of 2 (50.0 %, 95 % interval 9.5-90.5 %)**" in text
    assert "history: git reflog" in text
    assert "<b>" not in text


def test_comparing(tmp_path: Path) -> None:
    a = made(tmp_path / "a", *(["r"] * 3 + ["u"] * 7 + ["s"]))
    b = made(tmp_path / "b", *(["u"] + ["r"] * 9 + ["r"]))
    found = compare(a, b)
    assert (found.paired, found.both, found.neither) == (10, 2, 0)
    assert found.only_first == ("task-0",)
    assert len(found.only_second) == 7
    assert found.p == pytest.approx(0.0703125)
    assert found.unpaired == ("task-10",)
    shown = CliRunner().invoke(cli.cli, ["eval", "compare", str(tmp_path / "a"), str(tmp_path / "b")])
    assert "no difference is shown" in shown.output
    assert "only A  task-0" in shown.output


def test_only_the_same_tasks_are_compared(tmp_path: Path) -> None:
    made(tmp_path / "a", "r")
    made(tmp_path / "b", "r", sha="b" * 64)
    shown = CliRunner().invoke(cli.cli, ["eval", "compare", str(tmp_path / "a"), str(tmp_path / "b")])
    assert "are of different data" in str(shown.exception)


def test_json_is_whole(tmp_path: Path) -> None:
    made(tmp_path, "r", "u")
    shown = CliRunner().invoke(cli.cli, ["eval", "report", str(tmp_path), "--json"])
    (found,) = json.loads(shown.output)
    assert found["rate"] == {"resolved": 1, "of": 2, "low": 0.094531, "high": 0.905469}


def test_a_folder_that_is_no_run_is_said(tmp_path: Path) -> None:
    shown = CliRunner().invoke(cli.cli, ["eval", "report", str(tmp_path)])
    assert "is no evaluation run" in str(shown.exception)


@pytest.mark.browser
async def test_the_page_in_a_browser(tmp_path: Path) -> None:
    folders = [made(tmp_path / "a", "rr", "ul", "lu", "s-"), made(tmp_path / "b", "ru", "rr", "uu", "r-")]
    journal = Journal(folders[0].place("task-0", 1) / FILE)
    journal(events.RunStarted(task=f"mend it {HOSTILE}", workflow="run", repository="/r"))
    journal.close()
    page_file = tmp_path / "report.html"
    shown = CliRunner().invoke(
        cli.cli, ["eval", "report", *(str(each.path) for each in folders), "--html", str(page_file)]
    )
    assert shown.exit_code == 0, shown.output
    async with chromium(tmp_path) as page:
        for width in (1200, 400):
            await page.open(page_file.as_uri(), width=width, dark=width == 400)
            assert await page.overflow() <= 0
            await page.screenshot(tmp_path / f"report-{width}.png")
        drawn: dict[str, Any] = await page.evaluate(
            """({plots: [...document.querySelectorAll("svg")].map(svg => {
                  const shapes = [...svg.querySelectorAll("rect, circle")].map(each => each.getBoundingClientRect());
                  return shapes.some(box => box.width > 1 && box.height > 1);
               }),
               links: [...document.querySelectorAll("a")].map(each => each.href),
               scripts: document.scripts.length, images: document.images.length})"""
        )
        assert len(drawn["plots"]) >= 9
        assert all(drawn["plots"])
        assert (drawn["scripts"], drawn["images"]) == (0, 0)
        assert len(drawn["links"]) == 1
        await page.open(drawn["links"][0])
        assert "mend it" in await page.evaluate("document.body.textContent")
        assert {address.partition(":")[0] for address in page.asked} <= {"file", "data"}
        assert page.console == []
