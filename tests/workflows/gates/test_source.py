"""When two changes are the same."""

from __future__ import annotations

from coder.workflows.gates.source import ChangedFile, essence

OLD = b"x = 1\n"


def changed(new: bytes | None, path: str = "a.py") -> bytes:
    return essence([ChangedFile(path, OLD, new)])


def test_comments_and_layout_of_python_make_no_difference() -> None:
    assert changed(b"x = (1 +\n  2)  # three\n") == changed(b"x = 1 + 2\n")


def test_code_does() -> None:
    assert changed(b"x = 2\n") != changed(b"x = 3\n")
    assert changed(b"'''told'''\nx = 2\n") != changed(b"x = 2\n")
    assert changed(None) != changed(b"")
    assert changed(b"x = 2\n") != changed(b"x = 2\n", "b.py")


def test_every_byte_of_what_is_no_python_does() -> None:
    assert changed(b"# a\n", "a.sh") != changed(b"# b\n", "a.sh")
    assert changed(b"x = (  # a\n") != changed(b"x = (  # b\n")
