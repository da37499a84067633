"""Trying a reviewer's command on a change and without it, in clean sandboxes."""

from __future__ import annotations

from coder.workflows.review.weigh import Try
from coder.workflows.site import Site
from sandbox.text import clean_text

COMMAND_SECONDS = 60.0
MAX_PRINTED = 1500
"""Characters of what a command printed that are kept."""


def trial(site: Site, before: str, after: str) -> Try:
    """See weigh.Try: in clean sandboxes."""

    async def attempt(command: str) -> str:
        async with site.clean(after) as sandbox:
            with_change = await sandbox.run(command, timeout=COMMAND_SECONDS)
        if with_change.ok:
            return ""
        async with site.clean(before) as sandbox:
            without = await sandbox.run(command, timeout=COMMAND_SECONDS)
        if not without.ok:
            return ""
        return clean_text(with_change.text())[-MAX_PRINTED:].strip() or "(nothing printed)"

    return attempt
