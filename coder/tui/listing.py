"""Actions that open a list: commands, keys, sessions, points to rewind to, colours."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from coder import sessions
from coder.errors import ConfigError, UsageError
from coder.tui import own_theme
from coder.tui.base import Base
from coder.tui.keymap import commands, help_lines
from coder.tui.pickers import Choice, Item, Question
from coder.tui.theme import NAMES, themes
from coder.workflows.port import Port

MOST_SESSIONS = 200


class Listing(Base):
    """A list takes the composer's place until something is chosen or it is left."""

    _deleting = ""
    _left: Callable[[], None] | None = None
    """Takes a preview back when the list is left without a choice."""

    def do_palette(self, argument: str = "") -> None:
        del argument
        items = []
        for action in commands():
            keys = "  ".join(filter(None, [f"/{action.slash}", self.key_table.shown(action.id)]))
            items.append(Item(action.id, action.help, keys))
        self.choose(Choice("Commands", items, self._run))

    def do_keys(self, argument: str = "") -> bool:
        if not argument and self.composer.text and self.composer.display:
            return False
        items = [
            Item("", help_ if keys else f"── {help_}", keys) for keys, help_ in help_lines(self.key_table)
        ]
        self.choose(Choice("Keys and commands", items, lambda _: None))
        return True

    def do_theme(self, argument: str = "") -> None:
        names = self.themes()
        if argument in names:
            self.set_theme(argument)
        elif argument:
            self.tell(f"there is no theme {argument}: {', '.join(names)}")
        else:
            before = self.theme
            self._left = lambda: setattr(self, "theme", before)
            self.choose(
                Choice("Colours", [Item(name, name) for name in names], self.set_theme, typed=self.set_theme)
            )

    def do_rewind(self, argument: str = "") -> None:
        del argument
        port = self.link.port
        points = port.checkpoints() if port is not None else ()
        if not points:
            self.tell("there is nothing to rewind to")
            return
        items = [
            Item(str(point.index), point.line, _detail(point.time, point.paths)) for point in reversed(points)
        ]
        self.choose(Choice("Back to before", items, self._rewind))

    def do_resume(self, argument: str = "") -> None:
        if argument:
            self._resume(argument)
        else:
            self.spawn(self._list_sessions())

    def do_pick(self, argument: str = "") -> None:
        del argument
        choice, picked = self.picker.choice, self.picker.picked
        if choice is not None and picked is not None:
            self._left = None
            self.picker.close()
            self.arrange()
            choice.done(picked.value)

    def do_pick_up(self, argument: str = "") -> None:
        del argument
        self.picker.move(-1)

    def do_pick_down(self, argument: str = "") -> None:
        del argument
        self.picker.move(1)

    def do_pick_leave(self, argument: str = "") -> None:
        del argument
        self.picker.close()
        self.arrange()
        if self._left is not None:
            self._left()
            self._left = None

    def do_answer(self, argument: str = "") -> None:
        del argument
        question, text = self.asker.question, self.asker.line.text.strip()
        self.asker.close()
        self.arrange()
        if question is not None:
            question.done(text)

    def do_answer_leave(self, argument: str = "") -> None:
        del argument
        question = self.asker.question
        self.asker.close()
        self.arrange()
        if question is not None:
            question.left()

    def do_pick_rename(self, argument: str = "") -> None:
        del argument
        if (folder := self._managed()) is not None:
            title = sessions.title_of(sessions.state_of(folder))
            self.picker.close()
            self.ask(Question("Title", lambda text: self._rename(folder.name, text), self.arrange), title)

    def do_pick_fork(self, argument: str = "") -> None:
        del argument
        if (folder := self._managed()) is not None:
            self.picker.close()
            self.arrange()
            self._resume(sessions.fork(sessions.home(os.environ), folder))

    def do_pick_delete(self, argument: str = "") -> None:
        del argument
        if (folder := self._managed()) is None:
            return
        if folder == self.link.folder:
            self.tell("that is the session you are in")
        elif self._deleting != folder.name:
            self._deleting = folder.name
            self.tell(f"once more deletes {folder.name}")
        else:
            self._deleting = ""
            sessions.delete(folder)
            self.tell(f"{folder.name} is deleted")
            self.do_resume()

    def themes(self) -> list[str]:
        """The names of our themes, and of the user's own."""
        folder = self.settings.themes
        own = own_theme.names(folder) if folder else []
        return list(dict.fromkeys([*(theme.name for theme in themes()), *own]))

    def _run(self, id_: str) -> None:
        """An action that wants an argument is put into the composer instead."""
        action = next(action for action in commands() if action.id == id_)
        if action.argument and not action.argument.startswith("["):
            self.composer.write(f"/{action.slash} ")
        else:
            self.act(id_)

    def set_theme(self, name: str) -> None:
        """Put on a theme of ours or of the user's. One that is broken is told of, and changes nothing."""
        folder = self.settings.themes
        if name not in NAMES and folder is not None:
            try:
                own = own_theme.read(folder, name)
            except ConfigError as error:
                self.tell_for_good(f"{error}. {error.hint}".rstrip(". ") + ".")
                return
            self.transcript.own_styles[name] = own.base, own.styles
            self.register_theme(own.theme)
        self.theme = name

    def _rewind(self, index: str) -> None:
        async def rewind(port: Port) -> str:
            text = await port.rewind(int(index))
            self.composer.write(text)
            return "files and conversation are as they were before that text"

        self.link.order(rewind)

    def _resume(self, session: str) -> None:
        self.tell(f"opening {session} …")
        self.link.open(session)

    def _rename(self, run: str, title: str) -> None:
        folder = sessions.locate(sessions.home(os.environ), run)
        if folder == self.link.folder:
            self.link.order(lambda port: port.rename(title))
        else:
            sessions.rename(folder, title)

    async def _list_sessions(self) -> None:
        items = await asyncio.to_thread(_session_items)
        if items:
            self.choose(Choice("Sessions", items, self._resume, manages=True))
        else:
            self.tell("there are no sessions yet")

    def _managed(self) -> Path | None:
        """The folder of the highlighted session, where the list is one of sessions."""
        choice, picked = self.picker.choice, self.picker.picked
        if choice is None or picked is None or not choice.manages:
            return None
        return sessions.locate(sessions.home(os.environ), picked.value)


def _session_items() -> list[Item]:
    found = []
    for folder in sessions.recent(sessions.home(os.environ))[:MOST_SESSIONS]:
        try:
            state = sessions.state_of(folder)
        except UsageError:
            continue
        title = sessions.title_of(state) or folder.name
        found.append(Item(folder.name, title, _detail(state.started, ())))
    return found


def _detail(when: float, paths: tuple[str, ...]) -> str:
    stamp = time.strftime("%Y-%m-%d %H:%M", time.localtime(when))
    more = f" +{len(paths) - 2}" if len(paths) > 2 else ""
    return f"{', '.join(paths[:2])}{more}  {stamp}" if paths else stamp
