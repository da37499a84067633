"""The gates that only read the change."""

from __future__ import annotations

import pytest

from coder.workflows.gates.files import minimal, no_secrets, parses, runs_nothing_later
from coder.workflows.gates.source import ChangedFile, changed_files
from sandbox.workspace import Change, TreeFile

CODE = b"".join(b"value_%d = 'text'\n" % number for number in range(30))


def file(
    path: str = "shop.py", old: bytes | None = b"a = 1\n", new: bytes | None = b"a = 2\n"
) -> ChangedFile:
    return ChangedFile(path, old, new)


@pytest.mark.parametrize(
    ("old", "new", "passes"),
    [
        (b"x = 1", b"x = 2", True),
        (b"x = 1", b"x = (", False),
        (None, b"x = (", False),
        (b"x = (", b"x = [", True),  # broken before: not this change's doing
        (b"x = 1", b"x = 2 # \xc3\xa9", True),
        (b"x = 1", None, True),
    ],
)
def test_python_that_parsed_must_still_parse(old: bytes | None, new: bytes | None, passes: bool) -> None:
    assert parses([file(old=old, new=new)]).passed is passes


def test_a_small_change_is_minimal_and_counted() -> None:
    gate = minimal([file()], "the sum is wrong", strict=True)
    assert gate.passed
    assert gate.detail == "1 changed line in 1 file"


@pytest.mark.parametrize(
    "path", ["calc.py.orig", "src/calc.py.rej", "src/__pycache__/a.pyc", "run.log", "a.py~"]
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_tools_leave_behind_is_stray_in_every_task(path: str, strict: bool) -> None:
    assert not minimal([file(path, None, b"")], "fix it", strict=strict).passed


@pytest.mark.parametrize(
    "path", ["repro.py", "reproduce_bug.py", "debug.py", "fix_it.py", "test.py", "change.patch"]
)
def test_what_was_tried_out_is_stray_in_a_fix(path: str) -> None:
    assert not minimal([file(path, None, b"x = 1")], "totals are wrong", strict=True).passed
    assert minimal([file(path, None, b"x = 1")], f"write {path}", strict=True).passed
    assert minimal([file(path, None, b"x = 1")], "write a script", strict=False).passed


@pytest.mark.parametrize(
    "path", ["shop/debug.py", "shop/fix_prices.py", "tests/test_shop.py", "docs/notes.md"]
)
def test_new_modules_and_tests_are_no_strays(path: str) -> None:
    assert minimal([file(path, None, b"x = 1")], "totals are wrong", strict=True).passed


@pytest.mark.parametrize(
    "laid_out",
    [
        CODE.replace(b"'", b'"'),
        CODE.replace(b" = ", b"="),
        b"    " + CODE.replace(b"\n", b"\n    ").strip(b" "),
        CODE.replace(b"\n", b"\r\n").replace(b"text", b"text "),
    ],
)
def test_a_file_that_was_laid_out_anew_is_not_minimal(laid_out: bytes) -> None:
    gate = minimal([file(old=CODE, new=laid_out)], "totals are wrong", strict=True)
    assert not gate.passed
    assert "shop.py was reformatted" in gate.detail
    assert minimal([file(old=CODE, new=laid_out)], "use double quotes", strict=False).passed


def test_a_large_real_change_is_no_reformatting() -> None:
    assert minimal([file(old=CODE, new=CODE.replace(b"text", b"words"))], "wrong words", strict=True).passed


SECRETS = {
    "private key": "-----BEGIN RSA PRIVATE " + "KEY-----",
    "AWS access key": "key = AKIA" + "Q3EGRXAMPLE7Z5TW"[:16],
    "GitHub token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "NVIDIA key": "nvapi-" + "Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2Ji1Hg0Fe9Dc8Ba7Zx6Yw5",
    "API key": "sk-" + "proj-9fA8bC7dE6fG5hI4jK3l",
    "password in an address": "postgres://shop:h7Kq2pL9x@db/main",
    "assigned secret": 'DB_PASSWORD = "h7Kq2pL9xW"',
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_named_and_never_shown(kind: str) -> None:
    gate = no_secrets([file(new=b"a = 1\n" + SECRETS[kind].encode() + b"\n")])
    assert not gate.passed
    assert f"shop.py:2 ({kind})" in gate.detail
    assert SECRETS[kind] not in gate.detail


@pytest.mark.parametrize(
    "line",
    [
        'password = "changeme-please"',
        'password = os.environ["DB_PASSWORD"]',
        'token = "<your token 123>"',
        "def tokenize(text): return text.split()",
        'api_key="{api_key_1}"',
        "https://user@example.org/path",
        'secret_name = "database"',
        "postgres://shop:${PASSWORD_1}@db/main",
    ],
)
def test_ordinary_lines_are_no_secrets(line: str) -> None:
    assert no_secrets([file(new=line.encode())]).passed


def test_a_secret_that_was_there_before_or_is_test_data_is_not_this_changes() -> None:
    secret = SECRETS["assigned secret"].encode()
    assert no_secrets([file(old=secret, new=secret + b"\nx = 1")]).passed
    assert no_secrets([file("tests/test_login.py", None, secret)]).passed


def test_files_that_run_later_need_the_users_word() -> None:
    flagged = ["Makefile (runs when the project is built)"]
    assert not runs_nothing_later(flagged, allowed=False).passed
    assert "--allow-runs-later" in runs_nothing_later(flagged, allowed=False).detail
    assert runs_nothing_later(flagged, allowed=True).passed
    assert runs_nothing_later([], allowed=False).passed


def test_binary_files_and_links_have_no_lines() -> None:
    assert file(old=b"\0\1", new=b"\0\2").hunks() == ()
    link = Change("link", "added", None, TreeFile("120000", "id"))
    assert changed_files([link], {"id": b"/etc/passwd"}.__getitem__) == ()


def test_added_lines_have_the_new_files_numbers() -> None:
    changed = file(old=b"a\nb\nc\n", new=b"a\nx\nb\nc\ny\n")
    assert list(changed.added()) == [(2, "x"), (5, "y")]
