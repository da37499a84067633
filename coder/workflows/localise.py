"""Which pieces of the source a failing test puts under suspicion, best first.

Static only: from the failing tests' syntax trees along imports and names, plus the traceback that pytest printed.
"""

from __future__ import annotations

import ast
import heapq
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from coder.workflows.definitions import Definition, FunctionNode, Module, parse
from coder.workflows.frames import frames

MAX_MODULES = 80
MAX_FILE_BYTES = 400_000
# How much suspicion is left after one step along the call graph.
BY_NAME, BY_ATTRIBUTE, BY_CLASS, BY_CONSTANT = 0.85, 0.75, 0.6, 0.55
ALSO_IN_PASSING_TESTS = 0.85
DEEPEST_FRAME, OUTER_FRAME = 1.0, 0.4

Read = Callable[[str], bytes]
_SKIPPED_FOLDERS = {"tests", "test", "testing", "node_modules", "build", "dist", "venv", "docs", "examples"}


@dataclass(frozen=True, slots=True)
class Suspect:
    """A definition and how much speaks against it: 1.0 is "named in the failing test itself"."""

    definition: Definition
    score: float


@dataclass(frozen=True, slots=True)
class Scene:
    """What repair looks at: `modules` by path (only those that the failing tests reach) and the ranked suspects."""

    modules: dict[str, Module]
    suspects: tuple[Suspect, ...]


def is_test_file(path: str) -> bool:
    """Whether repair must leave this file alone."""
    pure = PurePosixPath(path)
    name = pure.name
    return (
        name.startswith("test_")
        or name.endswith(("_test.py", "_tests.py"))
        or name in {"conftest.py", "tests.py", "test.py"}
        or bool({"tests", "test", "testing"} & set(pure.parts[:-1]))
    )


def is_source_file(path: str) -> bool:
    """Whether a file can hold the bug: Python, not a test, not in a folder of built or borrowed things."""
    pure = PurePosixPath(path)
    return (
        pure.suffix == ".py"
        and not is_test_file(path)
        and pure.name not in {"setup.py", "noxfile.py"}
        and not any(part.startswith(".") or part in _SKIPPED_FOLDERS for part in pure.parts[:-1])
    )


def localise(read: Read, files: Iterable[str], tests: Sequence[str], output: str) -> Scene:
    """Rank the definitions that the failing `tests` (pytest node ids) can reach.

    `output` is pytest's text. Where the tests lead nowhere (a test command without node ids, dynamic imports), every
    source file is under equal suspicion.
    """
    graph = _Graph(read, tuple(files))
    passed = list(frames(output, graph.files))
    starts = _start_points(graph, tests, passed)
    for point in starts:
        graph.load_imports_of(point.module)
    scores = _spread(graph, starts)
    _add_frames(graph, passed, scores)
    if not scores:
        graph.load_all()
        scores = {(d.path, d.qualname): (0.1, d) for m in graph.sources() for d in m.definitions}
    suspects = [Suspect(d, round(score, 4)) for score, d in scores.values() if is_source_file(d.path)]
    suspects.sort(key=lambda s: (-s.score, s.definition.path, s.definition.start))
    reached = {s.definition.path for s in suspects}
    modules = {m.path: m for m in graph.sources() if m.path in reached}
    return Scene(modules, tuple(suspects))


@dataclass(frozen=True, slots=True)
class _Point:
    """Where suspicion starts: a piece of test code."""

    module: Module
    node: ast.AST
    weight: float


