"""The window: one screen of few parts. Keys go through one table, events to the parts that show them."""

from __future__ import annotations

import gc
import time
from typing import Any

from textual import events as ui
from textual.app import ComposeResult
from textual.timer import Timer
from textual.widgets import TextArea

from coder import events
from coder.transcript import words
from coder.transcript.safe import visible
from coder.transcript.words import OUTCOME
from coder.tui.asking import Asking
from coder.tui.keymap import APPROVAL, BLOCKS, COMPOSER, FINDINGS, PICKER, PROMPT
from coder.tui.link import Opened
from coder.tui.listing import Listing
from coder.tui.plate import BAD, CARE, GOOD, Plate
from coder.tui.reviewing import Reviewing
from coder.tui.status import NARROW, status_row, title_row
from coder.tui.theme import themes
from coder.tui.view import TranscriptView
from coder.tui.viewing import Viewing
from coder.tui.writing import DRAFT_SECONDS, Writing
from coder.workflows.port import Mode

DEFAULT_THEME = "coder-dark"
NOTIFY_SECONDS = 10.0
"""Nobody who used a key so recently needs to be called."""

ANSWERS = ("allow", "allow_session", "allow_prefix", "refuse")
SMALLEST = (30, 8)
"""Columns and rows below which nothing but a line is shown."""


