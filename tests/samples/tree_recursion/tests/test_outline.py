import pytest
from docs_tree.node import Node
from docs_tree.outline import outline, section, titles


@pytest.fixture
def book():
    return Node("book").add(
        Node("intro").add(Node("why")),
        Node("usage").add(Node("install"), Node("todo", draft=True), Node("run")),
    )


def test_outline(book):
    assert outline(book).splitlines() == ["1 intro", "1.1 why", "2 usage", "2.1 install", "2.2 run"]


def test_titles(book):
    assert titles(book) == ["intro", "why", "usage", "install", "todo", "run"]


def test_section_of_a_later_chapter(book):
    assert section(book, "usage") == "1 install\n2 run"


def test_missing_section(book):
    with pytest.raises(LookupError):
        section(book, "nothing")
