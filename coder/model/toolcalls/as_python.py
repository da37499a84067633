"""Tool calls written as Python: `bash(command="ls")`, as Gemma 3, Llama 4 and LFM2 do. Parsed, never evaluated."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from coder.model.toolcalls.arguments import plain
from coder.model.toolcalls.as_json import FoundCall

_SOURCE_CAP = 50_000  # characters
_CALL_CAP = 16


def python_calls(source: str, known: Callable[[str], bool]) -> list[FoundCall]:
    """The calls that the source consists of; none at all when part of it is something else.

    `print(default_api.bash(command="ls"))` counts as `bash`, and so does Llama's `bash.call(command="ls")`.
    """
    if len(source) > _SOURCE_CAP:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in what a model wrote
            tree = ast.parse(source.strip())
            nodes = [node for statement in tree.body for node in _expressions(statement)]
            calls = [_call(node) for node in nodes[: _CALL_CAP + 1]]
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return []
    if len(calls) > _CALL_CAP or not all(call and known(call.name) for call in calls):
        return []
    return [call for call in calls if call]


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    value: ast.AST = statement.value if isinstance(statement, ast.Expr) else statement
    if isinstance(value, ast.List | ast.Tuple):
        yield from value.elts
    else:
        yield value


def _call(node: ast.AST) -> FoundCall | None:
    if not isinstance(node, ast.Call):
        return None
    name = _name(node.func)
    if name == "print" and len(node.args) == 1 and not node.keywords:
        return _call(node.args[0])
    if len(node.args) > (0 if node.keywords else 1) or not all(keyword.arg for keyword in node.keywords):
        return None
    written = [("", each) for each in node.args] + [(str(each.arg), each.value) for each in node.keywords]
    arguments: dict[str, Any] = {key: ast.literal_eval(value) for key, value in written}
    return FoundCall(name, plain(arguments))


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return _name(function.value) if function.attr == "call" else function.attr
    return function.id if isinstance(function, ast.Name) else ""
