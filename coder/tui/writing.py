"""Actions of the composer: sending, steering, holding, earlier texts, completion, the editor, leaving."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
import time
from pathlib import Path

from coder.transcript.line import cells, clip
from coder.transcript.safe import visible
from coder.tui import fuzzy
from coder.tui.base import Base
from coder.tui.composer import Completing
from coder.tui.keymap import commands, slash_command
from coder.tui.pickers import Choice, Item
from coder.tui.plate import DIM, PICKED, PLAIN, Row
from coder.workflows.port import Port

TWICE_SECONDS = 1.5
"""Two presses within that time are one wish."""

OFFERED = 6
"""Entries of the completion menu."""

DRAFT_SECONDS = 0.5
MAX_FILES = 50_000
MAX_EDITED_BYTES = 1024 * 1024


class Writing(Base):
    """The text being written, and what becomes of it."""

    _offers: list[str]
    _offered: Completing | None = None
    _at = 0
    _files: tuple[str, ...] | None = None
    _pressed: dict[str, float]

    def begin_writing(self) -> None:
        """Restore what was being written when the window last closed or died."""
        self._offers, self._pressed = [], {}
        if draft := self.draft.load():
            self.composer.write(draft)
            self.tell("this was written here before and not sent", DIM)

    def do_send(self, argument: str = "") -> None:
        del argument
        text = self.composer.whole.strip()
        if self._offers and self._offered and self._offered.sign == "/":
            self._complete()
            text = self.composer.whole.strip()
        if not text:
            return
        name = text[1:].split(maxsplit=1)[0] if len(text) > 1 else ""
        if text.startswith("/") and "/" not in name:
            command = slash_command(text)
            if command is None:
                self.tell(f"there is no command /{name}: ? shows all")
                return
            self._sent(text)
            self.act(command[0].id, command[1])
            return
        self._sent(text)
        self.dispatch(text)

    def dispatch(self, text: str) -> None:
        """Give `text` to the work: `!` runs a command in the sandbox, anything else is for the model."""
        if text.startswith("!"):
            command = text[1:].strip()
            self.link.order(lambda port: port.shell(command))
        else:
            self.link.order(lambda port: port.send(text))
            if self.link.port is None:
                self.tell("it is sent as soon as everything is there", DIM)
        self.draw_queue()

    def do_hold(self, argument: str = "") -> None:
        del argument
        text = self.composer.whole.strip()
        if self._offers:
            self._complete()
        elif text and self.link.busy:
            self._sent(text)

            async def hold(port: Port) -> None:
                port.hold(text)
                self.draw_queue()

            self.link.order(hold)

    def do_newline(self, argument: str = "") -> None:
        del argument
        self.composer.insert("\n")

    def do_earlier(self, argument: str = "") -> bool:
        del argument
        if self._offers:
            self._move(-1)
            return True
        port = self.link.port
        if not self.composer.text and port is not None and port.queued():
            self.composer.write(port.take_back())
            self.draw_queue()
            return True
        if not self.composer.cursor_at_first_line:
            return False
        text = self.history.earlier(self.composer.whole)
        if text is not None:
            self.composer.write(text)
        return True

    def do_later(self, argument: str = "") -> bool:
        del argument
        if self._offers:
            self._move(1)
            return True
        if not self.composer.cursor_at_last_line:
            return False
        text = self.history.later()
        if text is not None:
            self.composer.write(text)
        return True

    def do_history(self, argument: str = "") -> None:
        del argument
        texts = list(dict.fromkeys(reversed(self.history.texts)))
        self.choose(Choice("Sent before", [Item(text, text) for text in texts], self.composer.write))

    def do_interrupt(self, argument: str = "") -> None:
        del argument
        if self._offers:
            self._offer([], None)
        elif self.link.busy:
            self.tell("stopping …", DIM)
            self.link.at_once(self._stop)
        elif self.twice("escape"):
            self.act("rewind")

    def do_clear(self, argument: str = "") -> None:
        del argument
        if text := self.composer.whole:
            self.history.add(text)
            self.composer.write("")
        elif self.twice("quit"):
            self.exit(0)
        else:
            self.tell("Ctrl+C once more leaves")

    def do_leave(self, argument: str = "") -> bool:
        del argument
        if self.composer.text:
            return False
        self.exit(0)
        return True

    def do_quit(self, argument: str = "") -> None:
        del argument
        self.exit(0)

    def do_shell(self, argument: str = "") -> None:
        if argument:
            self.dispatch(f"!{argument}")
        else:
            self.composer.write("!")

    def do_editor(self, argument: str = "") -> None:
        del argument
        self.spawn(self._edit())

    def draw_queue(self) -> None:
        """What waits for the work, in the order of its turn."""
        port = self.link.port
        waiting = port.queued() if port is not None else ()
        width = self.size.width
        rows: list[Row] = []
        for text in waiting[-3:]:
            line = visible(" ".join(text.split()))
            hint = "  Up takes it back" if text is waiting[-1] and width >= 60 else ""
            rows.append([(" queued ▸ ", DIM), (clip(line, width - 11 - cells(hint)), PLAIN), (hint, DIM)])
        self.queue_line.show(rows)

    def twice(self, name: str) -> bool:
        """Whether this press follows another one of `name` soon enough."""
        now = time.monotonic()
        before, self._pressed[name] = self._pressed.get(name, -TWICE_SECONDS), now
        if now - before < TWICE_SECONDS:
            del self._pressed[name]
            return True
        return False

    def written(self) -> None:
        """The text changed: offer completions."""
        completing = self.composer.completing()
        if completing is None:
            self._offer([], None)
        elif completing.sign == "/":
            names = fuzzy.best(completing.typed, [action.slash for action in commands()], OFFERED)
            self._offer(names, completing)
        else:
            self.spawn(self._offer_files(completing))

    def forget_files(self) -> None:
        """The files may have changed: ask again when they are wanted."""
        self._files = None

    def _sent(self, text: str) -> None:
        self.history.add(text)
        self.composer.write("")
        self.draft.save("")
        self._offer([], None)

    async def _stop(self, port: Port) -> str:
        """Queued texts come back before what is being written."""
        texts = [*await port.interrupt(), self.composer.whole]
        self.composer.write("\n\n".join(text for text in texts if text.strip()))
        self.draw_queue()
        return "stopped"

    async def _offer_files(self, completing: Completing) -> None:
        port = self.link.port
        if self._files is None and port is not None:
            self._files = tuple((await port.files())[:MAX_FILES])
        names = await asyncio.to_thread(fuzzy.best, completing.typed, self._files or (), OFFERED)
        if self.composer.completing() == completing:
            self._offer(names, completing)

    def _offer(self, names: list[str], completing: Completing | None) -> None:
        if completing is not None and names == [completing.typed]:
            names = []
        self._offers, self._offered, self._at = names, completing if names else None, 0
        self._draw_menu()

    def _move(self, by: int) -> None:
        self._at = (self._at + by) % len(self._offers)
        self._draw_menu()

    def _draw_menu(self) -> None:
        helps = {action.slash: f"{action.argument}  {action.help}".strip() for action in commands()}
        slash = self._offered is not None and self._offered.sign == "/"
        rows: list[Row] = []
        for place, name in enumerate(self._offers):
            label = f" {'/' if slash else ''}{visible(name)}"
            style = PICKED if place == self._at else PLAIN
            detail = f"  {helps[name]}" if slash else ""
            room = max(0, self.size.width - cells(label) - 1)
            rows.append([(clip(label, self.size.width - 1), style), (clip(detail, room), DIM)])
        self.menu.show(rows)

    def _complete(self) -> None:
        if self._offered is not None:
            self.composer.complete(self._offered, self._offers[self._at])
        self._offer([], None)

    async def _edit(self) -> None:
        """Lend the terminal to the user's editor; the work goes on meanwhile."""
        words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
        with tempfile.TemporaryDirectory(prefix="coder-edit-") as folder:
            path = Path(folder) / "message.md"
            path.write_text(self.composer.whole, encoding="utf-8", errors="replace")
            problem = await self._lend(*words, str(path))
            content = path.read_bytes()[: MAX_EDITED_BYTES + 1] if path.exists() else b""
        if problem or len(content) > MAX_EDITED_BYTES:
            self.tell(problem or "the text is too long")
        else:
            self.composer.write(content.decode("utf-8", "replace").rstrip("\n"))

    async def _lend(self, *words: str) -> str:
        """Run a program in the terminal; why it went wrong, or empty."""
        if self._driver is None or not self._driver.can_suspend:
            return "this terminal cannot be lent to another program"
        with self.batch_update(), self.suspend():
            self.away = True
            try:
                process = await asyncio.create_subprocess_exec(*words)
                status = await process.wait()
            except OSError as error:
                return f"{words[0]} cannot be started: {error.strerror}"
            finally:
                self.away = False
        self.refresh(layout=True)
        return f"{words[0]} ended with exit status {status}" if status else ""
