"""Actions around the transcript and the screen: moving, searching, copying, the mouse, modes, what was changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from coder.transcript.words import counted
from coder.tui.base import Base
from coder.tui.clipboard import copy_with_tools
from coder.tui.pickers import Question
from coder.tui.plate import DIM
from coder.workflows.port import Mode, Port

MOUSE_ON, MOUSE_OFF = (
    "\x1b[?1000h\x1b[?1003h\x1b[?1015h\x1b[?1006h",
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l",
)
MODES = tuple(Mode)


class Viewing(Base):
    """What does not change the text being written."""

    def do_mode(self, argument: str = "") -> None:
        if argument and argument not in MODES:
            self.tell(f"there is no mode {argument}: {', '.join(MODES)}")
            return
        self._set_mode(Mode(argument) if argument else MODES[(MODES.index(self.mode) + 1) % len(MODES)])

    def do_plan(self, argument: str = "") -> None:
        del argument
        self._set_mode(Mode.PLAN)

    def do_think(self, argument: str = "") -> None:
        async def think(port: Port) -> str:
            port.set_thinking(argument)
            return f"from the next task on it may think: {argument}"

        if argument:
            self.link.order(think)
        else:
            self.ask(Question("How much may it think? off, low, full or tokens", self.do_think, self.arrange))

    def do_search(self, argument: str = "") -> None:
        if argument:
            self._search(argument)
            self._into_blocks()
        else:
            self.ask(Question("Search", self._found, self.arrange, typed=self._search))

    def do_next_hit(self, argument: str = "") -> None:
        del argument
        self.transcript.next_hit(1)

    def do_previous_hit(self, argument: str = "") -> None:
        del argument
        self.transcript.next_hit(-1)

    def do_expand(self, argument: str = "") -> None:
        del argument
        self.transcript.toggle_all()

    def do_thoughts(self, argument: str = "") -> None:
        del argument
        self.transcript.toggle_thoughts()

    def do_page_up(self, argument: str = "") -> None:
        del argument
        self.transcript.page(-1)

    def do_page_down(self, argument: str = "") -> None:
        del argument
        self.transcript.page(1)

    def do_top(self, argument: str = "") -> None:
        del argument
        self.transcript.to_top()

    def do_end(self, argument: str = "") -> None:
        del argument
        self.transcript.to_end()

    def do_block_up(self, argument: str = "") -> None:
        del argument
        self._into_blocks()
        self.transcript.move_cursor(-1)

    def do_block_down(self, argument: str = "") -> None:
        del argument
        self._into_blocks()
        self.transcript.move_cursor(1)

    def do_block_toggle(self, argument: str = "") -> None:
        del argument
        self.transcript.toggle()

    def do_block_copy(self, argument: str = "") -> None:
        del argument
        self.transcript.copy()

    def do_blocks_leave(self, argument: str = "") -> None:
        del argument
        self.in_blocks = False
        self.transcript.leave()
        self.focus_part()

    def do_mouse(self, argument: str = "") -> None:
        del argument
        self.mouse_on = not self.mouse_on
        self.send_to_terminal(MOUSE_ON if self.mouse_on else MOUSE_OFF)
        self.tell(
            "the mouse scrolls and clicks here"
            if self.mouse_on
            else "the mouse is the terminal's: select as ever"
        )

    def do_redraw(self, argument: str = "") -> None:
        del argument
        self.send_to_terminal("\x1b[2J")
        self.refresh(layout=True)
        self.screen.refresh(layout=True)

    def do_suspend(self, argument: str = "") -> None:
        del argument
        self.action_suspend_process()

    def do_undo(self, argument: str = "") -> None:
        del argument
        self.link.order(lambda port: port.undo())

    def do_redo(self, argument: str = "") -> None:
        del argument
        self.link.order(lambda port: port.redo())

    def do_apply(self, argument: str = "") -> None:
        anyway = argument == "anyway"
        self.link.order(lambda port: port.apply(anyway=anyway))

    def do_diff(self, argument: str = "") -> None:
        del argument
        self.link.order(self._show_diff)

    def do_export(self, argument: str = "") -> None:
        path = Path(argument or f"coder-{time.strftime('%Y%m%d-%H%M%S')}.md").expanduser()
        try:
            with open(
                os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write(self.transcript.markdown())
        except OSError as error:
            self.tell(f"{path} cannot be written: {error.strerror}")
            return
        self.tell(f"the transcript is in {path.absolute()}")

    def do_sandbox(self, argument: str = "") -> None:
        del argument
        figures = self.figures
        if not figures.sandbox:
            self.tell("no sandbox has been opened yet")
            return
        kept = ", ".join(name for name, held in figures.guarantees.items() if held) or "nothing"
        self.tell(
            f"{figures.sandbox} enforces: {kept}\nnot: {', '.join(figures.weak) or 'nothing is missing'}"
        )

    def copy(self, text: str, what: str) -> None:
        """Put `text` into the clipboard, and say only what is known of it."""
        self.copy_to_clipboard(text)
        self.spawn(self._copy(text, what))

    async def _copy(self, text: str, what: str) -> None:
        tool = await copy_with_tools(text, os.environ)
        if tool:
            self.tell(f"{what} was given to {tool}", DIM)
        else:
            self.tell(f"{what} was sent to the terminal (OSC 52); whether it took it cannot be known", DIM)

    def _into_blocks(self) -> None:
        self.in_blocks = True
        self.focus_part()

    def _set_mode(self, mode: Mode) -> None:
        self.mode = mode
        if (port := self.link.port) is not None:
            port.set_mode(mode)
        self.draw_status()

    def _search(self, text: str) -> None:
        hits = self.transcript.search(text)
        self.asker.note = counted(hits, "hit") if text else ""

    def _found(self, text: str) -> None:
        self.arrange()
        if text:
            self._search(text)
            self.tell("n and N go from hit to hit, Esc goes back to writing", DIM)
            self._into_blocks()

    async def _show_diff(self, port: Port) -> str:
        diff = await port.diff()
        if not diff.strip():
            return "nothing has changed"
        self.transcript.show_diff(diff)
        return ""
