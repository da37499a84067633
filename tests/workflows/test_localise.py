"""From a failing test to the definitions behind it: imports, names, fixtures, tracebacks."""

from __future__ import annotations

from textwrap import dedent

import pytest

from coder.workflows.localise import Scene, is_source_file, is_test_file, localise


def scene(files: dict[str, str], *tests: str, output: str = "") -> Scene:
    data = {path: dedent(text).encode() for path, text in files.items()}
    return localise(data.__getitem__, data, tests, output)


def ranked(files: dict[str, str], *tests: str, output: str = "") -> list[str]:
    return [
        f"{s.definition.path}:{s.definition.qualname}" for s in scene(files, *tests, output=output).suspects
    ]


SHOP = {
    "src/shop/__init__.py": "from .cart import Cart as Basket\n",
    "src/shop/cart.py": """\
        from . import prices
        from .tax import with_tax

        class Cart:
            def __init__(self):
                self.items = []

            def total(self):
                return with_tax(sum(prices.price(i) for i in self.items))

            def unused(self):
                return 0
        """,
    "src/shop/prices.py": "TABLE = {'a': 1}\n\ndef price(item):\n    return TABLE[item]\n",
    "src/shop/tax.py": "RATE = 0.2\n\ndef with_tax(x):\n    return x * (1 + RATE)\n\ndef other(x):\n    return x\n",
    "src/elsewhere.py": "def nothing():\n    return 1\n",
    "tests/test_cart.py": """\
        from shop import Basket
        from shop.tax import other

        def test_total():
            assert Basket().total() == 3

        def test_other():
            assert other(1) == 1
        """,
}


def test_calls_are_followed_through_packages_aliases_and_modules():
    found = ranked(SHOP, "tests/test_cart.py::test_total")
    assert found[0] == "src/shop/cart.py:Cart"
    assert found.index("src/shop/cart.py:Cart.total") < found.index("src/shop/tax.py:with_tax")
    assert {"src/shop/prices.py:price", "src/shop/prices.py:TABLE", "src/shop/tax.py:RATE"} <= set(found)


def test_what_the_test_cannot_reach_is_no_suspect():
    found = ranked(SHOP, "tests/test_cart.py::test_total")
    assert "src/shop/tax.py:other" not in found
    assert not any("elsewhere" in name for name in found)
    assert not any("test_cart" in name for name in found)


def test_parametrised_tests_and_test_classes():
    files = {
        "lib.py": "def f(x):\n    return x\n\ndef g(x):\n    return x\n",
        "test_lib.py": """\
            import lib

            class TestF:
                def test_f(self, x):
                    assert lib.f(x)

            def test_g():
                assert lib.g(1)
            """,
    }
    assert ranked(files, "test_lib.py::TestF::test_f[1-2]") == ["lib.py:f"]


def test_fixtures_lead_on():
    files = {
        "lib.py": "def load():\n    return 1\n\ndef save():\n    return 1\n",
        "tests/conftest.py": "import pytest, lib\n\n@pytest.fixture\ndef loaded():\n    return lib.load()\n",
        "tests/test_lib.py": "def test_it(loaded):\n    assert loaded == 2\n",
    }
    assert ranked(files, "tests/test_lib.py::test_it") == ["lib.py:load"]


def test_the_innermost_frame_of_a_traceback_comes_first():
    files = {
        "lib.py": "def outer(x):\n    return inner(x)\n\n\ndef inner(x):\n    return 1 / x\n",
        "test_lib.py": "from lib import outer\n\ndef test_it():\n    assert outer(0)\n",
    }
    output = "test_lib.py:4: in test_it\n    ...\nlib.py:2: in outer\n    ...\nlib.py:6: in inner\nE   ZeroDivisionError\n"
    assert ranked(files, "test_lib.py::test_it") == ["lib.py:outer", "lib.py:inner"]
    assert ranked(files, "test_lib.py::test_it", output=output) == ["lib.py:inner", "lib.py:outer"]


def test_a_test_command_without_node_ids_puts_the_files_of_the_traceback_under_suspicion():
    files = {
        "lib.py": "def f():\n    return 1\n",
        "other.py": "def g():\n    return 1\n",
        "test_lib.py": "from lib import f\n\ndef test_it():\n    assert f() == 2\n",
    }
    assert ranked(files, "make test", output="test_lib.py:4: AssertionError") == ["lib.py:f"]
    assert ranked(files, "make test") == ["lib.py:f", "other.py:g"]


def test_files_that_do_not_parse_and_unreadable_encodings_are_passed_over():
    files = {
        "bad.py": "def f(:\n",
        "odd.py": "# coding: nothing-such\n",
        "good.py": "def g():\n    return 1\n",
    }
    assert ranked(files, "unknown") == ["good.py:g"]


def test_cyclic_imports_and_recursion_end():
    files = {
        "a.py": "from b import *\n\ndef f(n):\n    return g(n)\n",
        "b.py": "from a import *\n\ndef g(n):\n    return f(n - 1)\n",
        "test_a.py": "from a import f, missing\n\ndef test_f():\n    assert f(1), missing\n",
    }
    assert set(ranked(files, "test_a.py::test_f")) == {"a.py:f", "b.py:g"}


@pytest.mark.parametrize(
    "path",
    ["test_a.py", "pkg/a_test.py", "conftest.py", "tests/helpers.py", "src/tests/data.py", "pkg/tests.py"],
)
def test_test_files(path):
    assert is_test_file(path)
    assert not is_source_file(path)


def test_source_files():
    assert is_source_file("src/pkg/contest.py")
    assert is_source_file("latest.py")
    assert not any(
        map(is_source_file, ["setup.py", ".venv/lib/x.py", "docs/conf.py", "a.txt", "node_modules/x.py"])
    )
