"""Rules of the kind "every command that begins with `pytest`", matched on parsed simple commands.

What this small parser does not understand for sure (expansions, substitutions, redirections, groups, assignments,
here-documents, background jobs) is covered by no rule. So a rule can fail to apply, but never applies to more than
it says.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence

from sandbox.base import WORKDIR
from tools.text import words

Rule = tuple[str, ...]
"""The first words of the commands that it covers."""

_LONGEST = 10_000
_HARMLESS_REDIRECTION = re.compile(r"(?:[12]?>{1,2} ?/dev/null|[12]?>&[12])(?=[ \t\n;|]|&&|\Z)")
_SEPARATOR = re.compile(r"&&|\|\||[|;](?![;&|])|\n")
_PLAIN = re.compile(r"[^\s'\"$`\\(){}<>&#|;\x00-\x1f\x7f]+")
_SINGLE = re.compile(r"'[^'\x00]*'")
_DOUBLE = re.compile(r'"[^"$`\\\x00]*"')
_FILTERS = words("cat head tail wc grep nl cut tr echo true pwd ls")
"""Programs that only read and print, whatever their arguments."""
_RUN_OTHERS = words(
    "eval exec source . command builtin env xargs parallel sh bash dash zsh ksh fish busybox sudo su doas nohup "
    "timeout time nice ionice setsid stdbuf script watch find awk gawk sed vi vim ed ssh chroot unshare trap alias "
    "if then else elif fi case esac for select while until do done in function coproc ! [[ { }"
)
"""Words before a command, and programs whose business is to run what their arguments say."""
_WITH_SUBCOMMANDS = words(
    "git npm npx yarn pnpm cargo go pip pip3 uv poetry make just tox nox hatch docker dotnet mvn"
)
_PYTHON = re.compile(r"python[0-9.]*")


def simple_commands(script: str) -> list[tuple[str, ...]] | None:
    """The words of each simple command in `script`, quotes removed; None where that cannot be told for sure."""
    if len(script) > _LONGEST:
        return None
    commands: list[list[str]] = [[]]
    inside = False
    """Whether a word has begun."""
    place = 0
    while place < len(script):
        if not inside and (skipped := _HARMLESS_REDIRECTION.match(script, place)):
            place = skipped.end()
        elif script[place] in " \t":
            inside = False
            place += 1
        elif border := _SEPARATOR.match(script, place):
            inside = False
            commands.append([])
            place = border.end()
        elif part := _part(script, place, inside=inside):
            if not inside:
                commands[-1].append("")
            inside = True
            commands[-1][-1] += part[1:-1] if part[0] in "'\"" else part
            place += len(part)
        else:
            return None
    found = [tuple(command) for command in commands if command]
    return None if any("=" in command[0] for command in found) else found


def _part(script: str, place: int, *, inside: bool) -> str:
    """The plain or quoted piece of a word that begins here; empty when it is neither."""
    if inside and script[place] == "#":
        return "#"
    kind = {"'": _SINGLE, '"': _DOUBLE}.get(script[place], _PLAIN)
    found = kind.match(script, place)
    return found[0] if found else ""


def parse_rule(text: str) -> Rule | None:
    """The rule that a user wrote, or None when it could not be sure: no words, or a program that runs others."""
    found = simple_commands(text)
    if found is None or len(found) != 1 or found[0][0] in _RUN_OTHERS:
        return None
    return found[0]


def covered(script: str, rules: Iterable[Rule]) -> bool:
    """Whether every simple command of `script` falls under one of `rules`, but for filters and `cd`."""
    known = list(rules)
    found = simple_commands(script)
    if not found:
        return False
    by_rule = [any(_begins(command, rule) for rule in known) for command in found]
    return any(by_rule) and all(
        ruled or _harmless(command) for ruled, command in zip(by_rule, found, strict=True)
    )


def suggest(script: str) -> str:
    """A rule that would cover `script` and what is like it; empty where none can."""
    named = [command for command in simple_commands(script) or [] if not _harmless(command)]
    if not named:
        return ""
    rule = _first_words(named[0])
    text = " ".join(rule)
    return text if parse_rule(text) == rule and covered(script, [rule]) else ""


def _first_words(command: Sequence[str]) -> Rule:
    program, second = command[0], command[1] if len(command) > 1 else ""
    if _PYTHON.fullmatch(program):
        # without a module or a file the rule would be for any code at all
        return tuple(command[:3]) if second == "-m" else (program, "-" if second.startswith("-") else second)
    if program in _WITH_SUBCOMMANDS and second and not second.startswith("-"):
        return (program, second)
    return (program,)


def _begins(command: Sequence[str], rule: Rule) -> bool:
    return tuple(command[: len(rule)]) == rule


def _harmless(command: Sequence[str]) -> bool:
    if command[0] == "cd" and len(command) == 2:
        target = posixpath.normpath(posixpath.join(WORKDIR, command[1]))
        return (target == WORKDIR or target.startswith(f"{WORKDIR}/")) and ".." not in command[1].split("/")
    return command[0] in _FILTERS
