"""One table of everything that the window can do: keys, palette, slash commands, help and README come from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from coder.errors import ConfigError

COMPOSER, BLOCKS, APPROVAL, PICKER, PROMPT, FINDINGS, ANYWHERE = (
    "composer",
    "blocks",
    "approval",
    "picker",
    "prompt",
    "findings",
    "anywhere",
)
CONTEXTS = {
    COMPOSER: "Writing",
    ANYWHERE: "Anywhere",
    BLOCKS: "In the transcript (after Alt+Up)",
    APPROVAL: "When something waits for your word",
    PICKER: "In a list",
    PROMPT: "In a one-line question",
    FINDINGS: "In the findings of a review",
}
"""Where a key means something, with its title; a context's own keys come before those of `anywhere`."""


@dataclass(frozen=True, slots=True)
class Action:
    """`id` names the handler and the key in the user's file. `argument` is what its slash command takes."""

    id: str
    context: str
    keys: tuple[str, ...]
    help: str
    slash: str = ""
    argument: str = ""


def _action(id_: str, context: str, keys: str, text: str, slash: str = "", argument: str = "") -> Action:
    return Action(id_, context, tuple(keys.split()), text, slash, argument)


ACTIONS = (
    _action("send", COMPOSER, "enter", "Send; while a task runs: steer it at its next step"),
    _action("hold", COMPOSER, "tab", "Complete; while a task runs: hold the text until it is done"),
    _action("newline", COMPOSER, "shift+enter ctrl+j alt+enter", "A new line"),
    _action("earlier", COMPOSER, "up", "Take the last queued text back; earlier texts; the line above"),
    _action("later", COMPOSER, "down", "Later texts; the line below"),
    _action("history", COMPOSER, "ctrl+r", "Search the texts that you sent", "history"),
    _action("editor", COMPOSER, "ctrl+g", "Write in $VISUAL or $EDITOR", "editor"),
    _action("clear", COMPOSER, "ctrl+c", "Clear the text; twice on an empty one: quit"),
    _action("leave", COMPOSER, "ctrl+d", "Quit when the text is empty; else delete to the right"),
    _action("interrupt", COMPOSER, "escape", "Stop the task, with the queued texts back; twice when idle: rewind"),
    _action("keys", COMPOSER, "?", "All keys, when the text is empty", "help"),
    _action("mode", ANYWHERE, "shift+tab", "Next mode: plan, ask, edits, auto", "mode", "[plan|ask|edits|auto]"),
    _action("palette", ANYWHERE, "ctrl+p", "All commands"),
    _action("search", ANYWHERE, "ctrl+f", "Search in the transcript", "search", "[TEXT]"),
    _action("expand", ANYWHERE, "ctrl+o", "Show all output, or a few lines of each", "expand"),
    _action("thoughts", ANYWHERE, "ctrl+t", "Show or hide thoughts", "thoughts"),
    _action("page_up", ANYWHERE, "pageup", "A page up"),
    _action("page_down", ANYWHERE, "pagedown", "A page down"),
    _action("top", ANYWHERE, "ctrl+home", "To the beginning"),
    _action("end", ANYWHERE, "ctrl+end", "To the end, and follow it"),
    _action("block_up", ANYWHERE, "alt+up", "The block above"),
    _action("block_down", ANYWHERE, "alt+down", "The block below"),
    _action("part_next", ANYWHERE, "alt+right", "The next candidate, the reviewer, the main line"),
    _action("part_previous", ANYWHERE, "alt+left", "The one before"),
    _action("mouse", ANYWHERE, "f6", "Mouse on or off; off leaves selecting to the terminal", "mouse"),
    _action("redraw", ANYWHERE, "ctrl+l", "Draw the screen anew", "redraw"),
    _action("suspend", ANYWHERE, "ctrl+z", "Back to the shell; fg returns"),
    _action("block_toggle", BLOCKS, "enter", "Open or close the block"),
    _action("block_copy", BLOCKS, "y", "Copy the block's source", "copy"),
    _action("compare", BLOCKS, "d", "What differs between two candidates", "compare"),
    _action("next_hit", BLOCKS, "n", "Next hit of the search"),
    _action("previous_hit", BLOCKS, "N", "Previous hit"),
    _action("blocks_leave", BLOCKS, "escape", "Back to writing"),
    _action("allow", APPROVAL, "1 y", "Once"),
    _action("allow_session", APPROVAL, "2 a", "For this session"),
    _action("allow_prefix", APPROVAL, "3 p", "Every command that begins so, in this session"),
    _action("refuse", APPROVAL, "4 n", "No, and say why"),
    _action("approval_edit", APPROVAL, "e", "Edit the plan"),
    _action("approval_up", APPROVAL, "up", "The text above"),
    _action("approval_down", APPROVAL, "down", "The text below"),
    _action("approval_stop", APPROVAL, "escape", "No, and stop the task"),
    _action("pick", PICKER, "enter", "Take it"),
    _action("pick_up", PICKER, "up", "Up"),
    _action("pick_down", PICKER, "down", "Down"),
    _action("pick_rename", PICKER, "ctrl+n", "Rename the session"),
    _action("pick_fork", PICKER, "ctrl+k", "Fork the session"),
    _action("pick_delete", PICKER, "ctrl+x", "Delete the session; twice, to be sure"),
    _action("pick_leave", PICKER, "escape ctrl+c", "Leave the list"),
    _action("answer", PROMPT, "enter", "Answer"),
    _action("answer_leave", PROMPT, "escape ctrl+c", "Leave the question"),
    _action("finding_open", FINDINGS, "enter", "Show the place"),
    _action("finding_accept", FINDINGS, "a", "Accept: the engineer is to mend it"),
    _action("finding_dismiss", FINDINGS, "x", "Dismiss"),
    _action("finding_up", FINDINGS, "up", "Up"),
    _action("finding_down", FINDINGS, "down", "Down"),
    _action("finding_leave", FINDINGS, "escape ctrl+c", "Leave the findings"),
    _action("candidates", ANYWHERE, "", "The candidates, one to show", "candidates"),
    _action("findings", ANYWHERE, "", "The findings of the last review", "findings"),
    _action("plan", ANYWHERE, "", "Plan first: reading tools only", "plan"),
    _action("think", ANYWHERE, "", "How much the model may think", "think", "off|low|full|TOKENS"),
    _action("diff", ANYWHERE, "", "What has changed so far", "diff"),
    _action("apply", ANYWHERE, "", "Put the checked patch onto your files", "apply"),
    _action("undo", ANYWHERE, "", "Take the last change of files back", "undo"),
    _action("redo", ANYWHERE, "", "And forth", "redo"),
    _action("rewind", ANYWHERE, "", "Files and conversation back to an earlier text", "rewind"),
    _action("resume", ANYWHERE, "", "Another session: resume, fork, rename, delete", "resume"),
    _action("export", ANYWHERE, "", "Write the transcript to a file", "export", "[FILE]"),
    _action("theme", ANYWHERE, "", "Colours", "theme", "[NAME]"),
    _action("sandbox", ANYWHERE, "", "What the sandbox enforces, and what it does not", "sandbox"),
    _action("shell", ANYWHERE, "", "Run a command in the sandbox, as !COMMAND does", "shell", "COMMAND"),
    _action("quit", ANYWHERE, "ctrl+q", "Quit", "quit"),
)  # fmt: skip

