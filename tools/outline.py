"""Where a source file defines what: tree-sitter definitions with exact positions, and an outline made of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from sandbox.text import clean_text
from tools.text import clip, words

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

MAX_BYTES = 1_000_000
"""Larger sources are not parsed."""


@dataclass(frozen=True, slots=True)
class Definition:
    """Lines count from 1, the last one included; bytes from 0, the end excluded. Decorators belong to it."""

    name: str
    kind: str
    """class, function, method, variable, type …"""
    start_line: int
    end_line: int
    start_byte: int
    end_byte: int
    parent: str = ""
    """Qualified name of what it stands in; empty at top level."""
    head_line: int = 0
    """The line of `def` or `class` itself, behind decorators."""

    @property
    def path(self) -> str:
        """Its qualified name, `Class.method`."""
        return f"{self.parent}.{self.name}" if self.parent else self.name


@dataclass(frozen=True, slots=True)
class Language:
    """How to read one grammar. Grammar wheels other than Python's are used when they are installed."""

    module: str
    kinds: Mapping[str, str]
    """Node types that define something, and what."""
    inside: frozenset[str]
    """Node types that can hold definitions; nothing else is walked."""
    factory: str = "language"
    scopes: Mapping[str, str] = field(default_factory=dict)
    """Node types that only name the parent of what is in them, and the field with that name."""
    exact: bool = True
    """A syntax error that the grammar sees is one. Not so for C: macros make correct sources look wrong."""


_C_KINDS = {
    "function_definition": "function",
    "struct_specifier": "struct",
    "enum_specifier": "enum",
    "union_specifier": "union",
    "preproc_function_def": "macro",
}
_C_INSIDE = words(
    "translation_unit preproc_ifdef preproc_if preproc_else linkage_specification declaration_list"
)
_JS_KINDS = {
    "class_declaration": "class",
    "function_declaration": "function",
    "generator_function_declaration": "function",
    "method_definition": "method",
    "variable_declarator": "function",
}
_JS_INSIDE = words("program export_statement class_body lexical_declaration variable_declaration")
_TS_KINDS = {
    **_JS_KINDS,
    "abstract_class_declaration": "class",
    "interface_declaration": "interface",
    "type_alias_declaration": "type",
    "enum_declaration": "enum",
    "internal_module": "namespace",
}
_TS_INSIDE = _JS_INSIDE | words("expression_statement statement_block ambient_declaration")

_PYTHON = Language(
    "tree_sitter_python",
    {"class_definition": "class", "function_definition": "function", "assignment": "variable"},
    words(
        "module block decorated_definition expression_statement if_statement elif_clause else_clause "
        "try_statement except_clause finally_clause with_statement for_statement while_statement "
        "match_statement case_clause"
    ),
)
_JAVASCRIPT = Language("tree_sitter_javascript", _JS_KINDS, _JS_INSIDE)
_TYPESCRIPT = Language("tree_sitter_typescript", _TS_KINDS, _TS_INSIDE, "language_typescript")
_TSX = Language("tree_sitter_typescript", _TS_KINDS, _TS_INSIDE, "language_tsx")
_GO = Language(
    "tree_sitter_go",
    {"function_declaration": "function", "method_declaration": "method", "type_spec": "type"},
    words("source_file type_declaration"),
)
_RUST = Language(
    "tree_sitter_rust",
    {
        "function_item": "function",
        "struct_item": "struct",
        "enum_item": "enum",
        "trait_item": "trait",
        "mod_item": "module",
        "macro_definition": "macro",
        "function_signature_item": "function",
    },
    words("source_file declaration_list"),
    scopes={"impl_item": "type"},
)
_JAVA = Language(
    "tree_sitter_java",
    {
        "class_declaration": "class",
        "interface_declaration": "interface",
        "enum_declaration": "enum",
        "record_declaration": "record",
        "method_declaration": "method",
        "constructor_declaration": "constructor",
    },
    words("program class_body interface_body enum_body enum_body_declarations"),
)
_C = Language("tree_sitter_c", _C_KINDS, _C_INSIDE, exact=False)
_CPP = Language(
    "tree_sitter_cpp",
    {**_C_KINDS, "class_specifier": "class", "namespace_definition": "namespace"},
    _C_INSIDE | words("field_declaration_list template_declaration"),
    exact=False,
)
_RUBY = Language(
    "tree_sitter_ruby",
    {"module": "module", "class": "class", "method": "method", "singleton_method": "method"},
    words("program body_statement"),
)
_SUFFIXES: Mapping[str, Language] = {
    **dict.fromkeys((".py", ".pyi", ".pyw"), _PYTHON),
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs"), _JAVASCRIPT),
    **dict.fromkeys((".ts", ".mts", ".cts"), _TYPESCRIPT),
    ".tsx": _TSX,
    ".go": _GO,
    ".rs": _RUST,
    ".java": _JAVA,
    **dict.fromkeys((".c", ".h"), _C),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".hpp", ".hh"), _CPP),
    ".rb": _RUBY,
}


