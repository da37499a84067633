"""Whether a change that was to document left the code as it is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from coder.workflows.evidence import Gate
from coder.workflows.gates.source import ChangedFile
from coder.workflows.gates.tests import some

if TYPE_CHECKING:
    from pygments.lexer import Lexer

NAME = "code-unchanged"
MAX_CHARACTERS = 50_000
"""Of a file in another language than Python; a longer one is not read for its comments, since lexers are slow."""
_ASKED = re.compile(
    r"\s*(?:please\s+)?(?:(?:re-?)?document\s+(?:(?:the|all|every|each|this|these|how|what|why|public|its)\b|[\w/-]*[._][\w./-]*)"
    r"|(?:add|write|improve|update|complete|extend)\s+(?:[\w'-]+\s+){0,3}?"
    r"(?:docs|doc\s?strings?|documentation|comments|readme)\b)",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"\b(?:fix|implement|refactor|rename|change|remove|delete|rewrite|support|tests?)\b", re.IGNORECASE
)
_PROSE = frozenset({".md", ".rst", ".adoc", ".markdown"})
_PROSE_NAMES = re.compile(
    r"(?:readme|changelog|changes|contributing|authors|notes|security)(?:\.txt)?", re.IGNORECASE
)
_LEXERS = {
    ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript", ".ts": "typescript",
    ".tsx": "typescript", ".java": "java", ".go": "go", ".rs": "rust", ".c": "c", ".h": "c", ".cc": "cpp",
    ".cpp": "cpp", ".hpp": "cpp", ".cs": "csharp", ".rb": "ruby", ".kt": "kotlin", ".swift": "swift", ".sh": "bash",
}  # fmt: skip


def asks_for_docs(task: str) -> bool:
    """Whether `task` asks to document, and for nothing that would change code."""
    return bool(_ASKED.match(task)) and not _MORE.search(task)


def code_unchanged(files: Sequence[ChangedFile]) -> Gate:
    """Only prose, docstrings and comments differ. A file that cannot be told apart counts as code."""
    changed = [file.path for file in files if not _is_prose(file.path) and not _same_code(file)]
    if changed:
        return Gate(NAME, False, f"the task asks for documentation, but code was changed: {some(changed)}")
    return Gate(NAME, True, "only prose, docstrings and comments were changed")


def _is_prose(path: str) -> bool:
    pure = PurePosixPath(path)
    in_docs = pure.suffix == ".txt" and "docs" in pure.parts[:-1]
    return pure.suffix.lower() in _PROSE or in_docs or bool(_PROSE_NAMES.fullmatch(pure.name))


def _same_code(file: ChangedFile) -> bool:
    if file.old is None or file.new is None:
        return False
    if file.path.endswith((".py", ".pyi")):
        return _same_python(file.old, file.new)
    name = _LEXERS.get(PurePosixPath(file.path).suffix)
    if name is None or max(len(file.old), len(file.new)) > MAX_CHARACTERS:
        return False
    return list(_code_of(file.old, name)) == list(_code_of(file.new, name))


def _same_python(old: bytes, new: bytes) -> bool:
    try:
        return _without_docstrings(old) == _without_docstrings(new)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _without_docstrings(source: bytes) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [each for number, each in enumerate(node.body) if not _says_nothing(each, number)]
    return ast.dump(tree)


def _says_nothing(node: ast.stmt, number: int) -> bool:
    """A docstring, or what fills a body that has none."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return node.value.value is ... or (number == 0 and isinstance(node.value.value, str))
    return isinstance(node, ast.Pass)


def _code_of(source: bytes, name: str) -> Iterator[tuple[str, str]]:
    """The tokens that are neither comment nor white space."""
    for kind, text in _lexer(name).get_tokens(source.decode("utf-8", "replace")):
        word = str(kind)
        comment = word.startswith(("Token.Comment", "Token.Literal.String.Doc"))
        if text.strip() and (not comment or "Preproc" in word or "Hashbang" in word):
            yield word, text.strip()


def _lexer(name: str) -> Lexer:
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(name)
