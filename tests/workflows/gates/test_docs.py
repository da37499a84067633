"""Documentation that is only documentation."""

from __future__ import annotations

import pytest

from coder.workflows.gates.docs import MAX_CHARACTERS, asks_for_docs, code_unchanged
from coder.workflows.gates.source import ChangedFile

PLAIN = b"def add(a, b):\n    return a + b\n"
TOLD = b'"""Sums."""\n\n\ndef add(a, b):\n    """The sum."""\n    # both are numbers\n    return a + b\n'


def outcome(path: str, old: bytes | None, new: bytes | None) -> str:
    return code_unchanged([ChangedFile(path, old, new)]).outcome


@pytest.mark.parametrize(
    "task",
    [
        "document the public functions of calc.py",
        "Document calc.py",
        "please document every class",
        "re-document this module",
        "add docstrings to calc.py",
        "Write the missing documentation for add()",
        "improve the README",
        "update our docs: the flags are new",
        "add comments where the code is hard to follow",
    ],
)
def test_a_task_that_asks_for_documentation(task: str) -> None:
    assert asks_for_docs(task)


@pytest.mark.parametrize(
    "task",
    [
        "document upload fails with a 500",
        "the document is empty",
        "documents are sorted the wrong way",
        "document calc.py and fix what you find",
        "add docstrings and tests to calc.py",
        "write tests for calc.py",
        "add a flag that prints the documentation",
        "",
    ],
)
def test_a_task_that_asks_for_more_or_for_something_else(task: str) -> None:
    assert not asks_for_docs(task)


def test_docstrings_and_comments_are_no_code() -> None:
    assert outcome("calc.py", PLAIN, TOLD) == "passed"
    assert outcome("calc.py", TOLD, PLAIN) == "passed"
    assert outcome("calc.py", b"class A:\n    pass\n", b'class A:\n    """Empty."""\n') == "passed"


@pytest.mark.parametrize(
    "new",
    [
        PLAIN.replace(b"+", b"-"),
        b"x = 1\n" + PLAIN,
        TOLD.replace(b"return a + b", b"return b + a"),
        b"def add(a, b):\n    return a +\n",
        PLAIN.replace(b"    return a + b", b"    'not the first'; 1\n    return a + b"),
    ],
)
def test_code_that_came_along(new: bytes) -> None:
    gate = code_unchanged([ChangedFile("calc.py", PLAIN, new)])
    assert gate.outcome == "failed"
    assert "calc.py" in gate.detail


@pytest.mark.parametrize(
    "path", ["README.md", "docs/guide.rst", "docs/notes.txt", "CHANGELOG", "a/README.txt"]
)
def test_prose_may_come_go_and_change(path: str) -> None:
    assert outcome(path, None, b"x = 1\n") == "passed"
    assert outcome(path, b"old\n", b"new\n") == "passed"
    assert outcome(path, b"old\n", None) == "passed"


@pytest.mark.parametrize("path", ["new.py", "requirements.txt", "setup.cfg", "data.json", "docs/conf.py"])
def test_a_new_file_that_is_no_prose_is_code(path: str) -> None:
    assert outcome(path, None, b"# nothing but a comment\n") == "failed"


@pytest.mark.parametrize(
    ("path", "old", "comment"),
    [
        ("a.js", b"const a = 1;\n", b"// one\nconst a = 1; /* here */\n"),
        ("a.go", b"package a\nfunc A() {}\n", b"package a\n// A does nothing.\nfunc A() {}\n"),
        ("a.rs", b"fn a() {}\n", b"/// Does nothing.\nfn a() {}\n"),
        ("a.c", b"#include <a.h>\nint a;\n", b"#include <a.h>\n/* one */\nint a;\n"),
        ("a.sh", b"#!/bin/sh\necho a\n", b"#!/bin/sh\n# says a\necho a\n"),
    ],
)
def test_comments_of_other_languages(path: str, old: bytes, comment: bytes) -> None:
    assert outcome(path, old, comment) == "passed"
    assert outcome(path, old, comment.replace(b"a", b"b")) == "failed"


def test_what_looks_like_a_comment_and_is_none() -> None:
    assert outcome("a.js", b'const a = "// x";\n', b'const a = "// y";\n') == "failed"
    assert outcome("a.sh", b"#!/bin/sh\necho a\n", b"#!/bin/evil\necho a\n") == "failed"
    assert outcome("a.c", b"#define A 1\n", b"#define A 2\n") == "failed"


def test_what_cannot_be_told_apart_counts_as_code() -> None:
    assert outcome("a.zig", b"const a = 1;\n", b"// one\nconst a = 1;\n") == "failed"
    long = b"// x\n" * MAX_CHARACTERS
    assert outcome("a.js", long, long + b"// y\n") == "failed"
