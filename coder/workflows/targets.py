"""Which tests a task names: `coder fix "test_total fails since Monday"` names one."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath

_NODE_ID = re.compile(r"[\w./-]+\.py(?:::[\w]+(?:\[[^\]\s]*\])?)*")
_TEST_NAME = re.compile(r"\b(?:test_\w+|Test[A-Z]\w*)\b")
CONFIG = frozenset({"conftest.py", "pytest.ini", "sitecustomize.py", "usercustomize.py", "tox.ini"})


def is_test(path: str) -> bool:
    """Whether `path` belongs to the tests: a test file, what configures them, or data beside them."""
    folders = PurePosixPath(path).parts[:-1]
    name = path.rpartition("/")[2]
    return (
        steers_tests(path)
        or (name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py")))
        or "tests" in folders
        or folders[:1] in (("test",), ("testing",))
    )


def steers_tests(path: str) -> bool:
    """Whether a file of this name, new or changed, can make any test pass."""
    name = path.rpartition("/")[2]
    return name in CONFIG or name.endswith(".pth")


def named_tests(task: str, files: Iterable[str], read: Callable[[str], bytes]) -> tuple[str, ...]:
    """Node ids of the tests that `task` names, in its order; empty when it names none.

    `files` are the repository's paths; `read` gives a file's bytes.
    """
    known = [path for path in files if path.endswith(".py") and is_test(path)]
    found: dict[str, None] = {}
    for match in _NODE_ID.finditer(task):
        path, _, rest = match[0].removeprefix("./").partition("::")
        for file in known:
            if file == path or file.endswith("/" + path):
                found[f"{file}::{rest}" if rest else file] = None
    if not found:
        names = dict.fromkeys(_TEST_NAME.findall(task))
        for file in known if names else ():
            found.update(dict.fromkeys(_ids_of(file, read(file), names)))
    return tuple(found)


def _ids_of(file: str, source: bytes, names: Iterable[str]) -> Iterator[str]:
    """The node ids under which `file` defines one of `names`."""
    if not any(name.encode() in source for name in names):
        return
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield file
        return
    wanted = set(names)
    stack: list[tuple[ast.stmt, tuple[str, ...]]] = [(node, ()) for node in reversed(tree.body)]
    while stack:
        node, outer = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name in wanted:
                yield "::".join((file, *outer, node.name))
            elif isinstance(node, ast.ClassDef):
                stack += [(inner, (*outer, node.name)) for inner in reversed(node.body)]