@dataclass(slots=True)
class _Graph:
    """The files of a repository, parsed when asked for, and the names that lead from one to another."""

    read: Read
    files: tuple[str, ...]
    modules: dict[str, Module | None] = field(default_factory=dict)
    by_name: dict[str, list[str]] = field(default_factory=dict)
    imports: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    passing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.files = tuple(path for path in self.files if path.endswith(".py"))
        for path in self.files:
            parts = PurePosixPath(path).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            for first in range(len(parts)):
                self.by_name.setdefault(".".join(parts[first:]), []).append(path)

    def module(self, path: str) -> Module | None:
        if path not in self.modules:
            loaded = None
            if path in self.files and sum(m is not None for m in self.modules.values()) < MAX_MODULES:
                data = self.read(path)
                loaded = parse(path, data) if len(data) <= MAX_FILE_BYTES else None
            self.modules[path] = loaded
        return self.modules[path]

    def load_all(self) -> None:
        for path in self.files:
            if is_source_file(path):
                self.module(path)

    def sources(self) -> list[Module]:
        return [m for path, m in sorted(self.modules.items()) if m is not None and is_source_file(path)]

    def path_of(self, dotted: str, near: str) -> str | None:
        """The file of a module name; of several, the one that shares most of its path with `near`."""
        paths = self.by_name.get(dotted, [])
        shared = PurePosixPath(near).parts
        return min(paths, key=lambda p: (-_common(PurePosixPath(p).parts, shared), len(p)), default=None)

    def load_imports_of(self, module: Module) -> None:
        """Parse everything that `module` imports, and what that imports."""
        waiting = [module]
        while waiting:
            current = waiting.pop(0)
            for path, _ in self.imports_of(current).values():
                if path not in self.modules:
                    loaded = self.module(path)
                    if loaded is not None:
                        waiting.append(loaded)

    def imports_of(self, module: Module) -> dict[str, tuple[str, str]]:
        """Local name -> (file, name in that file; empty for the module itself), for files of this repository."""
        if module.path not in self.imports:
            found = {local: (path, name) for local, path, name in self._imports(module)}
            self.imports[module.path] = found
        return self.imports[module.path]

    def _imports(self, module: Module) -> Iterator[tuple[str, str, str]]:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    path = self.path_of(alias.name, module.path)
                    if path:
                        yield alias.asname or alias.name, path, ""
            elif isinstance(node, ast.ImportFrom):
                base = _absolute(node, module.path)
                for alias in node.names:
                    submodule = self.path_of(f"{base}.{alias.name}" if base else alias.name, module.path)
                    path = self.path_of(base, module.path)
                    if submodule:
                        yield alias.asname or alias.name, submodule, ""
                    elif path:
                        yield alias.asname or alias.name, path, alias.name

    def named(self, module: Module, name: str, depth: int = 0) -> list[Definition]:
        """What a bare name means in `module`: its own definitions, or what it imports under that name."""
        own = [d for d in module.definitions if d.name == name and d.kind != "method"]
        if own or depth > 5:
            return own
        path, original = self.imports_of(module).get(name, ("", ""))
        target = self.module(path) if path else None
        if target is not None and original and original != "*":
            return self.named(target, original, depth + 1)
        for local, (star, _) in self.imports_of(module).items():
            starred = self.module(star) if local == "*" else None
            if starred is not None:
                return self.named(starred, name, depth + 1)
        return []

    def attributes(self, module: Module, name: str) -> list[Definition]:
        """What `something.name` may mean: a definition of that name in the same file, else in any loaded one."""
        own = [d for d in module.definitions if d.name == name]
        if own:
            return own
        return [d for m in self.sources() for d in m.definitions if d.name == name]


def _common(left: tuple[str, ...], right: tuple[str, ...]) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )


def _absolute(node: ast.ImportFrom, path: str) -> str:
    """The dotted name that a `from … import` means, relative ones resolved against the file's folder."""
    if not node.level:
        return node.module or ""
    folder = PurePosixPath(path).parts[: -node.level]
    return ".".join([*folder, *([node.module] if node.module else [])])


def _start_points(graph: _Graph, tests: Sequence[str], passed: list[tuple[str, int]]) -> list[_Point]:
    points: list[_Point] = []
    paths = {node_id.partition("::")[0] for node_id in tests} | {p for p, _ in passed if is_test_file(p)}
    for path in sorted(paths):
        module = graph.module(path)
        if module is None:
            continue
        wanted = {re.sub(r"\[.*$", "", t.rpartition("::")[2]) for t in tests if t.startswith(path)}
        found = [d for d in module.definitions if d.name in wanted and d.kind in {"function", "method"}]
        others = [d for d in module.definitions if d.name.startswith("test") and d not in found]
        graph.passing |= {name for d in others for name in _names(d.node)[0] | _names(d.node)[1]}
        points += [_Point(module, d.node, 1.0) for d in found] or [_Point(module, module.tree, 0.7)]
        points += [point for d in found for point in _helpers(graph, module, d)]
    return points


