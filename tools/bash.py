"""Run a command in the sandbox; the model sees the two ends of what it printed."""

from __future__ import annotations

import re
from typing import Literal

from sandbox.base import Result
from tools.base import Arguments, Context, ToolResult, describe, parameters
from tools.text import of_result, words

_NOT_RUN = (126, 127)
_SEPARATORS = re.compile(r"&&|\|\||[;|\n&()]")
_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"")
_LOOKING = words(
    "ls cat head tail less more grep rg egrep fgrep find sed awk wc cd pwd echo printf tree file stat which type "
    "git diff sort uniq cut tr xargs true false test [ export set env date du df ps id whoami uname sleep nl "
    "column jq then do done fi if for while else in"
)
_CHANGING = words("cp mv rm touch mkdir tee patch ln chmod dd truncate rmdir install")
_CHANGES_IN_PLACE = re.compile(
    r"\bsed\b.*\s-[a-zA-Z]*i|\bgit\s+(apply|checkout|restore|stash|reset|revert|mv|rm)\b"
)
_REDIRECT = re.compile(r"(?<![0-9&])[12]?>{1,2}(?!\s*(?:/dev/|&|/tmp/))")
_ASSIGNMENTS = re.compile(r"^(?:\w+=\S*\s+)+")
_DUPLICATED = re.compile(r"\d*[<>]&[\d-]|&(?=>)")
_HERE_DOCUMENT = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")
_NO_MEMORY = re.compile(
    r"MemoryError|[Cc]annot allocate memory|std::bad_alloc|[Oo]ut of memory|OutOfMemoryError"
    r"|memory allocation of \d+ bytes failed"
)
"""What programs say that were refused memory: Python, libc and shells, C++, Go and JavaScript, Java, Rust."""
_PART = 2_000
"""Characters of one simple command that are looked at."""
Purpose = Literal["look", "edit", "check"]


class Bash:
    name = "bash"
    parameters = parameters(
        ("command",),
        command={"type": "string"},
        timeout={"type": "number"},
    )

    @property
    def description(self) -> str:
        return describe("bash")

    async def run(self, args: Arguments, context: Context) -> ToolResult:
        command = args["command"]
        if not command.strip():
            return ToolResult("`command` is empty.", ok=False)
        asked = args.get("timeout") or context.command_timeout
        seconds = min(max(1.0, asked), context.command_timeout)
        result = await context.sandbox.run(command, timeout=seconds, on_output=context.on_output)
        _note(command, result, context)
        shown, cut = of_result(result)
        remarks = [*_remarks(result, seconds, bool(shown.strip())), _memory(result, shown, context)]
        text = "\n".join(part for part in (shown.rstrip(), *remarks) if part)
        return ToolResult(text, ok=result.ok, exit=result.exit, truncated=cut)


def _memory(result: Result, shown: str, context: Context) -> str:
    """A guess, where memory is limited for each process alone: nobody counts how often that limit refused some.

    For the model to read and for nothing else: a program can print these words for other reasons.
    """
    if not result.exit or result.oom or result.killed or result.timed_out or not _NO_MEMORY.search(shown):
        return ""
    limit = next((item for item in context.sandbox.guarantees() if item.name == "memory"), None)
    return f"[perhaps its limit: {limit.how.partition(';')[0]}]" if limit and not limit.enforced else ""


def purpose(command: str) -> Purpose:
    """What a command is for, judged by its words: only looking, changing files, or running a program.

    The last part that does more than look decides. A guess for the finish gate and nothing else: what changed
    is measured, and verdicts come from elsewhere.
    """
    plain = _DUPLICATED.sub(" ", _QUOTED.sub("''", _without_documents(command)))
    last: Purpose = "look"
    for part in _SEPARATORS.split(plain):
        named = _ASSIGNMENTS.sub("", part[:_PART].strip()).split(maxsplit=1)
        if named and not named[0].startswith(("<", ">", "#", "$")):
            last = _purpose_of(part[:_PART], named[0].rpartition("/")[2], last)
    return last


def _without_documents(command: str) -> str:
    """The command without the contents of its here-documents."""
    kept: list[str] = []
    end = ""
    for line in command.split("\n"):
        if end:
            end = "" if line.strip() == end else end
            continue
        kept.append(_HERE_DOCUMENT.sub("", line))
        opened = _HERE_DOCUMENT.search(line)
        end = opened[1] if opened else ""
    return "\n".join(kept)


def _purpose_of(part: str, program: str, otherwise: Purpose) -> Purpose:
    if program not in _LOOKING and program not in _CHANGING:
        return "check"
    if program in _CHANGING or _CHANGES_IN_PLACE.search(part) or _REDIRECT.search(part):
        return "edit"
    return otherwise


def _note(command: str, result: Result, context: Context) -> None:
    match purpose(command):
        case "check" if result.exit is not None and result.exit not in _NOT_RUN and not result.timed_out:
            context.note_check()
        case "edit":
            context.note_edit()


def _remarks(result: Result, seconds: float, printed: bool) -> list[str]:
    """What the output itself does not say, a short line each."""
    remarks = []
    if result.timed_out:
        remarks.append(f"[timed out after {seconds:g} s and was killed]")
    elif result.oom:
        remarks.append("[killed: out of memory]")
    elif result.killed:
        why = {"output": "printed too much", "disk": "wrote too much to disk"}.get(
            result.killed, result.killed
        )
        remarks.append(f"[killed: {why}]")
    elif result.exit:
        remarks.append(f"[exit status {result.exit}]")
    elif not printed:
        remarks.append("[no output]")
    if result.lost:
        remarks.append("[the sandbox was restarted: background processes and /tmp are gone]")
    return remarks
