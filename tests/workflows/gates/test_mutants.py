"""Which mutants a module has, and which of them are tried."""

from __future__ import annotations

import ast
import re

from coder.workflows.gates.mutants import Mutant, chosen, mutants_of, wrecked

CODE = b'''"""Prices."""
RATE = 2
NOTHING = None
__all__ = ["total"]


def total(items):
    """Of all items."""
    if not items:
        return 0
    return sum(items) * RATE


def each(items):
    for item in items:
        yield item


def empty():
    """Does nothing already."""


class Basket:
    def add(self, item):
        def inner():
            return item
        self.items.append(inner())
'''


def by_name(path: str = "shop.py", source: bytes = CODE) -> dict[tuple[str, str], Mutant]:
    return {(each.name, each.what): each for each in mutants_of(path, source)}


def test_every_kind_of_mutant() -> None:
    assert set(by_name()) == {
        ("RATE", "is None"),
        ("total", "does nothing"),
        ("total", 'returns "mutant"'),
        ("total", "a condition is turned round"),
        ("each", "yields nothing"),
        ("add", "does nothing"),
        ("inner", "does nothing"),
        ("inner", 'returns "mutant"'),
    }


def test_each_mutant_still_parses_and_keeps_the_docstring() -> None:
    for mutant in mutants_of("shop.py", CODE):
        ast.parse(mutant.apply(CODE))
    assert b"Of all items" in by_name()["total", "does nothing"].apply(CODE)
    assert b"if (not (not items)):" in by_name()["total", "a condition is turned round"].apply(CODE)


def test_places_are_bytes_so_that_other_alphabets_stay_whole() -> None:
    source = "def größe(x):\n    é = 'ü'; return é\n".encode()
    (nothing, _) = mutants_of("a.py", source)
    assert nothing.apply(source).decode() == "def größe(x):\n    return None\n"


def test_lines_that_end_in_another_way() -> None:
    source = b"def a():\r\n    return 1\r\n\r\ndef b():\r\n    x = '\x0c'\r\n    return 2\r\n"
    for mutant in mutants_of("a.py", source):
        ast.parse(mutant.apply(source))
    last = mutants_of("a.py", source)[-2]
    assert last.apply(source).endswith(b"def b():\r\n    return None\r\n")


def test_what_does_not_parse_has_none() -> None:
    assert mutants_of("a.py", b"def (") == []
    assert mutants_of("a.py", b"\0") == []


def test_those_that_the_tests_name_and_run_come_before_those_they_only_run() -> None:
    mutants = mutants_of("shop.py", CODE)
    ran = {"shop.py": frozenset(each.line for each in mutants)}
    assert {each.name for each in chosen(mutants, "assert total([1]) == 2", ran)} == {"total"}
    assert {each.name for each in chosen(mutants, "assert run_all()", ran)} == {
        "total",
        "each",
        "add",
        "inner",
    }


def test_those_that_the_tests_only_name_where_nothing_was_seen_to_run() -> None:
    mutants = mutants_of("shop.py", CODE)
    assert {each.name for each in chosen(mutants, "total RATE", {})} == {"total", "RATE"}
    assert chosen(mutants, "nothing of it", {}) != []


def test_the_ones_that_most_tests_notice_come_first() -> None:
    weights = [each.weight for each in chosen(mutants_of("shop.py", CODE), "", {})]
    assert weights == sorted(weights)


def test_everything_wrecked_at_once() -> None:
    found = wrecked(mutants_of("shop.py", CODE), {"shop.py": CODE, "other.py": b"x = 1\n"})
    text = found["shop.py"].decode()
    ast.parse(text)
    assert not {"sum(", "append", "inner"} & set(re.findall(r"\w+\(?", text))
    assert text.count("return None") == 2
    assert found["other.py"] == b"x = 1\n"