def _helpers(graph: _Graph, module: Module, test: Definition) -> Iterator[_Point]:
    """Fixtures, set-up methods and local helpers of a test."""
    arguments = {a.arg for a in test.node.args.args} if isinstance(test.node, FunctionNode) else set()
    names = arguments | _names(test.node)[0] | {"setUp", "setup_method"}
    for d in module.definitions:
        if d is not test and d.name in names and not d.name.startswith("test"):
            yield _Point(module, d.node, 0.8)
    for path in graph.files:
        if path.endswith("conftest.py"):
            conftest = graph.module(path)
            for d in conftest.definitions if conftest else ():
                if conftest is not None and d.name in arguments:
                    yield _Point(conftest, d.node, 0.8)


def _names(node: ast.AST) -> tuple[set[str], set[str]]:
    """(bare names, attribute names) that a piece of code uses."""
    bare: set[str] = set()
    attributes: set[str] = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
            bare.add(child.id)
        elif isinstance(child, ast.Attribute):
            attributes.add(child.attr)
    return bare, attributes


def _spread(graph: _Graph, starts: list[_Point]) -> dict[tuple[str, str], tuple[float, Definition]]:
    """Carry suspicion along names; each definition keeps the strongest that reached it."""
    scores: dict[tuple[str, str], tuple[float, Definition]] = {}
    heap: list[tuple[float, int, Module, ast.AST]] = []
    for point in starts:
        heapq.heappush(heap, (-point.weight, len(heap), point.module, point.node))
    pushed = len(heap)
    while heap:
        negative, _, module, node = heapq.heappop(heap)
        from_test = is_test_file(module.path)
        for target, share in _targets(graph, module, node):
            score = -negative * share / (BY_NAME if from_test and share >= BY_ATTRIBUTE else 1)
            if from_test and target.name in graph.passing:
                score *= ALSO_IN_PASSING_TESTS
            key = (target.path, target.qualname)
            if (key in scores and scores[key][0] >= score) or score < 0.02:
                continue
            scores[key] = (score, target)
            home = graph.module(target.path)
            if home is not None:
                pushed += 1
                heapq.heappush(heap, (-score, pushed, home, target.node))
    return scores


def _targets(graph: _Graph, module: Module, node: ast.AST) -> Iterator[tuple[Definition, float]]:
    """The definitions that `node` uses, each with the share of suspicion that it passes on."""
    bare, attributes = _names(node)
    for name in sorted(bare):
        for target in graph.named(module, name):
            yield target, BY_CONSTANT if target.kind == "constant" else BY_NAME
    for name in sorted(attributes):
        found = graph.attributes(module, name)
        for target in found:
            share = BY_CONSTANT if target.kind == "constant" else BY_ATTRIBUTE
            yield target, share / len(found) ** 0.5
    if isinstance(node, ast.ClassDef):
        for definition in module.definitions:
            if definition.node in node.body:
                special = definition.name.startswith("__")
                yield definition, BY_NAME if special else BY_CLASS


def _add_frames(
    graph: _Graph, passed: list[tuple[str, int]], scores: dict[tuple[str, str], tuple[float, Definition]]
) -> None:
    """Add what the traceback says: the innermost frame in the source counts most."""
    inside = [frame for frame in passed if is_source_file(frame[0])]
    for rank, (path, line) in enumerate(dict.fromkeys(reversed(inside))):
        module = graph.module(path)
        around = [d for d in module.definitions if d.start < line <= d.end] if module else []
        for definition in sorted(around, key=lambda d: d.end - d.start)[:1]:
            key = (path, definition.qualname)
            already = scores[key][0] if key in scores else 0.0
            scores[key] = (already + (DEEPEST_FRAME if rank == 0 else OUTER_FRAME), definition)