class Window(Writing, Asking, Listing, Viewing, Reviewing):
    """Shows a session and takes what its user wants."""

    _ticking: Timer | None = None
    _saving: Timer | None = None
    _focused = True

    def compose(self) -> ComposeResult:
        yield self.title_line
        yield self.tabs
        yield self.transcript
        yield self.notice
        yield self.queue_line
        yield self.menu
        yield self.composer
        yield self.approval
        yield self.picker
        yield self.asker
        yield self.findings
        yield self.status
        yield Plate("small")

    async def on_mount(self) -> None:
        for theme in themes():
            self.register_theme(theme)
        self.theme = DEFAULT_THEME
        if (wanted := self.settings.theme) and wanted != DEFAULT_THEME:
            self.do_theme(wanted)
        self.begin_writing()
        self.begin_asking()
        self.composer.focus()
        self.draw_status()
        for character in self.typed_before:
            await self._press(typed_key(character))
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        """After the first paint: what is heavy begins."""
        gc.freeze()
        gc.enable()
        self.link.open()
        if self.first_task:
            self._sent(self.first_task)
            self.dispatch(self.first_task)

    @property
    def context(self) -> str:
        """Where the next key goes."""
        if self.picker.display:
            return PICKER
        if self.asker.display:
            return PROMPT
        if self.findings.display:
            return FINDINGS
        if self.takes_answers:
            return APPROVAL
        return BLOCKS if self.in_blocks else COMPOSER

    async def on_event(self, event: ui.Event) -> None:
        """Keys and pastes are worked off right here, one after the other: handed on from part to part, a Return that
        follows fast typing would overtake its last letters."""
        if isinstance(event, ui.Key):
            self.looked_at(True)
            await self._press(event)
        elif isinstance(event, ui.Paste):
            self._paste(event.text)
        else:
            await super().on_event(event)

    async def _press(self, event: ui.Key) -> None:
        if letter := self.begun_word():
            self.last_key = time.monotonic()
            await self.composer.press(letter, letter)
        context = self.context
        self.last_key = time.monotonic()
        if self.editing_plan and context == COMPOSER and self._press_in_plan(event.key):
            return
        id_ = self.key_table.find(context, event.key, event.character)
        if context == APPROVAL and id_ in ANSWERS:
            self.consider(id_, event.character)
        elif id_ and self.act(id_):
            return
        elif context == PICKER:
            self.picker.press(event.key, event.character)
        elif context == PROMPT:
            self.asker.press(event.key, event.character)
        elif context == COMPOSER:
            self.focus_part()
            await self.composer.press(event.key, event.character)
        elif context == BLOCKS and event.is_printable:
            self.do_blocks_leave()
            await self.composer.press(event.key, event.character)

    def _press_in_plan(self, key: str) -> bool:
        if key in self.key_table.keys("send"):
            plan = self.composer.whole.strip()
            self._sent(plan)
            self.carry_out_edited(plan)
            return True
        if key in self.key_table.keys("interrupt"):
            self.leave_edited()
            return True
        return False

    def _paste(self, text: str) -> None:
        self.last_key = time.monotonic()
        context = self.context
        if context == PICKER:
            self.picker.paste(text)
        elif context == PROMPT:
            self.asker.paste(text)
        elif context != APPROVAL:
            self.in_blocks = False
            self.composer.paste(text)
            self.focus_part()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        del event
        self.written()
        if self._saving is not None:
            self._saving.stop()
        self._saving = self.set_timer(DRAFT_SECONDS, lambda: self.draft.save(self.composer.whole))

    def on_resize(self) -> None:
        self.call_after_refresh(self._redraw)

    def _redraw(self) -> None:
        """Everything whose lines depend on the width."""
        width, height = self.size
        small = width < SMALLEST[0] or height < SMALLEST[1]
        self.screen.set_class(small, "-small")
        self.screen.set_class(width < NARROW, "-narrow")
        self.query_one("#small", Plate).show([[("coder needs more room", BAD)]] if small else [])
        for part in (self.approval, self.picker, self.asker, self.findings):
            part.draw()
        self.arrange()
        self.draw_tabs()
        self.draw_queue()
        self.draw_status()

    def take(self, event: Any) -> None:
        self.figures.take(event)
        self.transcript.take(event)
        match event:
            case events.ApprovalRequested():
                self.requested(event)
                self._call_back("something waits for your word")
            case events.ApprovalResolved():
                self.resolved(event.id)
            case events.PlanProposed():
                self.proposed(event)
                self._call_back("a plan waits for your word")
            case events.ModeChanged():
                self.mode = Mode(event.mode)
            case events.Queued():
                self.draw_queue()
            case events.RunStarted():
                self._tick(True)
            case events.RunFinished():
                self._finished(event)
            case events.Checkpoint() | events.Rewound() | events.Undone():
                self.forget_files()
            case events.CandidateStarted() | events.CandidateFinished() | events.CandidateChosen():
                self.draw_tabs()
            case events.Verdict():
                self.draw_tabs()
                if event.findings:
                    self.tell_for_good(f"{words.verdict(event)}: /findings goes through them", CARE)
            case _:
                pass
        if not isinstance(event, events.LOSSY) or isinstance(event, events.ServerLoad):
            self.draw_status()

    def opened(self, opened: Opened) -> None:
        port = opened.port
        self.nothing_asked()
        self.forget_files()
        self.figures = type(self.figures)()
        for event in opened.past:
            self.figures.take(event)
        self.transcript.load(opened.past)
        self.draw_tabs()
        self.figures.running = port.busy
        if opened.past:
            self.mode = port.mode
        else:
            port.set_mode(self.mode)
        self.draft.move(opened.folder)
        self.draw_notice()
        self.draw_queue()
        self.draw_status()

    def _finished(self, event: events.RunFinished) -> None:
        self._tick(False)
        self.draw_queue()
        self._call_back(OUTCOME.get(event.status, event.status))
        if event.status == "solved" and event.patch:
            self.tell_for_good("/apply puts the change onto your files, /diff shows it", GOOD)

    def draw_status(self) -> None:
        width = self.size.width
        if not width:
            return
        self.status.show([status_row(self.figures, self.mode, width, self.clock())])
        self.title_line.show([] if width < NARROW else [title_row(self.figures, width)])

    def _tick(self, running: bool) -> None:
        """The clock of the status line stands still when nothing runs."""
        if self._ticking is not None:
            self._ticking.stop()
        self._ticking = self.set_interval(1.0, self.draw_status) if running else None

    def looked_at(self, focused: bool) -> None:
        """A key is pressed by someone who looks."""
        if focused == self._focused:
            return
        self._focused = focused
        self.composer.cursor_blink = focused
        if focused:
            self._title("")

    def _call_back(self, why: str) -> None:
        """Ring for a user who looks elsewhere, and has for a while."""
        if self._focused or self.unused_for() < NOTIFY_SECONDS:
            return
        self.bell()
        self.send_to_terminal(f"\x1b]9;coder: {_harmless(why)}\x07")
        self._title(why)

    def _title(self, why: str) -> None:
        words = filter(None, ["coder", _harmless(self.figures.place), _harmless(why)])
        self.send_to_terminal(f"\x1b]2;{' · '.join(words)}\x07")

    def on_transcript_view_copied(self, message: TranscriptView.Copied) -> None:
        self.copy(message.text, message.what)

    def on_transcript_view_moved(self, message: TranscriptView.Moved) -> None:
        del message
        if self._flash is None or not self.notice.rows:
            self.draw_notice()

    async def leave(self) -> None:
        """After the window is closed: keep what was not sent, and end the work in good order."""
        self.draft.save(self.composer.whole)
        await self.link.close()


def typed_key(character: str) -> ui.Key:
    """The key press that a terminal in its ordinary mode made `character` of."""
    names = {"\n": "enter", "\r": "enter", "\t": "tab", "\x7f": "backspace", "\x08": "backspace"}
    return ui.Key(names.get(character, character), character if character.isprintable() else None)


def _harmless(text: str) -> str:
    """Text for the terminal's title or a notification: short, and nothing in it can end the sequence."""
    return visible(text).replace("\n", " ")[:60]
