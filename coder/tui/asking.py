"""Actions where something waits for the user's word: calls that ask, and a plan."""

from __future__ import annotations

from textual.timer import Timer

from coder import events
from coder.tui.base import Base
from coder.tui.pickers import Question
from coder.tui.plate import PLAIN
from coder.workflows.port import Answer, ApprovalRequest, Mode, Port

CALM_SECONDS = 0.8
"""A panel that appears in the middle of typing takes no answer before the keys have been still for so long."""

LETTER_SECONDS = 0.3
"""A letter that another follows so soon begins a word, and is no answer."""

PLAN_ID = "plan"


class Asking(Base):
    """Requests in the order of their coming; the oldest is shown."""

    _requests: list[ApprovalRequest]
    _calm = True
    editing_plan = False
    _letter: tuple[str, Timer] | None = None
    """A letter that will be an answer if nothing follows it."""

    def begin_asking(self) -> None:
        self._requests = []

    def requested(self, event: events.ApprovalRequested) -> None:
        self._add(
            ApprovalRequest(
                id=event.id,
                tool=event.tool,
                arguments=event.arguments,
                what=event.what,
                cwd=event.cwd,
                why=event.why,
                diff=event.diff,
                prefix=event.prefix,
                session=event.session,
            )
        )

    def proposed(self, event: events.PlanProposed) -> None:
        text = "\n".join(event.steps) or event.text
        self._add(ApprovalRequest(id=PLAN_ID, tool="plan", what=text))

    def resolved(self, id_: str) -> None:
        """That request is answered, whoever answered it."""
        self._requests = [request for request in self._requests if request.id != id_]
        self._show_next()

    def nothing_asked(self) -> None:
        """The session that asked is left."""
        self._requests = []
        self.editing_plan = False
        self._show_next()

    @property
    def takes_answers(self) -> bool:
        """Whether a key may be an answer: a request is shown, and nobody was typing when it came."""
        if self.approval.request is None or not self.approval.display:
            return False
        self._calm = self._calm or self.unused_for() >= CALM_SECONDS
        return self._calm

    def consider(self, id_: str, character: str | None) -> None:
        """A key that answers: a digit or another key at once, a letter unless it turns out to begin a word."""
        if not character or not character.isalpha():
            self.act(id_)
            return

        def answer() -> None:
            self._letter = None
            if self.takes_answers:
                self.act(id_)

        self._letter = (character, self.set_timer(LETTER_SECONDS, answer))

    def begun_word(self) -> str:
        """The letter that was just pressed and is no answer after all, for something else was pressed."""
        if self._letter is None:
            return ""
        (letter, timer), self._letter = self._letter, None
        timer.stop()
        self._calm = False
        return letter

    def do_allow(self, argument: str = "") -> None:
        del argument
        if self.approval.plan:
            self._carry_out(self._shown().what, Mode.AUTO)
        else:
            self._answer(Answer.once())

    def do_allow_session(self, argument: str = "") -> None:
        del argument
        if self.approval.plan:
            self._carry_out(self._shown().what, Mode.ASK)
        else:
            self._answer(Answer.session())

    def do_allow_prefix(self, argument: str = "") -> None:
        del argument
        if prefix := self._shown().prefix:
            self._answer(Answer.prefix(prefix))

    def do_refuse(self, argument: str = "") -> None:
        del argument
        label = "What should be different?" if self.approval.plan else "Why not? The model is told"
        self.ask(Question(label, self._refuse, self.arrange))

    def do_approval_edit(self, argument: str = "") -> bool:
        del argument
        if not self.approval.plan:
            return False
        plan = self._shown().what
        self.editing_plan = True
        self.resolved(PLAN_ID)
        self.composer.write(plan)
        self.tell_for_good("Enter has the plan carried out as it stands here, Esc leaves it", PLAIN)
        return True

    def do_approval_up(self, argument: str = "") -> None:
        del argument
        self.approval.scroll(-1)

    def do_approval_down(self, argument: str = "") -> None:
        del argument
        self.approval.scroll(1)

    def do_approval_stop(self, argument: str = "") -> None:
        if self.approval.plan:
            self.resolved(PLAN_ID)
            return
        self._answer(Answer.no())
        self.act("interrupt", argument)

    def carry_out_edited(self, plan: str) -> None:
        """The plan was edited in the composer and is sent."""
        self.editing_plan = False
        self.draw_notice()
        self._carry_out(plan, Mode.AUTO)

    def leave_edited(self) -> None:
        """Back to the plan as it was written here."""
        plan, self.editing_plan = self.composer.whole, False
        self.composer.write("")
        self.draw_notice()
        self._add(ApprovalRequest(id=PLAN_ID, tool="plan", what=plan))

    def _add(self, request: ApprovalRequest) -> None:
        self._requests = [*(each for each in self._requests if each.id != request.id), request]
        if self.approval.request is None:
            self._calm = False
        self._show_next()

    def _show_next(self) -> None:
        if not self._requests:
            self.approval.close()
        elif self.approval.request is None or self.approval.request.id != self._requests[0].id:
            first, waiting = self._requests[0], len(self._requests) - 1
            self._calm = self._calm and self.approval.request is not None
            self.approval.open(first, plan=first.id == PLAN_ID, waiting=waiting)
        else:
            self.approval.waiting = len(self._requests) - 1
            self.approval.draw()
        self.arrange()

    def _shown(self) -> ApprovalRequest:
        assert self.approval.request is not None
        return self.approval.request

    def _answer(self, answer: Answer) -> None:
        request, port = self._shown(), self.link.port
        if port is not None:
            port.answer(request.id, answer)
        self.resolved(request.id)

    def _refuse(self, reason: str) -> None:
        if not self.approval.plan:
            self._answer(Answer.no(reason))
            return
        self.resolved(PLAN_ID)
        if reason:
            self.link.order(lambda port: port.send(reason))

    def _carry_out(self, plan: str, mode: Mode) -> None:
        self.resolved(PLAN_ID)

        async def carry_out(port: Port) -> None:
            await port.carry_out(plan, mode)

        self.link.order(carry_out)
