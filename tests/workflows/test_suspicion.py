"""The order of suspects: what ran, what passing tests vouch for, what only passed values on."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from coder.workflows.definitions import FunctionNode
from coder.workflows.localise import Scene, localise
from coder.workflows.suspicion import calls_of, executed, mutable_defaults, rank, substance
from coder.workflows.trace import Call

LIB = dedent("""\
    RATES = {"a": 1, "b": 2}


    def total(items):
        return sum(price(item) * 2 for item in items)


    def price(item):
        if item not in RATES:
            return 0
        return RATES[item] + 1


    def discount(amount):
        if amount > 10:
            return amount // 2
        return amount


    def pay(items):
        return discount(total(items))
    """)
TEST = "from lib import pay\n\ndef test_pay():\n    assert pay(['a']) == 3\n\ndef test_more():\n    assert pay('') == 0\n"
FAILING = ("test_lib.py::test_pay",)


def scene() -> Scene:
    files = {"lib.py": LIB.encode(), "test_lib.py": TEST.encode()}
    return localise(files.__getitem__, files, FAILING, "")


def call(name: str, argument: str, result: str, test: str = FAILING[0]) -> Call:
    line = LIB[: LIB.index(f"def {name}")].count("\n") + 1
    return Call("lib.py", line, name, (("x", argument),), result, test)


RUN = (call("price", "'a'", "222"), call("total", "['a']", "444"), call("pay", "['a']", "444"))


def names(calls: tuple[Call, ...]) -> list[str]:
    return [s.definition.name for s in rank(scene(), calls, FAILING)]


def test_what_did_not_run_comes_last():
    assert names(RUN)[-1] == "discount"
    assert names(())[-1] != "discount"


def test_a_function_that_passing_tests_vouch_for_is_less_suspicious():
    vouching = call("price", "'a'", "222", test="test_lib.py::test_more")
    assert names(RUN)[0] == "price"
    assert names((*RUN, vouching))[0] != "price"


def test_a_function_that_only_hands_on_a_result_is_less_suspicious():
    different = (*RUN[:2], call("pay", "['a']", "555"))
    gap = [
        {s.definition.name: s.score for s in rank(scene(), calls, FAILING)}["pay"]
        for calls in (RUN, different)
    ]
    assert gap[0] < gap[1]


def test_the_first_function_to_raise_is_more_suspicious():
    raising = (call("price", "'a'", "222"), call("total", "['a']", "raises"), call("pay", "['a']", "raises"))
    assert names(raising)[0] == "total"


def test_a_constant_is_as_suspicious_as_its_user_less_a_part():
    scores = {s.definition.name: s.score for s in rank(scene(), RUN, FAILING)}
    assert 0 < scores["RATES"] < scores["price"]


def test_executed_keeps_the_order_of_the_calls():
    assert [d.name for d in executed(scene(), RUN)] == ["price", "total", "pay"]


def test_calls_of_the_first_failing_test_that_called_anything():
    assert calls_of(RUN, ("test_lib.py::other", *FAILING)) == list(RUN)
    assert calls_of(RUN, ()) == []


def function(code: str) -> FunctionNode:
    node = ast.parse(dedent(code)).body[0]
    assert isinstance(node, FunctionNode)
    return node


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("a, b=[]", ["b"]),
        ("a=1, *, b={}, c, d=set()", ["b", "d"]),
        ("a=(), b=None, c=dict", []),
        ("a=list(), /", ["a"]),
    ],
)
def test_mutable_defaults(signature, expected):
    assert mutable_defaults(function(f"def f({signature}): pass")) == expected


def test_substance_counts_a_function_without_those_inside_it():
    inner = function("def f():\n    def g(x):\n        return x + 1 if x > 2 else x * 3\n    return g\n")
    plain = function("def f(x):\n    return x + 1 if x > 2 else x * 3\n")
    assert 0 < substance(inner) < substance(plain) < 1