_NAMES = {
    "enter": "Enter", "escape": "Esc", "pageup": "PgUp", "pagedown": "PgDn", "tab": "Tab", "up": "Up", "down": "Down",
    "home": "Home", "end": "End", "space": "Space",
}  # fmt: skip


class Keymap:
    """What each key does where, after the user's changes."""

    def __init__(self, changed: Mapping[str, Sequence[str]] | None = None) -> None:
        """`changed` maps action ids to keys. Raises ConfigError for an unknown action, or a key that means two things."""
        changed = changed or {}
        known = {action.id for action in ACTIONS}
        for id_ in changed:
            if id_ not in known:
                raise ConfigError(f"keys.{id_}: there is no such action", hint=_nearest(id_, known))
        self._keys = {action.id: tuple(changed.get(action.id, action.keys)) for action in ACTIONS}
        self._table: dict[tuple[str, str], str] = {}
        for action in ACTIONS:
            for key in self._keys[action.id]:
                other = self._table.setdefault((action.context, key), action.id)
                if other != action.id:
                    raise ConfigError(f"the key {key} means both {other} and {action.id}")

    def find(self, context: str, key: str, character: str | None = None) -> str:
        """The id of the action of a key press, or empty. `character` is what the key writes, where it does."""
        for where in (context, ANYWHERE):
            for name in (key, character):
                if name and (id_ := self._table.get((where, name))):
                    return id_
        return ""

    def keys(self, id_: str) -> tuple[str, ...]:
        return self._keys[id_]

    def shown(self, id_: str) -> str:
        """The first key of an action for people: `Ctrl+P`; empty when it has none."""
        keys = self._keys[id_]
        return show_key(keys[0]) if keys else ""


def show_key(key: str) -> str:
    """`shift+enter` as `Shift+Enter`."""
    if len(key) == 1:
        return key
    *modifiers, last = key.split("+")
    return "+".join([*(word.capitalize() for word in modifiers), _NAMES.get(last, last.upper())])


def commands() -> Iterator[Action]:
    """The actions that have a slash command; the palette lists the same."""
    return (action for action in ACTIONS if action.slash)


def slash_command(text: str) -> tuple[Action, str] | None:
    """The action and argument of `/name argument`; None when the text is no command of ours."""
    name, _, argument = text[1:].partition(" ")
    action = next((action for action in commands() if action.slash == name), None)
    return (action, argument.strip()) if action and text.startswith("/") else None


def help_lines(keymap: Keymap) -> Iterator[tuple[str, str]]:
    """Keys and what they do, a title (with empty keys) before each context."""
    for context, title in CONTEXTS.items():
        yield "", title
        for action in ACTIONS:
            if action.context == context:
                keys = ", ".join(show_key(key) for key in keymap.keys(action.id))
                slash = f"/{action.slash} {action.argument}".strip() if action.slash else ""
                yield "  ".join(filter(None, [keys, slash])), action.help


def as_markdown() -> str:
    """The table for the README."""
    lines = ["| keys | command | what it does |", "|---|---|---|"]
    for action in ACTIONS:
        keys = ", ".join(f"`{show_key(key)}`" for key in action.keys)
        command = f"`/{action.slash} {action.argument}`".replace(" `", "`") if action.slash else ""
        where = "" if action.context in (COMPOSER, ANYWHERE) else f" ({CONTEXTS[action.context].lower()})"
        lines.append(f"| {keys} | {command.replace('|', chr(92) + '|')} | {action.help}{where} |")
    return "\n".join(lines) + "\n"


def _nearest(id_: str, known: set[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(id_, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"The actions are {', '.join(sorted(known))}."
