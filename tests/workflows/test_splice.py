"""An answer's functions over the old ones: position, indentation, line ends, imports, and what is refused."""

from __future__ import annotations

from textwrap import dedent

import pytest

from coder.workflows.definitions import Module, parse
from coder.workflows.splice import Refusal, Splice, answer_is_complete, code_of, cut_after, splice

ACCOUNT = dedent('''\
    """Accounts."""

    import math


    class Account:
        """Money of one person."""

        limit = 10

        def __init__(self, owner: str, balance: int = 0) -> None:
            self.owner = owner
            self.balance = balance

        @property
        def empty(self) -> bool:
            return self.balance == 1

        def withdraw(self, amount: int) -> int:
            """Take money out."""
            # the bank asks no questions
            self.balance -= amount
            return self.balance


    class Other:
        def withdraw(self, amount, reason):
            return amount
    ''')


def fenced(code: str) -> str:
    return f"It is wrong.\n\n```python\n{dedent(code)}```\nThat is all.\n"


def module(text: str | bytes, path: str = "bank.py") -> Module:
    parsed = parse(path, text if isinstance(text, bytes) else text.encode())
    assert parsed is not None
    return parsed


def lay(answer: str, *modules: Module) -> Splice | Refusal:
    return splice(answer, {m.path: m for m in modules}, [d for m in modules for d in m.definitions])


def changed(answer: str, old: Module) -> str:
    result = lay(answer, old)
    assert isinstance(result, Splice), result
    return result.files[old.path].decode(old.encoding)


def refused(answer: str, *modules: Module) -> str:
    result = lay(answer, *modules)
    assert isinstance(result, Refusal), result
    return result.reason


def test_a_function_is_replaced_and_nothing_else():
    old = module("A = 1\n\n\ndef one():\n    return 2\n\n\ndef two():\n    return 2\n")
    assert changed(fenced("def one():\n    return 1\n"), old) == (
        "A = 1\n\n\ndef one():\n    return 1\n\n\ndef two():\n    return 2\n"
    )


def test_a_method_gets_its_indentation_back_and_keeps_annotations_docstring_and_comments():
    answer = fenced("""\
        def withdraw(self, amount):
            if amount <= 0:
                raise ValueError("positive, please")
            self.balance -= amount
            return self.balance
        """)
    assert changed(answer, module(ACCOUNT)) == ACCOUNT.replace(
        "        # the bank asks no questions\n",
        "        # the bank asks no questions\n"
        "        if amount <= 0:\n"
        '            raise ValueError("positive, please")\n',
    )


def test_a_method_may_come_indented_or_inside_its_class():
    indented = "```python\n    def withdraw(self, amount):\n        return 0\n```"
    in_class = fenced("class Account:\n    def withdraw(self, amount):\n        return 0\n")
    assert changed(indented, module(ACCOUNT)) == changed(in_class, module(ACCOUNT))
    assert "return self.balance == 1" in changed(in_class, module(ACCOUNT))


def test_stubs_in_a_class_are_what_the_answer_left_out():
    answer = fenced("""\
        class Account:
            def __init__(self, owner: str, balance: int = 0) -> None:
                ...

            def withdraw(self, amount):
                return 0
        """)
    text = changed(answer, module(ACCOUNT))
    assert "self.owner = owner" in text
    assert "return 0" in text


def test_a_property_keeps_its_decorator():
    text = changed(fenced("def empty(self):\n    return self.balance == 0\n"), module(ACCOUNT))
    assert text == ACCOUNT.replace("self.balance == 1", "self.balance == 0")


def test_of_two_methods_with_the_name_the_one_whose_parameters_fit_is_meant():
    text = changed(fenced("def withdraw(self, amount, reason):\n    return -amount\n"), module(ACCOUNT))
    assert text == ACCOUNT.replace("        return amount\n", "        return -amount\n")


def test_a_changed_default_is_a_change():
    old = module("def f(x, seen=[]):\n    seen.append(x)\n    return seen\n")
    answer = fenced("""\
        def f(x, seen=None):
            if seen is None:
                seen = []
            seen.append(x)
            return seen
        """)
    assert changed(answer, old).startswith("def f(x, seen=None):\n    if seen is None:")


def test_windows_line_ends_and_other_encodings_stay():
    old = module("# -*- coding: latin-1 -*-\r\ndef f():\r\n    return 'é!'\r\n".encode("latin-1"))
    result = lay(fenced("def f():\n    return 'é'\n"), old)
    assert isinstance(result, Splice)
    assert result.files["bank.py"] == "# -*- coding: latin-1 -*-\r\ndef f():\r\n    return 'é'\r\n".encode(
        "latin-1"
    )


def test_a_character_that_the_file_cannot_hold_is_refused():
    old = module(b"# -*- coding: latin-1 -*-\ndef f():\n    return 1\n")
    assert "iso-8859-1 cannot hold" in refused(fenced("def f():\n    return '…'\n"), old)


