"""An app that does not restyle itself whenever its terminal is looked at or not."""

from __future__ import annotations

from textual import events as ui
from textual.app import App


class Steady(App[int], inherit_bindings=False):
    """Textual takes the focus from a widget when the terminal loses it, and gives it back: each time every style of the
    screen is computed anew (9 ms of processor time, Textual 8.2). What looks the same either way needs none of it."""

    async def on_event(self, event: ui.Event) -> None:
        if isinstance(event, ui.AppFocus | ui.AppBlur):
            self.looked_at(isinstance(event, ui.AppFocus))
        else:
            await super().on_event(event)

    def looked_at(self, focused: bool) -> None:
        """Whether the user looks at this terminal."""
