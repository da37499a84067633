"""Ranking suspects: what the failing test really executed, what passing tests vouch for, and how much there is to get wrong."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from coder.workflows.definitions import Definition, FunctionNode, Module
from coder.workflows.localise import Scene, Suspect, is_source_file, is_test_file
from coder.workflows.trace import Call

# Factors on a suspect's score; found by trying on the sample repositories, not sensitive.
NOT_EXECUTED = 0.15
VOUCHED_FOR = 0.4
SMELLS = 2.0
CONSTRUCTOR = 0.7
PASSES_ON = 0.7
RAISED_FIRST = 1.6
OF_A_CONSTANT = 0.5
NO_TABLE = 0.7

_TABLES = (ast.Dict, ast.List, ast.Tuple, ast.Constant, ast.BinOp)
_DECISIONS = (ast.Compare, ast.BinOp, ast.BoolOp, ast.AugAssign, ast.Slice, ast.Subscript, ast.Call)
_BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.Return, ast.Yield, ast.Assign)


def executed(scene: Scene, calls: Sequence[Call]) -> list[Definition]:
    """The definitions that `calls` entered, in the order of their first call."""
    found = [called(scene.modules, call) for call in calls]
    return list(dict.fromkeys(definition for definition in found if definition))


def calls_of(calls: Sequence[Call], failing: Sequence[str]) -> list[Call]:
    """What the first failing test that called anything called in the source."""
    for test in failing:
        found = [call for call in calls if call.test == test and not is_test_file(call.path)]
        if found:
            return found
    return []


def rank(scene: Scene, calls: Sequence[Call], failing: Sequence[str]) -> tuple[Suspect, ...]:
    """The scene's suspects in a better order, for the first of the `failing` tests.

    Calls that passing tests made with the same arguments and the same result vouch for a function. Without calls (no
    trace could be had) the static order counts.
    """
    ours = calls_of(calls, failing)
    entered = set(executed(scene, ours))
    vouched = {call.text() for call in calls if call.test not in failing}
    first_raise = next((call for call in ours if call.result == "raises"), None)
    culprit = called(scene.modules, first_raise) if first_raise else None
    carriers = _carriers(scene, ours)
    scores: dict[Definition, float] = {}
    for suspect in scene.suspects:
        d = suspect.definition
        if isinstance(d.node, FunctionNode):
            score = (1.0 + min(suspect.score, 1.0)) * substance(d.node)
            if ours and d not in entered:
                score *= NOT_EXECUTED
            mine = {call.text() for call in ours if called(scene.modules, call) == d}
            score *= VOUCHED_FOR if mine and mine <= vouched else 1
            score *= RAISED_FIRST if d == culprit else 1
            score *= SMELLS if mutable_defaults(d.node) else 1
            score *= CONSTRUCTOR if d.name == "__init__" else 1
            score *= PASSES_ON if d in carriers else 1
            scores[d] = score
    for suspect in scene.suspects:
        d = suspect.definition
        if not isinstance(d.node, FunctionNode):
            scores[d] = _of_data(d, suspect, scores, entered)
    ranked = [Suspect(d, round(score, 4)) for d, score in scores.items() if is_source_file(d.path)]
    return tuple(sorted(ranked, key=lambda s: (-s.score, s.definition.path, s.definition.start)))


def _carriers(scene: Scene, calls: Sequence[Call]) -> set[Definition]:
    """Functions that only passed on: another call had that result before, or the result was among the arguments."""
    seen: dict[str, Definition] = {}
    carriers: set[Definition] = set()
    for call in calls:
        definition = called(scene.modules, call)
        if definition is None or len(call.result) < 3 or call.result in {"None", "True", "False", "raises"}:
            continue
        given = any(call.result in value for _, value in call.arguments)
        if given or seen.setdefault(call.result, definition) != definition:
            carriers.add(definition)
    return carriers


def _of_data(
    d: Definition, suspect: Suspect, scores: dict[Definition, float], entered: set[Definition]
) -> float:
    """A constant, or a class for its fields: as suspicious as what uses it, less a part."""
    if d.kind == "class":
        methods = (
            any(isinstance(node, FunctionNode) for node in d.node.body)
            if isinstance(d.node, ast.ClassDef)
            else True
        )
        return 0.05 if methods else 0.3 * min(suspect.score, 1.0)
    users = [s for f, s in scores.items() if f.path == d.path and _mentions(f.node, d.name)]
    shared = d.parent and isinstance(d.node, ast.Assign) and _is_mutable(d.node.value)
    table = isinstance(d.node, ast.Assign | ast.AnnAssign) and isinstance(d.node.value, _TABLES)
    return max(users, default=0.1) * OF_A_CONSTANT * (SMELLS * 2 if shared else 1 if table else NO_TABLE)


def substance(function: FunctionNode) -> float:
    """How much there is to get wrong in a function itself, not counting those inside it, from 0 to 1."""
    count = 0
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, FunctionNode):
            continue
        count += isinstance(node, _DECISIONS) + isinstance(node, _BRANCHES)
        waiting += ast.iter_child_nodes(node)
    return count / (count + 3)


def mutable_defaults(node: FunctionNode) -> list[str]:
    """The parameters whose default is a list, dict or set that all calls share."""
    positional = [*node.args.posonlyargs, *node.args.args]
    pairs = [*zip(positional[::-1], node.args.defaults[::-1], strict=False)]
    pairs += [
        (a, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d is not None
    ]
    return [argument.arg for argument, default in pairs if _is_mutable(default)]


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id in {"list", "dict", "set", "defaultdict", "deque"}
    return isinstance(value, ast.List | ast.Dict | ast.Set)


def _mentions(node: ast.AST, name: str) -> bool:
    return any(
        (isinstance(child, ast.Name) and child.id == name)
        or (isinstance(child, ast.Attribute) and child.attr == name)
        for child in ast.walk(node)
    )


def called(modules: dict[str, Module], call: Call) -> Definition | None:
    """The definition that a call entered."""
    module = modules.get(call.path)
    around = [
        d
        for d in (module.definitions if module else ())
        if isinstance(d.node, FunctionNode)
        and d.name == call.name
        and d.start < call.line <= d.node.body[0].lineno
    ]
    return min(around, key=lambda d: d.end - d.start, default=None)