def language_of(path: str) -> Language | None:
    return _SUFFIXES.get(PurePosixPath(path).suffix.lower())


def parse(source: bytes, path: str) -> Node | None:
    """The root of the syntax tree, or None: language unknown, grammar not installed, source too large."""
    language = language_of(path)
    if language is None or len(source) > MAX_BYTES:
        return None
    parser = _parser(language.module, language.factory)
    return None if parser is None else parser.parse(source).root_node


def definitions(source: bytes, path: str) -> list[Definition]:
    """What the file defines, in its order; empty where the language cannot be read."""
    root, language = parse(source, path), language_of(path)
    if root is None or language is None:
        return []
    found: list[Definition] = []
    pending: list[tuple[Node, str, str, Node | None]] = [(root, "", "", None)]
    while pending:
        node, parent, within, wrapper = pending.pop()
        kind = language.kinds.get(node.type, "")
        if kind:
            definition = _definition(node, kind, parent, within, wrapper)
            if definition is None:
                continue
            found.append(definition)
            parent, within = definition.path, kind
        elif node.type in language.scopes:
            parent, within = _text(node.child_by_field_name(language.scopes[node.type])), "class"
        elif node.type not in language.inside:
            continue
        outer = node if node.type == "decorated_definition" else None
        pending.extend((child, parent, within, outer) for child in _children(node, kind))
    return sorted(found, key=lambda definition: definition.start_byte)


def outline(source: bytes, path: str, *, first: int = 1, limit: int = 80) -> list[str]:
    """One line for each definition from line `first` on: its lines and its head as it stands in the source.

    When there are more than `limit`, variables go first, then what stands deepest, then the rest; the last
    line says how many.
    """
    found = [item for item in definitions(source, path) if item.start_line >= first]
    shown = _most_important(found, limit)
    lines = source.split(b"\n")
    entries = [_entry(item, lines) for item in shown]
    return entries + ([f"… {len(found) - len(shown)} more definitions"] if len(shown) < len(found) else [])


def _most_important(found: Sequence[Definition], limit: int) -> list[Definition]:
    shown = list(found)
    if len(shown) > limit:
        shown = [item for item in shown if item.kind != "variable"]
    for depth in (1, 0):
        if len(shown) > limit:
            shown = [item for item in shown if item.parent.count(".") + bool(item.parent) <= depth]
    return shown[:limit]


def _entry(item: Definition, lines: list[bytes]) -> str:

    head = clean_text(lines[item.head_line - 1].decode("utf-8", "replace").strip())
    depth = item.parent.count(".") + bool(item.parent)
    return f"{item.start_line:>6}-{item.end_line:<6}{'  ' * depth}{clip(head, 100)}"


def _definition(node: Node, kind: str, parent: str, within: str, wrapper: Node | None) -> Definition | None:
    """The definition at `node`, or None for what only looks like one."""
    name = _name(node)
    if not name:
        return None
    if node.type == "variable_declarator" and not _holds_function(node):
        return None
    if node.type == "assignment" and (parent or not name.isidentifier()):
        return None
    if kind == "function" and within in ("class", "interface", "trait"):
        kind = "method"
    outer = wrapper or node
    return Definition(
        name,
        kind,
        outer.start_point[0] + 1,
        outer.end_point[0] + 1,
        outer.start_byte,
        outer.end_byte,
        parent,
        node.start_point[0] + 1,
    )


def _name(node: Node) -> str:
    if node.type == "assignment":
        return _text(node.child_by_field_name("left"))
    named = node.child_by_field_name("name")
    while named is None:
        declarator = node.child_by_field_name("declarator")
        if declarator is None:
            return _text(node) if node.type.endswith("identifier") else ""
        node, named = declarator, declarator.child_by_field_name("name")
        if node.type == "qualified_identifier":
            return _text(node)
    return _text(named)


def _holds_function(declarator: Node) -> bool:
    value = declarator.child_by_field_name("value")
    return value is not None and value.type in ("arrow_function", "function_expression", "function")


def _children(node: Node, kind: str) -> list[Node]:
    """What may hold or be a definition below `node`: of a definition only its body."""
    if not kind:
        return node.named_children
    body = node.child_by_field_name("body")
    return [] if body is None or kind in ("variable", "macro") else [body]


def _text(node: Node | None) -> str:
    return "" if node is None or node.text is None else node.text[:200].decode("utf-8", "replace")


@lru_cache(maxsize=16)
def _parser(module: str, factory: str) -> Parser | None:
    from tree_sitter import Language as Grammar
    from tree_sitter import Parser

    try:
        grammar = getattr(importlib.import_module(module), factory)
        return Parser(Grammar(grammar()))
    except (ImportError, AttributeError, ValueError):
        return None
