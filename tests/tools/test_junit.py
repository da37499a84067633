"""JUnit reports: node ids that pytest takes back, outcomes counted once, and nothing hostile let in."""

from __future__ import annotations

import pytest

from tools.base import TestCounts
from tools.junit import ReportRefused, TestReport, parse

FILES = {"tests/sub/test_x.py", "tests/base_case.py", "a.b/test_y.py", "lib/tests/test_z.py"}


def read(cases: str, roots: tuple[str, ...] = ("",)) -> TestReport:
    document = f'<?xml version="1.0"?><testsuites><testsuite name="pytest">{cases}</testsuite></testsuites>'
    return parse(document.encode(), FILES.__contains__, roots)


def case(classname: str, name: str, file: str, inner: str = "") -> str:
    return f'<testcase classname="{classname}" name="{name}" file="{file}" time="0.5">{inner}</testcase>'


@pytest.mark.parametrize(
    ("classname", "name", "file", "node_id"),
    [
        ("tests.sub.test_x", "test_a", "tests/sub/test_x.py", "tests/sub/test_x.py::test_a"),
        (
            "tests.sub.test_x.TestC.TestD",
            "test_a",
            "tests/sub/test_x.py",
            "tests/sub/test_x.py::TestC::TestD::test_a",
        ),
        (
            "tests.sub.test_x",
            "test_a[x::y.z/q]",
            "tests/sub/test_x.py",
            "tests/sub/test_x.py::test_a[x::y.z/q]",
        ),
        (
            "tests.sub.test_x.TestC",
            "test_inherited",
            "tests/base_case.py",
            "tests/sub/test_x.py::TestC::test_inherited",
        ),
        ("a.b.test_y.T", "test_u", "a.b/test_y.py", "a.b/test_y.py::T::test_u"),
        ("tests.sub.test_x.TestC", "test_a", "", "tests/sub/test_x.py::TestC::test_a"),
        ("", "tests.sub.test_x", "tests/sub/test_x.py", "tests/sub/test_x.py"),
        ("README.md", "README.md", "README.md", "README.md::README.md"),
        ("gone.test_q", "test_a", "", "gone.test_q::test_a"),
    ],
)
def test_ids_are_those_of_pytest(classname: str, name: str, file: str, node_id: str) -> None:
    assert read(case(classname, name, file)).passed == {node_id}


def test_ids_are_relative_to_the_workspace_where_pytest_has_another_root() -> None:
    report = read(case("tests.test_z", "test_a", "tests/test_z.py"), roots=("", "lib", "lib/tests"))
    assert report.passed == {"lib/tests/test_z.py::test_a"}


def test_outcomes_and_counts() -> None:
    report = read(
        case("t", "a", "t.py")
        + case("t", "b", "t.py", '<failure message="m">trace</failure>')
        + case("t", "c", "t.py", '<error message="failed on setup">trace</error>')
        + case("t", "d", "t.py", '<skipped type="pytest.skip" message="no"/>')
    )
    assert report.counts == TestCounts(passed=1, failed=1, errors=1, skipped=1)
    assert (report.collected, report.seconds) == (4, 2.0)
    assert report.failed == {"t.py::b"}
    assert report.errors == {"t.py::c"}
    assert [entry.detail for entry in report.cases] == ["", "trace", "trace", ""]


def test_of_several_entries_for_one_test_the_worst_counts() -> None:
    twice = case("t", "a", "t.py", "<error>teardown</error>") + case("t", "a", "t.py")
    assert read(twice).counts == TestCounts(errors=1)
    subtests = case(
        "t", "a", "t.py", '<failure message="m">first</failure><failure message="n">second</failure>'
    )
    assert [(entry.message, entry.detail) for entry in read(subtests).cases] == [("m", "first\nsecond")]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not xml",
        b"<html></html>",
        b"<testsuites><testsuite>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><testsuites>&a;</testsuites>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuites></testsuites>',
        b"<testsuites>" * 100 + b"</testsuites>" * 100,
        b"<testsuites>\xff</testsuites>",
    ],
)
def test_what_is_no_plain_report_is_refused(document: bytes) -> None:
    with pytest.raises(ReportRefused):
        parse(document, FILES.__contains__)


def test_strange_numbers_and_endless_text_do_no_harm() -> None:
    report = read(
        '<testcase classname="t" name="a" time="nan"/><testcase classname="t" name="b" time="-1e999"/>'
        + case("t", "c", "t.py", f"<failure message='m'>{'x' * 100_000}</failure>")
        + case("../../etc", "d", "/etc/passwd.py")
    )
    assert report.seconds == 1.0
    assert max(len(entry.detail) for entry in report.cases) == 20_000
