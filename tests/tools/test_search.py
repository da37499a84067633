"""Searching a real workspace, inside the sandbox or on the host: short answers, nothing invented, nothing outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.base import Policy
from sandbox.bubblewrap import Bubblewrap
from tests.tools.attempts import Open, make_workspace
from tools.base import Context, Toolbox, ToolResult
from tools.ripgrep import hits, host_ripgrep

FILES: dict[str, str | bytes] = {
    "src/cart.py": "def total():\n    return 1\n\n\nTOTAL = total()\n",
    "src/price.py": "total = 2\n",
    "docs/notes.md": "The total is off.\n",
    ".github/ci.yml": "run: total\n",
    ".gitignore": "build/\n",
}


async def search(toolbox: Toolbox, context: Context, **arguments: Any) -> ToolResult:
    return await toolbox.call("search", arguments, context)


async def test_hits_stand_under_their_files(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt(FILES)
    found = await search(toolbox, context, pattern=r"\btotal\b")
    assert found.text.split("\n") == [
        ".github/ci.yml",
        "     1: run: total",
        "docs/notes.md",
        "     1: The total is off.",
        "src/cart.py",
        "     1: def total():",
        "     5: TOTAL = total()",
        "src/price.py",
        "     1: total = 2",
    ]


async def test_path_and_glob_narrow_the_search(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt(FILES)
    assert "docs" not in (await search(toolbox, context, pattern="total", path="/workspace/src")).text
    assert (await search(toolbox, context, pattern="total", glob="*.md")).text.startswith("docs/notes.md\n")
    assert (
        await search(toolbox, context, pattern="total", path="src/price.py")
    ).text == "src/price.py\n     1: total = 2"


async def test_nothing_found_is_said(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt(FILES)
    assert (await search(toolbox, context, pattern="unicorn")).text == "No match."
    assert (
        await search(toolbox, context, pattern="unicorn", path="src", glob="*.py")
    ).text == "No match in src (*.py)."


async def test_a_broken_expression_is_searched_as_text_and_said_so(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt(FILES)
    found = await search(toolbox, context, pattern="total(")
    assert found.text.startswith("[not a valid regular expression; searched as plain text]\nsrc/cart.py\n")


async def test_a_broken_glob_is_named(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt(FILES)
    for arguments in ({"pattern": "total", "glob": "{a"}, {"glob": "{a"}):
        found = await search(toolbox, context, **arguments)
        assert not found.ok
        assert "glob" in found.text


async def test_an_unreadable_directory_does_not_hide_the_hits(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt(FILES)
    await context.sandbox.run("mkdir locked; chmod 0 locked", timeout=5)
    assert "src/cart.py" in (await search(toolbox, context, pattern="total")).text
    assert (await search(toolbox, context, pattern="unicorn")).text == "No match."


async def test_the_alternative_of_grep_is_understood(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt(FILES)
    found = await search(toolbox, context, pattern=r"TOTAL\|is off")
    assert "read as alternative" in found.text
    assert "docs/notes.md" in found.text


async def test_a_pattern_that_looks_like_an_option_is_a_pattern(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.txt": "use --files here\n"})
    assert "     1: use --files here" in (await search(toolbox, context, pattern="--files")).text


async def test_too_many_hits_are_summed_up_by_file(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.txt": "hit\n" * 100, "b.txt": "hit\n" * 30, "c.txt": "hit\n"})
    found = await search(toolbox, context, pattern="hit")
    assert found.truncated
    assert found.text.count(": hit") == 16 + 16 + 1
    assert found.text.endswith("[98 more hits: a.txt 84, b.txt 14]")


async def test_very_long_lines_are_clipped(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.min.js": "var total=" + "x" * 100_000})
    found = await search(toolbox, context, pattern="total")
    assert len(found.text) < 250
    assert found.text.endswith("…")


async def test_without_a_pattern_files_are_listed(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt(FILES)
    assert (await search(toolbox, context, glob="*.py")).text == "src/cart.py\nsrc/price.py"
    assert (await search(toolbox, context, glob="cart")).text == "src/cart.py"
    assert (await search(toolbox, context, glob="*.rs")).text == "No file matches *.rs."
    assert not (await search(toolbox, context)).ok


async def test_a_wrong_path_is_answered_with_the_likely_one(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt(FILES)
    found = await search(toolbox, context, pattern="x", path="cart.py")
    assert found.text == "cart.py does not exist. Did you mean src/cart.py?"


@pytest.fixture
async def hostile(attempt: Open) -> Context:
    """A workspace that commands have filled with traps, searched on the host."""
    context = await attempt({"a.txt": "needle\n"})
    root = context.sandbox.workspace.root
    (root / "shadow").symlink_to("/etc/passwd")
    (root / "all").symlink_to("/etc")
    (root / ".ripgreprc").write_text("--follow\n")
    await context.sandbox.run("mkfifo pipe; printf 'needle \\033]0;x\\007\\n' > 'odd\nname'", timeout=10)
    context.ripgrep_inside = False
    return context


async def test_on_the_host_no_link_pipe_or_configuration_leads_astray(
    toolbox: Toolbox, hostile: Context
) -> None:
    assert host_ripgrep()
    assert (await search(toolbox, hostile, pattern="root:")).text == "No match."
    found = await search(toolbox, hostile, pattern="needle")
    assert "a.txt\n     1: needle" in found.text
    assert "\x1b" not in found.text
    for path in ("shadow", "all", "all/passwd"):
        assert "root:" not in (await search(toolbox, hostile, pattern="root", path=path)).text


async def test_a_sandbox_without_ripgrep_is_searched_from_the_host(toolbox: Toolbox, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, FILES)
    sandbox = Bubblewrap(workspace, Policy(memory_mb=1024))
    await sandbox.start()
    context = Context(sandbox=sandbox)
    try:
        assert "src/cart.py" in (await search(toolbox, context, pattern="total")).text
        assert context.ripgrep_inside == (await sandbox.run("command -v rg", timeout=5)).ok
    finally:
        await sandbox.close()
        workspace.close()


async def test_host_and_sandbox_find_the_same(attempt: Open) -> None:
    context = await attempt(FILES)
    (context.sandbox.workspace.root / "build").mkdir()
    (context.sandbox.workspace.root / "build" / "x.txt").write_text("total\n")
    results = []
    for inside in (True, False):
        context.ripgrep_inside = inside
        results.append((await hits(context, ["-e", "total", "--glob", "!.git", "--", "."]))[1])
    assert results[0] == results[1]
    assert [hit.path for hit in results[0]] == sorted(hit.path for hit in results[0])
    assert "build/x.txt" not in {hit.path for hit in results[0]}
