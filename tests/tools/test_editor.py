"""The editor against a real workspace: every edit lands whole or not at all, and the answer says which."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tools.attempts import Open
from tools.base import Context, Toolbox, ToolResult

CART = """\
class Cart:
    def __init__(self):
        self.prices = []

    def total(self):
        return sum(self.prices)


def helper():
    return Cart()
"""
LONG = "".join(f"def function_{number}():\n    return {number}\n\n\n" for number in range(100))


async def edit(toolbox: Toolbox, context: Context, command: str, path: str, **more: Any) -> ToolResult:
    return await toolbox.call("str_replace_editor", {"command": command, "path": path, **more}, context)


def content(context: Context, path: str) -> bytes:
    return context.sandbox.workspace.read(path)


# view


async def test_a_short_file_is_shown_whole_with_line_numbers(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": "x = 1\ny = 2\n"})
    shown = await edit(toolbox, context, "view", "/workspace/a.py")
    assert shown.text == "     1\tx = 1\n     2\ty = 2"
    assert context.edits == 0


async def test_a_range_is_shown_with_its_place_in_the_file(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": LONG})
    shown = await edit(toolbox, context, "view", "a.py", view_range=[5, 6])
    assert shown.text == "     5\tdef function_1():\n     6\t    return 1\n[lines 5-6 of 400 in a.py]"
    to_end = await edit(toolbox, context, "view", "a.py", view_range=[398, -1])
    assert "[lines 398-400 of 400 in a.py]" in to_end.text
    past_end = await edit(toolbox, context, "view", "a.py", view_range=[390, 900])
    assert "[lines 390-400 of 400 in a.py]" in past_end.text


async def test_a_long_file_is_shown_as_an_outline(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": LONG})
    shown = await edit(toolbox, context, "view", "a.py")
    assert "a.py has 400 lines" in shown.text
    assert "view_range" in shown.text
    assert "     5-6     def function_1():" in shown.text
    assert "return 1" not in shown.text
    assert shown.text.endswith("… 20 more definitions")


async def test_a_middling_file_shows_its_first_window_and_what_is_below(
    toolbox: Toolbox, attempt: Open
) -> None:
    context = await attempt({"a.py": "".join(LONG.splitlines(keepends=True)[:200])})
    shown = await edit(toolbox, context, "view", "a.py")
    assert "[lines 1-100 of 200 in a.py]" in shown.text
    assert "   101-102   def function_25():" in shown.text
    assert "return 25" not in shown.text


async def test_a_window_of_very_long_lines_stays_small(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.txt": ("x" * 5_000 + "\n") * 90})
    shown = await edit(toolbox, context, "view", "a.txt")
    assert len(shown.text) < 10_500
    assert "of 90 in a.txt]" in shown.text


async def test_a_directory_shows_two_levels_with_line_counts(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt(
        {"a.py": "x\ny\n", "src/b.py": "z\n", "src/deep/c.py": "", "logo.png": b"\x89PNG\x00"}
    )
    shown = await edit(toolbox, context, "view", "/workspace")
    assert shown.text.split("\n") == [
        "/workspace/",
        "  a.py  (2 lines)",
        "  logo.png  (5 bytes, binary)",
        "  src/",
        "    b.py  (1 line)",
        "    deep/",
    ]
    below = await edit(toolbox, context, "view", "src")
    assert below.text.split("\n") == ["src/", "  b.py  (1 line)", "  deep/", "    c.py  (0 lines)"]


async def test_a_large_directory_says_how_much_it_leaves_out(toolbox: Toolbox, attempt: Open) -> None:
    files = {f"d{folder}/f{number:03}.txt": "" for folder in range(4) for number in range(60)}
    context = await attempt(dict(files))
    shown = await edit(toolbox, context, "view", ".")
    assert shown.text.count(" lines)") == 96
    assert shown.text.count("… 36 more") == 4


async def test_what_is_not_text_is_named(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.bin": b"\x00\x01\x02", "empty.py": ""})
    assert "binary file (3 bytes)" in (await edit(toolbox, context, "view", "a.bin")).text
    assert (await edit(toolbox, context, "view", "empty.py")).text == "empty.py is empty."


async def test_a_wrong_path_is_answered_with_the_likely_one(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"src/shop/cart.py": CART})
    shown = await edit(toolbox, context, "view", "cart.py")
    assert not shown.ok
    assert "cart.py does not exist. Did you mean src/shop/cart.py?" in shown.text
    typo = await edit(toolbox, context, "view", "src/shop/carts.py")
    assert "Did you mean src/shop/cart.py?" in typo.text


async def test_a_path_like_no_other_is_answered_with_the_files_when_they_are_few(
    toolbox: Toolbox, attempt: Open
) -> None:
    context = await attempt({"src/shop/cart.py": CART})
    await toolbox.call(
        "bash", {"command": "mkdir .venv && touch .venv/x.py && echo '*' > .venv/.gitignore"}, context
    )
    assert "The files are src/shop/cart.py." in (await edit(toolbox, context, "view", "yourfile.py")).text
    many = await attempt({f"m{number:02}.py": "" for number in range(21)})
    assert "The files are" not in (await edit(toolbox, many, "view", "yourfile.txt")).text


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret", "a/../../secret", "~/x", "/workspace/../etc/passwd"]
)
async def test_nothing_outside_the_workspace_is_touched(toolbox: Toolbox, attempt: Open, path: str) -> None:
    context = await attempt({"a.py": ""})
    for command in ("view", "create"):
        result = await edit(toolbox, context, command, path, file_text="x")
        assert not result.ok
        assert "outside /workspace" in result.text


async def test_a_path_of_another_container_or_of_the_user_is_understood(
    toolbox: Toolbox, attempt: Open
) -> None:
    context = await attempt({"src/a.py": "x = 1\n"})
    for path in (
        "/testbed/src/a.py",
        f"{context.sandbox.workspace.source}/src/a.py",
        "./src/a.py",
        "workspace/src/a.py",
    ):
        assert "x = 1" in (await edit(toolbox, context, "view", path)).text


async def test_links_that_lead_out_are_not_followed(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": ""})
    (context.sandbox.workspace.root / "out").symlink_to("/etc/passwd")
    for command in ("view", "create"):
        result = await edit(toolbox, context, command, "out", file_text="x")
        assert not result.ok
        assert "root:" not in result.text


# str_replace


async def test_an_edit_lands_and_shows_only_its_surroundings(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": CART})
    result = await edit(
        toolbox, context, "str_replace", "a.py", old_str="sum(self.prices)", new_str="sum(self.prices, 0)"
    )
    assert result.ok
    assert b"sum(self.prices, 0)" in content(context, "a.py")
    assert result.text.startswith("Edited a.py.\n     4\t\n     5\t    def total(self):\n     6\t")
    assert "class Cart" not in result.text
    assert "-        return sum(self.prices)\n+        return sum(self.prices, 0)\n" in result.diff
    assert (context.edits, context.edits_since_check) == (1, 1)


async def test_a_re_indented_edit_says_so(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": CART})
    result = await edit(
        toolbox,
        context,
        "str_replace",
        "a.py",
        old_str="  def total(self):\n      return sum(self.prices)",
        new_str="  def total(self):\n      return 0",
    )
    assert "(block stands 2 columns further right in the file; new_str indented to match)" in result.text
    assert b"    def total(self):\n        return 0\n" in content(context, "a.py")


async def test_a_miss_changes_nothing_and_shows_the_nearest_text(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": CART})
    result = await edit(
        toolbox, context, "str_replace", "a.py", old_str="return sum(self.price)", new_str="x"
    )
    assert not result.ok
    assert "     6\t        return sum(self.prices)" in result.text
    assert content(context, "a.py") == CART.encode()
    assert context.edits == 0


async def test_an_edit_that_breaks_the_syntax_changes_nothing_and_says_why(
    toolbox: Toolbox, attempt: Open
) -> None:
    context = await attempt({"a.py": CART})
    result = await edit(
        toolbox,
        context,
        "str_replace",
        "a.py",
        old_str="return sum(self.prices)",
        new_str="return sum(self.prices",
    )
    assert not result.ok
    assert result.text == (
        "Nothing was changed: a.py would not parse, line 6: '(' was never closed\n"
        "     6\t        return sum(self.prices"
    )
    assert content(context, "a.py") == CART.encode()


async def test_empty_and_idle_edits_are_refused(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": CART})
    assert not (await edit(toolbox, context, "str_replace", "a.py", old_str="", new_str="x")).ok
    assert not (await edit(toolbox, context, "str_replace", "a.py", old_str="Cart", new_str="Cart")).ok
    assert not (await edit(toolbox, context, "str_replace", "a.py", new_str="x")).ok
    assert context.edits == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a = 1\r\nb = 2\r\n", b"a = 1\r\nb = 3\r\nc = 4\r\n"),
        (b"\xef\xbb\xbfa = 1\nb = 2", b"\xef\xbb\xbfa = 1\nb = 3\nc = 4"),
        (b"# caf\xe9\nb = 2\n", b"# caf\xe9\nb = 3\nc = 4\n"),
        (b"a = 1\r\nb = 2\nx = 0\n", b"a = 1\r\nb = 3\nc = 4\nx = 0\n"),
    ],
)
async def test_line_ends_mark_and_encoding_are_kept(
    toolbox: Toolbox, attempt: Open, before: bytes, after: bytes
) -> None:
    context = await attempt({"a.txt": before})
    result = await edit(toolbox, context, "str_replace", "a.txt", old_str="b = 2", new_str="b = 3\nc = 4")
    assert result.ok
    assert content(context, "a.txt") == after


async def test_a_removed_function_that_is_still_used_is_pointed_out(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": CART, "b.py": "from a import helper\n\nhelper()\n"})
    result = await edit(
        toolbox, context, "str_replace", "a.py", old_str="def helper():\n    return Cart()\n", new_str=""
    )
    assert result.ok
    assert "no longer defined here: helper. helper still occurs in b.py:1, b.py:3." in result.text


async def test_a_removed_function_that_nobody_uses_is_no_matter(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": CART})
    result = await edit(
        toolbox, context, "str_replace", "a.py", old_str="def helper():\n    return Cart()\n", new_str=""
    )
    assert "Note" not in result.text


# create


async def test_a_new_file_is_created_with_its_directories(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": ""})
    result = await edit(toolbox, context, "create", "pkg/sub/b.py", file_text="x = 1")
    assert result.text == "Created pkg/sub/b.py (1 line)."
    assert content(context, "pkg/sub/b.py") == b"x = 1\n"
    assert "--- /dev/null\n+++ b/pkg/sub/b.py\n@@ -0,0 +1 @@\n+x = 1\n" in result.diff


async def test_overwriting_says_so_and_names_what_vanished(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": CART, "b.py": "from a import helper\n"})
    result = await edit(toolbox, context, "create", "a.py", file_text="class Cart:\n    prices = []\n")
    assert result.ok
    assert "Overwrote a.py (2 lines)." in result.text
    assert (
        "no longer defined here: Cart.__init__, Cart.total, helper. helper still occurs in b.py:1."
        in result.text
    )


async def test_a_fence_around_a_whole_file_is_left_out(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": "x = 0\r\n"})
    result = await edit(toolbox, context, "create", "a.py", file_text="```python\nx = 1\n```\n")
    assert "fence" in result.text
    assert content(context, "a.py") == b"x = 1\r\n"


async def test_a_new_file_that_does_not_parse_is_not_written(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": ""})
    result = await edit(toolbox, context, "create", "b.py", file_text="def f(:\n")
    assert not result.ok
    assert context.sandbox.workspace.kind("b.py") is None


async def test_git_and_directories_are_not_overwritten(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"src/a.py": ""})
    for path in (".git/config", "src"):
        assert not (await edit(toolbox, context, "create", path, file_text="x")).ok


# insert


@pytest.mark.parametrize(("line", "after"), [(0, b"new\na\nb\n"), (1, b"a\nnew\nb\n"), (2, b"a\nb\nnew\n")])
async def test_text_is_inserted_after_a_line(
    toolbox: Toolbox, attempt: Open, line: int, after: bytes
) -> None:
    context = await attempt({"a.txt": "a\nb\n"})
    result = await edit(toolbox, context, "insert", "a.txt", insert_line=line, new_str="new\n")
    assert result.ok
    assert content(context, "a.txt") == after


async def test_inserting_into_an_empty_file_and_past_the_end(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.txt": "", "b.txt": "a"})
    await edit(toolbox, context, "insert", "a.txt", insert_line=0, new_str="x")
    assert content(context, "a.txt") == b"x\n"
    await edit(toolbox, context, "insert", "b.txt", insert_line=1, new_str="x")
    assert content(context, "b.txt") == b"a\nx"
    past = await edit(toolbox, context, "insert", "b.txt", insert_line=9, new_str="x")
    assert "b.txt has 2 lines" in past.text


# undo_edit


async def test_edits_are_undone_one_by_one(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.txt": "one\n"})
    await edit(toolbox, context, "str_replace", "a.txt", old_str="one", new_str="two")
    await edit(toolbox, context, "str_replace", "a.txt", old_str="two", new_str="three")
    result = await edit(toolbox, context, "undo_edit", "a.txt")
    assert "-three\n+two\n" in result.diff
    await edit(toolbox, context, "undo_edit", "a.txt")
    assert content(context, "a.txt") == b"one\n"
    assert not (await edit(toolbox, context, "undo_edit", "a.txt")).ok
    assert context.edits == 4


async def test_undoing_a_creation_removes_the_file(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.txt": ""})
    await edit(toolbox, context, "create", "b.txt", file_text="x")
    await edit(toolbox, context, "undo_edit", "b.txt")
    assert context.sandbox.workspace.kind("b.txt") is None


async def test_undo_says_when_it_takes_back_more_than_the_edit(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.txt": "one\n"})
    await edit(toolbox, context, "str_replace", "a.txt", old_str="one", new_str="two")
    await toolbox.call("bash", {"command": "echo more >> a.txt"}, context)
    result = await edit(toolbox, context, "undo_edit", "a.txt")
    assert "undone as well" in result.text
    assert content(context, "a.txt") == b"one\n"
