"""Which tests a task names: `coder fix "test_total fails since Monday"` names one."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import PurePosixPath

_NODE_ID = re.compile(r"[\w./-]+\.py(?:::[\w]+(?:\[[^\]\s]*\])?)*")
_TEST_NAME = re.compile(r"\b(?:test_\w+|Test[A-Z]\w*)\b")
CONFIG = frozenset({"conftest.py", "pytest.ini", "sitecustomize.py", "usercustomize.py", "tox.ini"})


def is_test(path: str) -> bool:
    """Whether `path` belongs to the tests: a test file, what configures them, or data beside them."""
    folders = PurePosixPath(path).parts[:-1]
    return (
        steers_tests(path)
        or holds_tests(path)
        or "tests" in folders
        or folders[:1] in (("test",), ("testing",))
    )


def holds_tests(path: str) -> bool:
    """Whether pytest looks for tests in a file of this name."""
    name = path.rpartition("/")[2]
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


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


def related_tests(changed: Collection[str], tests: Iterable[tuple[str, bytes]]) -> tuple[str, ...]:
    """Those of the test files `tests`, given with their bytes, that a change of the files `changed` concerns, the
    closest first: those among them, those named after one, those that import one."""
    modules = [path.removesuffix(".py") for path in changed if path.endswith(".py") and not is_test(path)]
    stems = {module.rpartition("/")[2] for module in modules}
    imports = re.compile("|".join(map(_import_of, modules)) or r"(?!)", re.MULTILINE)

    def distance(path: str, source: bytes) -> int:
        stem = path.rpartition("/")[2].removesuffix(".py")
        if path in changed:
            return 0
        if stem.removeprefix("test_") in stems or stem.removesuffix("_test") in stems:
            return 1
        return 2 if imports.search(source.decode("utf-8", "replace")) else 3

    ranked = sorted((distance(path, source), path) for path, source in tests)
    return tuple(path for rank, path in ranked if rank < 3)


def _import_of(module: str) -> str:
    """A pattern for how the module at this path, without its ending, is imported by its full name."""
    parts = [part for part in module.split("/") if part not in ("src", "lib")]
    package, name = re.escape(".".join(parts[:-1])), re.escape(parts[-1])
    if not package or name == "__init__":
        return rf"^\s*(?:import|from) {package or name}\b"
    return rf"\b{package}\.{name}\b|\bfrom {package} import [^\n]*\b{name}\b"
