"""Actions around candidates and findings: which part is shown, what differs between two, what becomes of a finding."""

from __future__ import annotations

from coder.events import Finding
from coder.transcript.line import cells
from coder.transcript.model import MAIN
from coder.transcript.safe import first_line
from coder.tui.base import Base
from coder.tui.parts import RUNNING, Part, compare, hunk_at
from coder.tui.pickers import Choice, Item
from coder.tui.plate import BAD, DIM, GOOD, PICKED, PLAIN, Piece
from coder.workflows.port import Port

_SIGNS = {"passed": (" ✓", GOOD), RUNNING: (" …", DIM)}


class Reviewing(Base):
    """What a run with candidates or a review has beside its main line."""

    def draw_tabs(self) -> None:
        """One tab a part. There is none where nothing stands beside the main line."""
        parts = self.transcript.parts
        if not parts.known:
            self.tabs.show([])
            return
        row: list[Piece] = [(" ", PLAIN)]
        for name in parts.names:
            style = PICKED if name == self.transcript.part else PLAIN
            part = parts.known.get(name)
            sign, colour = _sign(part) if part else ("", PLAIN)
            row += [(f" {first_line(name)}", style), (f"{sign} ", style if style == PICKED else colour)]
        self.tabs.show([_fitting(row, self.size.width)])

    def do_part_next(self, argument: str = "") -> None:
        del argument
        self._step_part(1)

    def do_part_previous(self, argument: str = "") -> None:
        del argument
        self._step_part(-1)

    def do_candidates(self, argument: str = "") -> None:
        del argument
        items = [Item(part.name, part.name, _told(part)) for part in self.transcript.parts.known.values()]
        if items:
            self.choose(Choice("Show", [Item(MAIN, MAIN), *items], self._show_part))
        else:
            self.tell("there are no candidates")

    def do_compare(self, argument: str = "") -> None:
        """The shown candidate with another one; from the main line, both are asked for."""
        del argument
        changed = [part for part in self.transcript.parts.known.values() if part.patch]
        if len(changed) < 2:
            self.tell("there are no two candidates with a change yet")
            return
        here = next((part for part in changed if part.name == self.transcript.part), None)
        if here is not None:
            self._compare_with(here, changed)
        elif len(changed) == 2:
            self._compare(changed[0], changed[1])
        else:
            by_name = {part.name: part for part in changed}
            items = [Item(part.name, part.name, _told(part)) for part in changed]
            self.choose(Choice("Compare", items, lambda name: self._compare_with(by_name[name], changed)))

    def _compare_with(self, one: Part, changed: list[Part]) -> None:
        others = {part.name: part for part in changed if part is not one}
        items = [Item(part.name, part.name, _told(part)) for part in others.values()]
        if len(items) == 1:
            self._compare(one, others[items[0].value])
        else:
            title = f"{one.name} and"
            self.choose(Choice(title, items, lambda name: self._compare(one, others[name])))

    def _compare(self, one: Part, other: Part) -> None:
        difference = compare(one, other)
        if not difference:
            self.tell(f"{one.name} and {other.name} made the same change")
            return
        self.transcript.show_diff(difference)

    def _step_part(self, by: int) -> None:
        names = self.transcript.parts.names
        at = names.index(self.transcript.part)
        self._show_part(names[(at + by) % len(names)])

    def _show_part(self, name: str) -> None:
        self.transcript.show_part(name)
        self.draw_tabs()

    # Findings

    def do_findings(self, argument: str = "") -> None:
        del argument
        parts = self.transcript.parts
        if parts.verdict is None or not parts.verdict.findings:
            self.tell("there are no findings")
            return
        self.findings.open(parts.verdict.findings, parts.resolved)
        self.arrange()

    def do_finding_up(self, argument: str = "") -> None:
        del argument
        self.findings.move(-1)

    def do_finding_down(self, argument: str = "") -> None:
        del argument
        self.findings.move(1)

    def do_finding_open(self, argument: str = "") -> None:
        del argument
        if (found := self.findings.picked) is not None:
            self.link.order(lambda port: self._show_place(port, found))

    def do_finding_accept(self, argument: str = "") -> None:
        del argument
        self._resolve(accepted=True)

    def do_finding_dismiss(self, argument: str = "") -> None:
        del argument
        self._resolve(accepted=False)

    def do_finding_leave(self, argument: str = "") -> None:
        del argument
        self.findings.close()
        self.arrange()

    def _resolve(self, *, accepted: bool) -> None:
        found = self.findings.picked
        if found is None:
            return

        async def resolve(port: Port) -> str:
            await port.resolve(found, accepted=accepted)
            self.findings.draw()
            return "the engineer is asked to mend it" if accepted else "dismissed"

        self.link.order(resolve)
        self.findings.move(1)

    async def _show_place(self, port: Port, found: Finding) -> str:
        place = hunk_at(await port.diff(), found.file, found.line)
        if not place:
            return f"{found.file} is not changed"
        self.transcript.show_diff(place)
        return ""


def _sign(part: Part) -> Piece:
    if part.chosen:
        return " ★", GOOD
    return _SIGNS.get(part.outcome, (" ✗", BAD))


def _told(part: Part) -> str:
    return f"{part.outcome}, chosen" if part.chosen else part.outcome


def _fitting(row: list[Piece], width: int) -> list[Piece]:
    """As many of the tabs as fit, whole."""
    kept: list[Piece] = []
    for piece in row:
        if sum(cells(text) for text, _ in kept) + cells(piece[0]) > width - 2:
            return [*kept, ("…", DIM)]
        kept.append(piece)
    return kept
