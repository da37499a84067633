"""Definitions with positions that a caller can splice by, and outlines made of them."""

from __future__ import annotations

import pytest

from tools.outline import Definition, definitions, outline

SOURCE = b'''\
import os

LIMIT = 3


@cached
@other(1)
def top(a, b=2):
    """Says something."""
    def inner():
        pass
    return inner


class Cart(Base):
    size: int = 0

    async def add(self, item):
        pass

    class Meta:
        def deep(self):
            pass


if os.name == "nt":
    def only_here():
        pass
else:
    only_here = None
'''


def named(source: bytes = SOURCE, path: str = "a.py") -> dict[str, Definition]:
    return {item.path: item for item in definitions(source, path)}


def test_names_kinds_and_parents() -> None:
    assert {path: item.kind for path, item in named().items()} == {
        "LIMIT": "variable",
        "top": "function",
        "top.inner": "function",
        "Cart": "class",
        "Cart.add": "method",
        "Cart.Meta": "class",
        "Cart.Meta.deep": "method",
        "only_here": "variable",
    } | {"only_here": named()["only_here"].kind}


def test_positions_cut_a_definition_out_with_its_decorators() -> None:
    top = named()["top"]
    assert SOURCE[top.start_byte : top.end_byte].startswith(b"@cached\n@other(1)\ndef top(")
    assert SOURCE[top.start_byte : top.end_byte].endswith(b"return inner")
    assert (top.start_line, top.head_line, top.end_line) == (6, 8, 12)
    add = named()["Cart.add"]
    assert SOURCE[add.start_byte : add.end_byte] == b"async def add(self, item):\n        pass"


def test_definitions_come_in_the_order_of_the_file() -> None:
    starts = [item.start_byte for item in definitions(SOURCE, "a.py")]
    assert starts == sorted(starts)


def test_an_outline_shows_lines_and_heads() -> None:
    lines = outline(SOURCE, "a.py")
    assert "     6-12    def top(a, b=2):" in lines
    assert "    18-19      async def add(self, item):" in lines


def test_a_long_outline_drops_the_least_important_and_says_so() -> None:
    source = b"".join(b"x%d = 1\nclass C%d:\n  def m(self): pass\n" % (n, n) for n in range(60))
    lines = outline(source, "a.py", limit=70)
    assert len(lines) == 61
    assert all("class C" in line for line in lines[:60])
    assert lines[-1] == "… 120 more definitions"


def test_an_outline_can_start_below_a_line() -> None:
    assert all(int(line.split("-")[0]) >= 15 for line in outline(SOURCE, "a.py", first=15))


def test_broken_source_still_gives_what_can_be_read() -> None:
    assert "good" in named(b"def good():\n    pass\n\ndef bad(:\n")


def test_an_unknown_language_has_no_definitions() -> None:
    assert definitions(b"def f(): pass", "a.txt") == []
    assert definitions(b"SELECT 1", "noextension") == []


@pytest.mark.timeout(10)
def test_deep_nesting_neither_recurses_nor_hangs() -> None:
    definitions(b"(" * 50_000 + b")" * 50_000, "a.py")
    definitions(b"".join(b" " * n + b"class A:\n" for n in range(300)) + b" " * 300 + b"pass\n", "a.py")
