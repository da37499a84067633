"""How the command line finds its commands."""

from __future__ import annotations

import click


class WithPrompt(click.Group):
    """What begins with no command's name is a task for the window: `coder "write tests for the parser"`."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        if not arguments or not self._names_command(*arguments):
            arguments = ["open", *arguments]
        return super().parse_args(context, arguments)

    def _names_command(self, first: str, *others: str) -> bool:
        """One word alone, and one that is nearly a command's name, is a command: a slip must not become a task."""
        if first in self.commands or first in ("-h", "--help", "--version"):
            return True
        if first.startswith("-") or not first.replace("-", "").replace("_", "").isalnum():
            return False
        from difflib import get_close_matches

        alone = not others or others[0].startswith("-")
        return alone or bool(get_close_matches(first, self.commands, n=1, cutoff=0.6))


class Evaluation(click.Group):
    """The commands of `coder eval`: each module of `evals.commands` holds one, and is imported when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        from pkgutil import iter_modules

        from evals import commands

        return sorted(found.name for found in iter_modules(commands.__path__))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        from importlib import import_module

        if name not in self.list_commands(context):
            return None
        command: click.Command = import_module(f"evals.commands.{name}").command
        return command