def test_lines_inside_a_string_are_not_indented():
    old = module("class A:\n    def f(self):\n        return 1\n")
    assert changed(fenced('def f(self):\n    return """a\nb"""\n'), old) == (
        'class A:\n    def f(self):\n        return """a\nb"""\n'
    )


def test_new_imports_go_behind_the_old_ones_and_new_helpers_before_their_user():
    answer = fenced("""\
        import math
        import re
        from bank import Account

        def helper(x):
            return re.sub("a", "b", x)

        def withdraw(self, amount):
            return helper(amount)
        """)
    text = changed(answer, module(ACCOUNT))
    assert text.startswith('"""Accounts."""\n\nimport math\nimport re\n\n\ndef helper(x):')
    assert text.index("def helper") < text.index("class Account")


def test_future_imports_stay_first():
    old = module('"""Doc."""\nfrom __future__ import annotations\n\ndef f():\n    return 1\n')
    text = changed(fenced("import re\ndef f():\n    return re.escape('')\n"), old)
    assert text.splitlines()[1:3] == ["from __future__ import annotations", "import re"]


def test_a_table_is_replaced():
    old = module("SIZES = {\n    'k': 1,\n}\n\n\ndef size(unit):\n    return SIZES[unit]\n")
    assert changed(fenced("SIZES = {'k': 1000}\n"), old).startswith("SIZES = {'k': 1000}\n\n\ndef size")


def test_a_whole_file_changes_only_what_differs():
    answer = fenced(
        ACCOUNT.replace("balance == 1", "balance == 0").replace("# the bank asks no questions", "# !")
    )
    result = lay(answer, module(ACCOUNT))
    assert isinstance(result, Splice)
    assert result.changed == ("Account.empty",)
    assert result.files["bank.py"].decode() == ACCOUNT.replace("balance == 1", "balance == 0")


def test_functions_of_two_files_are_changed_together():
    first, second = module("def a():\n    return 1\n", "a.py"), module("def b():\n    return 1\n", "b.py")
    result = lay(fenced("def a():\n    return 2\n\ndef b():\n    return 2\n"), first, second)
    assert isinstance(result, Splice)
    assert result.files == {"a.py": b"def a():\n    return 2\n", "b.py": b"def b():\n    return 2\n"}


def test_nested_and_async_functions():
    old = module("def outer():\n    async def inner():\n        return 1\n    return inner\n")
    assert changed(fenced("async def inner():\n    return 2\n"), old) == (
        "def outer():\n    async def inner():\n        return 2\n    return inner\n"
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Nothing to do.", "no Python function"),
        (fenced("def withdraw(self, amount:\n"), "no Python function"),
        (fenced("def withdraw(self, sum):\n    return 0\n"), "changes the signature of `withdraw`"),
        (fenced("def withdraw(amount):\n    return 0\n"), "changes the signature"),
        (fenced("async def empty(self):\n    return True\n"), "changes the signature"),
        (fenced("def deposit(self):\n    return 0\n"), "names no function"),
        (fenced(ACCOUNT), "same as the old"),
        (fenced("def empty(self):\n    # changed\n    return self.balance == 1\n"), "same as the old"),
    ],
)
def test_what_is_not_worth_a_test_run_is_refused(answer, reason):
    assert reason in refused(answer, module(ACCOUNT))


def test_code_of_takes_the_first_block_that_is_python():
    assert code_of("```\n$ pytest\n```\n\n```py\ndef f(): pass\n```") == "def f(): pass\n"
    assert code_of("def f():\n    return 1") == "def f():\n    return 1"


def test_an_answer_is_complete_when_its_fence_closes():
    text = "So:\n```python\ndef f():\n    return 1\n```"
    assert answer_is_complete(text)
    assert not any(answer_is_complete(text[:n]) for n in range(len(text)))
    assert not answer_is_complete("```\n```")


def test_an_answer_about_one_function_may_be_cut_behind_it():
    text = (
        "```python\nclass A:\n    def f(self):\n\n        return 1\n\n    def g(self):\n        return 2\n```"
    )
    cut = "```python\nclass A:\n    def f(self):\n\n        return 1\n\n"
    assert cut_after(text, "f") == cut
    assert cut_after(cut, "f") is None
    assert cut_after(text, "g") == text[:-3]
    assert cut_after(text, "h") is None


def test_only_the_named_definition_is_changed_but_helpers_come_along():
    old = module("def f():\n    return 1\n\n\ndef g():\n    return 1\n")
    answer = fenced("def help():\n    return 2\n\ndef f():\n    return help()\n\ndef g():\n    return 3\n")
    only = next(d for d in old.definitions if d.name == "f")
    result = splice(answer, {"bank.py": old}, old.definitions, only)
    assert isinstance(result, Splice)
    assert result.changed == ("f",)
    assert b"return 3" not in result.files["bank.py"]
    assert b"def help" in result.files["bank.py"]
