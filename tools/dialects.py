"""The names under which models know tools, and the way from any name that they make up to a tool of ours."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.text import words

EDITOR = "str_replace_editor"


@dataclass(frozen=True, slots=True)
class Alias:
    """A made-up name: the tool that is meant and the arguments that the name implies."""

    tool: str
    implied: Mapping[str, Any] = field(default_factory=dict)
    program: bool = False
    """The name is a program too: with a `command` argument the shell is meant."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """`tool_names` maps our names to those that the model sees, where they differ."""

    name: str
    tool_names: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, Alias] = field(default_factory=dict)

    def shown(self, tool: str) -> str:
        return self.tool_names.get(tool, tool)


@dataclass(frozen=True, slots=True)
class Route:
    """The tool that a name leads to (empty: a thought, nothing to run) and the arguments as given."""

    tool: str
    arguments: dict[str, Any]


def _editor(command: str = "", *, program: bool = False) -> Alias:
    return Alias(EDITOR, {"command": command} if command else {}, program)


def _all(alias: Alias, names: str) -> dict[str, Alias]:
    return dict.fromkeys(words(names), alias)


# Names seen in open models' transcripts (the OpenHands SDK's alias table and bug reports,
# SWE-agent's and NeMo Gym's tool sets) and those of the widespread agents.
ALIASES: Mapping[str, Alias] = {
    **_all(
        Alias("bash"),
        "execute_bash terminal command execute shell run cmd exec console execute_command run_command "
        "run_shell_command exec_command run_terminal_cmd run_in_terminal shell_command local_shell sh",
    ),
    **_all(
        _editor(),
        "file_editor str_replace_based_edit_tool editor edit edit_file file_edit str_edit modify_file "
        "text_editor update_file",
    ),
    **_all(_editor("str_replace"), "str_replace replace search_replace replace_in_file find_and_replace"),
    **_all(_editor("view"), "view view_file read read_file open open_file show show_file get_file file_read"),
    **_all(_editor("view", program=True), "cat ls tree list_dir list_files list_directory"),
    **_all(
        _editor("create"), "create create_file write write_file write_to_file new_file save_file file_write"
    ),
    **_all(_editor("insert"), "insert insert_lines insert_text insert_line"),
    **_all(_editor("undo_edit"), "undo undo_edit revert"),
    **_all(
        Alias("search", program=True),
        "grep rg ripgrep find glob find_file find_files grep_search search_files search_code "
        "search_codebase code_search search_dir search_file file_search",
    ),
    **_all(Alias("run_tests", program=True), "test tests run_test pytest runtests run_pytest test_runner"),
    **_all(
        Alias("plan"),
        "task_tracker todo todos todowrite todo_write write_todos update_plan todo_list planner",
    ),
    **_all(
        Alias("submit"),
        "finish done complete end exit attempt_completion task_complete final_answer task_done",
    ),
    **_all(Alias(""), "think thinking thought reflect note"),
}

NEMOTRON = Dialect("nemotron")
"""Its software tasks were trained with exactly `bash`, `str_replace_editor` and `submit`."""
OPENHANDS = Dialect("openhands", {"bash": "execute_bash", "submit": "finish"})
DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (NEMOTRON, OPENHANDS)}

_PROGRAMS = words(
    "git python python3 pip sed awk head tail wc find grep rg cat ls tree make npm npx node go cargo mvn gradle "
    "pwd cd echo mkdir rm cp mv touch diff patch env which pytest tox ruff mypy black uv reset"
)
_PREFIX = re.compile(r"(?:<?/?(?:function|tool_call|tool)s?[=:>]\s*)*(?:[A-Za-z_]\w*[.:/](?=[A-Za-z_]))*")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w-]*")
_SHELL_KEYS = frozenset({"command", "cmd", "script", "bash_command", "shell_command"})


def route(name: str, arguments: Mapping[str, Any] | str, dialect: Dialect) -> Route | None:
    """The tool that is meant by `name`, or None. Debris around the name is ignored."""
    given = _as_mapping(arguments)
    identifier = leading_identifier(name)
    back = {shown: tool for tool, shown in dialect.tool_names.items()}
    known = ("bash", EDITOR, "search", "run_tests", "plan", "submit")
    tool = back.get(identifier, identifier)
    if tool in known:
        return Route(tool, given)
    if tool in ("python", "ipython", "execute_ipython_cell", "run_python") and "code" in given:
        return Route("bash", {"command": f"python3 - <<'END_OF_CODE'\n{given['code']}\nEND_OF_CODE"})
    alias = dialect.aliases.get(identifier) or ALIASES.get(identifier)
    is_shell = identifier in _PROGRAMS and (alias is None or not given or bool(_SHELL_KEYS & set(given)))
    if is_shell and (alias is None or alias.program):
        return Route("bash", _shell_call(name, identifier, given))
    if alias is None:
        return None
    if alias.program and _SHELL_KEYS & set(given):
        return Route("bash", given)
    return Route(alias.tool, {**alias.implied, **given})


def leading_identifier(name: str) -> str:
    """`str_replace </parameter` -> str_replace, `functions.strReplaceEditor:0` -> str_replace_editor."""
    name = name.strip()
    prefix = _PREFIX.match(name)
    found = _IDENTIFIER.match(name, prefix.end() if prefix else 0) or _IDENTIFIER.search(name)
    return snake(found[0]) if found else ""


def snake(name: str) -> str:
    """camelCase and dashes as snake_case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


def _as_mapping(arguments: Mapping[str, Any] | str) -> dict[str, Any]:
    if isinstance(arguments, Mapping):
        return {str(key): value for key, value in arguments.items()}
    try:
        parsed = json.loads(arguments) if arguments.strip() else {}
    except (ValueError, RecursionError):
        parsed = None
    return {str(key): value for key, value in parsed.items()} if isinstance(parsed, dict) else {"": arguments}


def _shell_call(name: str, program: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A program called as if it were a tool: its command line, put together from name and arguments."""
    written = next((str(given[key]) for key in _SHELL_KEYS if key in given), "")
    rest = {key: value for key, value in given.items() if key == "timeout"}
    if written:
        starts = written.split(maxsplit=1)[:1] == [program]
        return {"command": written if starts else f"{program} {written}", **rest}
    line = name.strip().split("<")[0].strip()
    values = [str(value) for key, value in given.items() if key != "timeout" and isinstance(value, str | int)]
    return {
        "command": " ".join([line if line.startswith(program) else program, *map(shlex.quote, values)]),
        **rest,
    }
