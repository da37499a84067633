import pytest
from render.engine import TemplateError, render


def test_plain():
    assert render("Hello {{ user.name }}!", user={"name": "Ida"}) == "Hello Ida!"


def test_missing_is_empty():
    assert render("[{{ a.b }}]") == "[]"


def test_shorten_keeps_the_length():
    assert render("{{ title|shorten }}", title="Introduction to trees") == "Introduct…"


def test_chain():
    assert render("{{ a|title|shorten }}", a="short") == "Short"


def test_unknown_filter():
    with pytest.raises(TemplateError):
        render("{{ a|nope }}", a=1)
