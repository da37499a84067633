"""What the window's groups of actions share: its parts, its state, its link to the work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from textual.timer import Timer

from coder.errors import CoderError
from coder.transcript.safe import visible
from coder.tui.approvals import ApprovalPanel
from coder.tui.composer import Composer
from coder.tui.drafts import Draft, History
from coder.tui.figures import Figures
from coder.tui.findings import FindingsPanel
from coder.tui.keymap import Keymap
from coder.tui.link import Connect, Link, Opened
from coder.tui.pickers import Asker, Choice, Picker, Question
from coder.tui.plate import BAD, DIM, PLAIN, Plate, Row
from coder.tui.settings import Settings
from coder.tui.steady import Steady
from coder.tui.view import TranscriptView
from coder.workflows.port import Mode
from sandbox.errors import SandboxError

FLASH_SECONDS = 5.0


class Base(Steady, inherit_bindings=False):
    """The parts and the state; the actions stand in the classes that derive from it."""

    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = "app.tcss"

    def __init__(
        self, connect: Connect, settings: Settings, *, task: str = "", mode: Mode = Mode.AUTO, typed: str = ""
    ) -> None:
        super().__init__()
        self.settings = settings
        self.first_task = task
        self.typed_before = typed
        self.mode = mode
        self.key_table = Keymap(settings.keys)
        self.figures = Figures()
        self.history = History(settings.state / "history.jsonl")
        self.draft = Draft(settings.folder)
        self.composer = Composer()
        self.transcript = TranscriptView()
        self.approval, self.picker, self.asker = ApprovalPanel(), Picker(), Asker()
        self.tabs, self.findings = Plate("tabs"), FindingsPanel()
        self.title_line, self.notice, self.queue_line = Plate("title"), Plate("notice"), Plate("queue")
        self.menu, self.status = Plate("menu"), Plate("status")
        self.link = Link(
            connect, sink=self.take, opened=self.opened, tell=self.tell, failed=self.tell_for_good
        )
        self.clock = time.time
        """Seconds since the epoch, as events have them."""
        self.last_key = 0.0
        """When the last key was pressed, by the monotonic clock."""
        self.mouse_on = settings.mouse
        self.in_blocks = False
        """Whether the keys are the transcript's."""
        self.away = False
        """Whether the terminal is lent to another program."""
        self._flash: Timer | None = None
        self._spawned: set[asyncio.Task[Any]] = set()

    def take(self, event: Any) -> None:
        """An event of the work."""
        raise NotImplementedError

    def opened(self, opened: Opened) -> None:
        """A session is there."""
        raise NotImplementedError

    def draw_status(self) -> None:
        """The line below. This and the two above are the app's: its parts here only call them."""
        raise NotImplementedError

    def act(self, id_: str, argument: str = "") -> bool:
        """Do the action `id_`; whether it wanted the key. What cannot be done is told, and no reason to end."""
        try:
            return getattr(self, f"do_{id_}")(argument) is not False
        except (CoderError, SandboxError) as error:
            self.tell(f"{error}. {error.hint}".rstrip(". ") + ".")
            return True

    def tell(self, sentence: str, style: str = PLAIN) -> None:
        """Say something for a few seconds, above the composer."""
        self._say(sentence, style)
        self._flash = self.set_timer(FLASH_SECONDS, self.draw_notice)

    def tell_for_good(self, sentence: str, style: str = BAD) -> None:
        """Say something that stays until something else is said."""
        self._say(sentence, style)

    def _say(self, sentence: str, style: str) -> None:
        if self._flash is not None:
            self._flash.stop()
        lines = visible(sentence).strip().splitlines()[:4]
        self.notice.show([[(f" {line}", style)] for line in lines])

    def draw_notice(self) -> None:
        """What stands above the composer when nothing is being said: how much is new below, where it is."""
        unseen = self.transcript.unseen
        rows: list[Row] = [[(f" {unseen} new ↓ ", "reverse"), (" Ctrl+End follows", DIM)]] if unseen else []
        self.notice.show(rows)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the keys."""
        task = asyncio.get_running_loop().create_task(work)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)

    def choose(self, choice: Choice) -> None:
        """Put a list where the composer is."""
        self.picker.open(choice)
        self.arrange()

    def ask(self, question: Question, text: str = "") -> None:
        """Put a question where the composer is."""
        self.asker.open(question, text)
        self.arrange()

    def arrange(self) -> None:
        """Show the one part that takes keys: a list, a question, what waits for a word, or the composer."""
        self.picker.display = self.picker.choice is not None
        self.asker.display = not self.picker.display and self.asker.question is not None
        asked = self.picker.display or self.asker.display
        self.findings.display = not asked and bool(self.findings.findings)
        asked = asked or self.findings.display
        self.approval.display = not asked and self.approval.request is not None
        self.composer.display = not asked and not self.approval.display
        self.menu.display = self.composer.display and bool(self.menu.rows)
        self.focus_part()

    def focus_part(self) -> None:
        """Have the part that takes the keys look so."""
        if self.in_blocks:
            self.transcript.focus()
        elif self.composer.display:
            self.composer.focus()

    def send_to_terminal(self, sequence: str) -> None:
        """Write a control sequence of our own; never text of others."""
        if self._driver is not None and not self.is_headless and not self.away:
            self._driver.write(sequence)
            self._driver.flush()

    def unused_for(self) -> float:
        """Seconds since the last key."""
        return time.monotonic() - self.last_key
