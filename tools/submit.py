"""The end of an attempt: refused while there is nothing to hand in or the last edit is untested.

A model that gives up before its first edit is asked once whether it means that: small ones set the flag and say in the
same call that the bug was fixed.
"""

from __future__ import annotations

import asyncio

from tools.base import Arguments, Context, ToolResult, describe, parameters

NOTHING_TRIED = (
    "Not ended yet: no file was edited, so nothing is fixed. Read the file that is at fault and edit it. "
    "If it truly cannot be done, submit with `give_up` again."
)


class Submit:
    name = "submit"
    parameters = parameters(summary={"type": "string"}, give_up={"type": "boolean"})

    @property
    def description(self) -> str:
        return describe("submit")

    async def run(self, args: Arguments, context: Context) -> ToolResult:
        summary = args.get("summary", "").strip()
        if args.get("give_up"):
            if not summary:
                return ToolResult("`summary` must say why it cannot be done.", ok=False)
            if context.needs_change and not context.edits and not context.asked_back:
                context.asked_back = True
                return ToolResult(NOTHING_TRIED, ok=False)
            return ToolResult(summary, ok=False, finished=True)
        if context.needs_change and not await asyncio.to_thread(context.sandbox.workspace.changes):
            return ToolResult("Refused: nothing has been changed. `give_up` ends without a change.", ok=False)
        if context.needs_check and context.edits_since_check:
            return ToolResult("Refused: nothing was run after the last edit. Run the tests first.", ok=False)
        return ToolResult(summary or "Submitted.", finished=True)
