"""`coder eval gold`: are these tasks sound here, before any model is spent on them?"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from typing import Any

import click

from evals.choosing import choosing
from evals.instance import Instance


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of one instance. Valid: with the gold patch every test that must pass does, without it none of those
    that must begin to."""

    id: str
    valid: bool
    detail: str
    seconds: float


@click.command()
@click.argument("data")
@choosing
@click.option("--sandbox", type=click.Choice(["bubblewrap", "docker"]), default="bubblewrap", show_default=True, help="Where the tests run.")  # fmt: skip
@click.option(
    "--no-op", is_flag=True, help="Grade a change that changes nothing instead: none may be resolved."
)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Instances at once.")
@click.option("--timeout", type=click.FloatRange(1.0), default=1800.0, show_default=True, metavar="SECONDS", help="For the tests of one instance.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One object on standard output.")
def command(
    data: str, sandbox: str, no_op: bool, workers: int, timeout: float, as_json: bool, **chosen: Any
) -> None:
    """Check that each task of DATA can be solved, and is not solved already.

    DATA is a .jsonl, .json or .parquet file, hub:OWNER/NAME, or a suite such as smoke.

    \b
    Exit status: 0 every instance is as it must be   1 one is not
    """
    from evals.choosing import choose
    from evals.data import load

    instances = choose(load(data), **chosen)
    check = _Check(sandbox, no_op=no_op, timeout=timeout, quiet=as_json)
    found = asyncio.run(check.all(instances, workers))
    good = sum(each.valid for each in found)
    if as_json:
        click.echo(json.dumps({"data": data, "no_op": no_op, "instances": [asdict(each) for each in found]}))
    else:
        click.echo(
            f"{len(found) - good} of {len(found)} resolved" if no_op else f"{good} of {len(found)} valid"
        )
    raise SystemExit(int(good < len(found)))


class _Check:
    def __init__(self, kind: str, *, no_op: bool, timeout: float, quiet: bool) -> None:
        from evals.environments import Environments

        self._environments = Environments(kind)
        self._no_op = no_op
        self._timeout = timeout
        self._quiet = quiet

    async def all(self, instances: tuple[Instance, ...], workers: int) -> list[Checked]:
        gate = asyncio.Semaphore(workers)

        async def one(instance: Instance) -> Checked:
            async with gate:
                checked = await self._one(instance)
            if not self._quiet:
                sign = "✓" if checked.valid else "✗"
                click.echo(
                    f"{sign} {checked.id}  {checked.seconds:.1f} s  {checked.detail}".rstrip(), err=True
                )
            return checked

        return await asyncio.gather(*map(one, instances))

    async def _one(self, instance: Instance) -> Checked:
        import time

        from coder.errors import CoderError

        began = time.monotonic()
        try:
            valid, detail = await self._tried(instance)
        except CoderError as error:
            valid, detail = False, f"{error}. {error.hint}".rstrip(". ")
        return Checked(instance.id, valid, " ".join(detail.split())[:300], round(time.monotonic() - began, 1))

    async def _tried(self, instance: Instance) -> tuple[bool, str]:
        """Without a change first, since that is what must fail; then with the gold patch."""
        from evals.grading import grade
        from evals.result import Status

        async with self._environments.place(instance) as place:
            before = await grade(instance, NO_OP, place, timeout=self._timeout)
            if before.tests is None:
                return False, before.detail
            if self._no_op:
                return before.status is not Status.RESOLVED, "is resolved by nothing" * (
                    before.status is Status.RESOLVED
                )
            if before.tests.fail_to_pass_success:
                return False, f"passes before: {', '.join(before.tests.fail_to_pass_success[:3])}"
            if before.tests.pass_to_pass_failure:
                return False, f"fails before: {', '.join(before.tests.pass_to_pass_failure[:3])}"
            if not instance.gold.strip():
                return False, "it has no gold patch"
            after = await grade(instance, instance.gold, place, timeout=self._timeout)
        return after.status is Status.RESOLVED, after.detail


NO_OP = """diff --git a/.no-op b/.no-op
new file mode 100644
--- /dev/null
+++ b/.no-op
@@ -0,0 +1 @@
+nothing
"""
