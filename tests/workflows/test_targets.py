"""Which tests a task names, and which files belong to the tests."""

from __future__ import annotations

import pytest

from coder.workflows.targets import holds_tests, is_test, named_tests, related_tests, steers_tests

FILES = {
    "shop/cart.py": b"def test_drive(): pass\n",
    "tests/test_cart.py": b"class TestCart:\n    def test_total(self): ...\n\ndef test_empty(): ...\n",
    "tests/test_tax.py": b"def test_total(): ...\n",
    "tests/test_broken.py": b"def test_odd(:\n",
}


def named(task: str) -> tuple[str, ...]:
    return named_tests(task, FILES, FILES.__getitem__)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("failing test", ()),
        ("tests/test_tax.py", ("tests/test_tax.py",)),
        ("please repair ./tests/test_tax.py::test_total.", ("tests/test_tax.py::test_total",)),
        ("test_cart.py::TestCart::test_total[a-b]", ("tests/test_cart.py::TestCart::test_total[a-b]",)),
        ("test_empty fails since Monday", ("tests/test_cart.py::test_empty",)),
        ("test_total", ("tests/test_cart.py::TestCart::test_total", "tests/test_tax.py::test_total")),
        ("TestCart", ("tests/test_cart.py::TestCart",)),
        ("test_odd", ("tests/test_broken.py",)),
        ("test_nowhere", ()),
        ("look at shop/cart.py", ()),
        ("tests/test_gone.py::test_x", ()),
    ],
)
def test_a_task_names_tests_by_node_id_path_or_name(task: str, expected: tuple[str, ...]) -> None:
    assert named(task) == expected


@pytest.mark.parametrize(
    "path", ["tests/data/a.json", "test_a.py", "a/b_test.py", "conftest.py", "a/x.pth", "test/a.py"]
)
def test_files_of_the_tests(path: str) -> None:
    assert is_test(path)


@pytest.mark.parametrize(
    "path", ["a.py", "django/test/client.py", "testing_tools.py", "src/contest.py", "latest.py"]
)
def test_files_of_the_program(path: str) -> None:
    assert not is_test(path)


def test_a_new_file_that_could_make_any_test_pass_is_known() -> None:
    assert steers_tests("conftest.py")
    assert steers_tests("a/sitecustomize.py")
    assert not steers_tests("tests/test_new.py")


RELATED = {
    "src/shop/cart.py": b"",
    "src/shop/__init__.py": b"",
    "calc.py": b"",
    "tests/conftest.py": b"import shop.cart",
    "tests/test_cart.py": b"",
    "tests/test_whole.py": b"from shop import tax, cart\n",
    "tests/test_page.py": b"import shop.cart as c\n",
    "tests/test_carton.py": b"import shop.carton\nfrom shop import cartoon\n",
    "tests/test_sums.py": b"    from calc import add\n",
    "tests/test_other.py": b"import calculus\n",
}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["src/shop/cart.py"], ["tests/test_cart.py", "tests/test_page.py", "tests/test_whole.py"]),
        (["calc.py", "tests/test_other.py"], ["tests/test_other.py", "tests/test_sums.py"]),
        (["src/shop/__init__.py"], ["tests/test_carton.py", "tests/test_page.py", "tests/test_whole.py"]),
        (["tests/conftest.py", "README.md"], []),
    ],
    ids=["named after it first", "a module at the top", "a package", "no code"],
)
def test_tests_that_a_change_concerns(changed: list[str], expected: list[str]) -> None:
    tests = [(path, source) for path, source in RELATED.items() if holds_tests(path)]
    assert list(related_tests(changed, tests)) == expected
