"""Commands in a real sandbox, and what the model is told about them."""

from __future__ import annotations

import pytest

from tests.tools.attempts import Open
from tools.base import Context, Toolbox, ToolResult
from tools.bash import purpose


async def run(toolbox: Toolbox, context: Context, command: str, **more: object) -> ToolResult:
    return await toolbox.call("bash", {"command": command, **more}, context)


async def test_output_comes_as_it_is_and_success_is_not_mentioned(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.txt": "x\n"})
    result = await run(toolbox, context, "pwd; cat a.txt; echo e >&2")
    assert result == ToolResult("/workspace\nx\ne", exit=0)


async def test_a_failure_shows_its_exit_status(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({})
    result = await run(toolbox, context, "echo no; exit 3")
    assert result == ToolResult("no\n[exit status 3]", ok=False, exit=3)


async def test_silence_is_said(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({})
    assert (await run(toolbox, context, "true")).text == "[no output]"
    assert (await run(toolbox, context, "exit 1")).text == "[exit status 1]"


async def test_long_output_is_cut_to_its_ends(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({})
    result = await run(toolbox, context, "seq 1 1000000")
    assert result.truncated
    assert len(result.text) < 10_200
    assert result.text.startswith("1\n2\n")
    assert result.text.endswith("\n1000000")
    assert "bytes left out" in result.text


async def test_control_sequences_do_not_get_through(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({})
    result = await run(toolbox, context, r"printf '\033[31mred\033[0m \033]52;c;aGk=\007\000x\377'")
    assert "\x1b" not in result.text
    assert result.text.startswith("red ")


async def test_a_timeout_is_told_in_words(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({})
    result = await run(toolbox, context, "echo start; sleep 60", timeout=1)
    assert not result.ok
    assert result.text == "start\n[timed out after 1 s and was killed]"
    assert context.edits_since_check == 0


async def test_the_model_cannot_ask_for_more_time_than_there_is(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({})
    context.command_timeout = 1
    assert "after 1 s" in (await run(toolbox, context, "sleep 60", timeout=1000)).text


async def test_output_is_passed_on_while_it_comes(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({})
    seen = bytearray()
    context.on_output = seen.extend
    await run(toolbox, context, "echo one; echo two")
    assert seen == b"one\ntwo\n"


@pytest.mark.parametrize("command", ["", "  \n", "a\0b", "echo \ud800"])
async def test_what_no_shell_takes_is_refused(toolbox: Toolbox, attempt: Open, command: str) -> None:
    context = await attempt({})
    assert not (await run(toolbox, context, command)).ok


@pytest.mark.parametrize(
    ("command", "is_for"),
    [
        ("ls -la && cat a.py | head -5", "look"),
        ("git diff", "look"),
        ("grep -rn 'def f' . 2>/dev/null", "look"),
        ("sed -n 1,20p a.py", "look"),
        ("echo hi", "look"),
        ("ls nowhere 2>&1 | head", "look"),
        ("pytest; sed -i s/a/b/ a.py", "edit"),
        ("pytest 2>&1 | tail -5", "check"),
        ("pytest -q && git diff", "check"),
        ("sed -i s/a/b/ a.py", "edit"),
        ("cat > a.py <<'EOF'\nimport os\npython x\nEOF", "edit"),
        ("echo x >> a.py", "edit"),
        ("rm a.py", "edit"),
        ("git checkout a.py", "edit"),
        ("python -m pytest -q", "check"),
        ("cd src && python3 -c 'print(1)'", "check"),
        ("FOO=1 make test", "check"),
        ("python3 - <<'EOF'\nprint(1)\nEOF", "check"),
        ("sed -i s/a/b/ a.py && pytest", "check"),
        ("./run.sh > out.txt", "check"),
    ],
)
def test_the_purpose_of_a_command(command: str, is_for: str) -> None:
    assert purpose(command) == is_for


@pytest.mark.timeout(5)
@pytest.mark.parametrize("piece", ["<<a ", "sed ", "'", '"', "\n", " ", "A=b ", "<<a\n", "2>&1"])
def test_the_purpose_of_an_endless_command_is_found_quickly(piece: str) -> None:
    purpose(piece * 50_000)


async def test_running_a_program_counts_as_a_check_and_editing_by_command_as_an_edit(
    toolbox: Toolbox, attempt: Open
) -> None:
    context = await attempt({"a.py": "x = 1\n"})
    await run(toolbox, context, "sed -i s/1/2/ a.py")
    assert context.edits_since_check == 1
    await run(toolbox, context, "cat a.py")
    assert context.edits_since_check == 1
    await run(toolbox, context, "no-such-program")
    assert context.edits_since_check == 1
    await run(toolbox, context, "python3 a.py")
    assert (context.edits, context.edits_since_check) == (1, 0)


async def test_a_limit_of_each_process_is_named_as_the_likely_reason(
    toolbox: Toolbox, attempt: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine where this user may make no control group."""
    monkeypatch.setattr("sandbox.cgroups.create", lambda policy: None)
    context = await attempt({"a.py": ""})
    too_much = await run(toolbox, context, "python3 -c 'bytearray(2 << 30)'")
    assert too_much.text.splitlines()[-2:] == [
        "[exit status 1]",
        "[perhaps its limit: 1024 MB for each process (RLIMIT_DATA)]",
    ]
    ordinary = await run(toolbox, context, "python3 -c '1 / 0'")
    assert ordinary.text.splitlines()[-1] == "[exit status 1]"
    handled = await run(toolbox, context, "echo MemoryError")
    assert handled.text == "MemoryError"
