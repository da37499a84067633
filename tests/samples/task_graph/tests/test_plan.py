import pytest
from build_plan.estimate import critical_path, total_seconds
from build_plan.graph import CycleError, Graph
from build_plan.parse import parse_plan
from build_plan.task import Task

PLAN = """
test: build 3
build: fetch 2
fetch:
"""


def test_parse():
    assert parse_plan(PLAN)[0] == Task("test", ("build",), 3.0)


def test_total():
    assert total_seconds(parse_plan(PLAN)) == 6.0


def test_needed_tasks_come_first():
    assert Graph(parse_plan(PLAN)).order() == ["fetch", "build", "test"]


def test_critical_path():
    assert critical_path(parse_plan(PLAN)) == 6.0


def test_cycle():
    with pytest.raises(CycleError):
        Graph([Task("a", ("b",)), Task("b", ("a",))]).order()
