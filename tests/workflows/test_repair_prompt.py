"""What the model is shown: the code that ran, the first failing report, and holes where it shall write anew."""

from __future__ import annotations

from textwrap import dedent

import pytest

from coder.workflows.definitions import Definition
from coder.workflows.localise import localise
from coder.workflows.repair_prompt import (
    MAX_SOURCE,
    Case,
    View,
    holes,
    prompt,
    report,
    rewrites,
    without_marks,
)

LIB = dedent('''\
    """A docstring of the file."""
    import math

    LIMIT = 10
    UNUSED = 11


    class Box:
        """A box."""

        sides = 6

        def __init__(self, content=[]):
            self.content = content

        def put(self, thing):
            """Put one thing in."""
            for other in self.content:
                if other == thing:
                    return False
            if len(self.content) > LIMIT:
                raise OverflowError(
                    "full"
                )
            self.content.append(thing)
            return True


    def unrelated():
        return 1
    ''')
TEST = "from lib import Box\n\ndef test_put():\n    assert Box().put(1)\n"


def case(lib: str = LIB, task: str = "") -> Case:
    files = {"lib.py": lib.encode(), "test_lib.py": TEST.encode()}
    scene = localise(files.__getitem__, files, ("test_lib.py::test_put",), "")
    return Case(scene, scene.suspects, (), "E   assert False", task)


def definition(name: str, lib: str = LIB) -> Definition:
    return next(s.definition for s in case(lib).suspects if s.definition.name == name)


def test_the_free_view_shows_the_suspected_code_its_class_and_its_constants():
    text = prompt(case(), View())
    assert all(part in text for part in ("import math", "LIMIT = 10", "sides = 6", "def put", "assert False"))
    assert "unrelated" not in text
    assert "UNUSED" not in text


def test_a_rewrite_hides_the_body_but_not_the_docstring():
    text = prompt(case(), rewrites(definition("put")))
    assert (
        '"""Put one thing in."""\n        # TODO: write this body, using self.content, LIMIT, OverflowError\n'
        in text
    )
    assert "append" not in text
    assert "LIMIT = 10" in text
    assert "method `put`" in text


def test_a_rewrite_does_not_show_a_shared_default_again():
    assert "def __init__(self, content=None):" in prompt(case(), rewrites(definition("__init__")))


def test_each_hole_hides_one_statement_or_one_header():
    put = definition("put")
    lines = LIB.splitlines()
    hidden = [[lines[i].strip() for i in view.hidden or ()] for view in holes(put)]
    assert hidden == [
        ["for other in self.content:"],
        ["if other == thing:"],
        ["return False"],
        ["if len(self.content) > LIMIT:"],
        ["raise OverflowError(", '"full"', ")"],
        ["self.content.append(thing)"],
        ["return True"],
    ]
    text = prompt(case(), holes(put)[5])
    assert "            )\n        # FILL IN THE MISSING CODE HERE\n        return True" in text


def test_a_function_of_one_statement_has_no_holes():
    assert holes(definition("__init__")) == []


def test_marks_that_an_answer_repeats_are_removed():
    assert (
        without_marks("def f():\n    # TODO: write this body, using x\n    return 1\n")
        == "def f():\n    return 1\n"
    )


def test_a_large_source_is_cut_to_the_most_suspected():
    many = LIB + "".join(f"\n\ndef f{i}(x):\n    return {'x + ' * 40}{i}\n" for i in range(100))
    many = many.replace("self.content.append(thing)", "; ".join(f"f{i}(thing)" for i in range(100)))
    text = prompt(case(many), rewrites(definition("put", many)))
    assert len(text) < MAX_SOURCE + 3000
    assert "def put" in text


@pytest.mark.parametrize(
    ("task", "shown"), [("test_lib.py::test_put", False), ("put must refuse what is there", True)]
)
def test_a_task_is_shown_when_it_says_something(task, shown):
    assert (task in prompt(case(task=task), View())) is shown


PYTEST = """\
=================================== FAILURES ===================================
____________________________________ test_a ____________________________________

    def test_a():
>       assert 1 == 2
E       assert 1 == 2

test_a.py:2: AssertionError
____________________________________ test_b ____________________________________
E       second
=========================== short test summary info ============================
FAILED test_a.py::test_a - assert 1 == 2
"""


def test_the_report_is_the_first_failing_test_s():
    assert report(PYTEST, 1000) == (
        "    def test_a():\n>       assert 1 == 2\nE       assert 1 == 2\n\ntest_a.py:2: AssertionError"
    )


def test_a_long_report_keeps_its_end_and_other_output_too():
    assert report(PYTEST, 60) == "E       assert 1 == 2\n\ntest_a.py:2: AssertionError"
    assert report("make: *** [test] Error 1", 1000) == "make: *** [test] Error 1"
