"""`coder eval run`: a model on a data set's tasks."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from evals.choosing import choosing
from evals.result import Status

_AGENT = (
    "model", "profile", "thinking", "routine", "strategy", "test", "max_turns", "max_tokens", "timeout", "candidates",
    "reviewer",
)  # fmt: skip
"""Flags that `coder run` has too; they decide what an attempt does."""


def _workers(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value != "auto" and not (value.isdigit() and int(value) > 0):
        raise click.BadParameter("must be a number above 0, or auto")
    return value


@click.command()
@click.argument("data")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where everything goes; naming it again goes on.")  # fmt: skip
@choosing
@click.option("--attempts", type=click.IntRange(1), default=1, show_default=True, metavar="K", help="For each task.")  # fmt: skip
@click.option("--workers", default="1", show_default=True, metavar="N|auto", callback=_workers, help="Attempts at once; auto finds how many the server gains from.")  # fmt: skip
@click.option("--base-url", "endpoints", multiple=True, metavar="URL", help="The model server; given again, servers of the same model that share the work.")  # fmt: skip
@click.option("--model", help="The model's name on the server.")
@click.option("--profile", help="What is known of the model; chosen by its name otherwise.")
@click.option("--thinking", help="off, low, full, or a number of tokens.")
@click.option("--routine", help="The same, for steps after which nothing failed.")
@click.option("--strategy", type=click.Choice(["auto", "agent", "repair"]), default="auto", show_default=True, help="How to work; auto lets the profile decide.")  # fmt: skip
@click.option("--candidates", type=click.IntRange(1, 8), metavar="N", help="In each attempt, so many side by side, from which one is chosen as `coder fix` does: by gates and tests, never by the hidden ones; 1 compares with them.")  # fmt: skip
@click.option("--reviewer", flag_value="on", default=None, help="Have each change reviewed before it counts.")
@click.option("--workflow", type=click.Choice(["fix", "run"]), help="fix expects a failing test to be there already; for the suites that ship, else run.")  # fmt: skip
@click.option("--test", metavar="CMD", help="How the agent runs tests; pytest, or node --test, otherwise. Never the hidden ones.")  # fmt: skip
@click.option("--max-turns", type=click.IntRange(1), metavar="N", help="Cap on model requests, an attempt.")
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Cap on tokens, an attempt.")
@click.option("--timeout", type=click.FloatRange(1.0), metavar="SECONDS", help="Cap on an attempt's wall time.")  # fmt: skip
@click.option("--tests-timeout", type=click.FloatRange(1.0), default=1800.0, show_default=True, metavar="SECONDS", help="For the tests of one grading.")  # fmt: skip
@click.option("--sandbox", type=click.Choice(["bubblewrap", "docker"]), default="bubblewrap", show_default=True, help="Where commands and tests run.")  # fmt: skip
@click.option("--image", default="", help="The Docker image, where an instance has none.")
@click.option("--executor", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="This machine, or a Ray cluster.")  # fmt: skip
@click.option("--ray-address", default="auto", show_default=True, metavar="ADDRESS", help="Of the cluster's head, such as 10.0.0.1:6379.")  # fmt: skip
@click.option("--attempt-cpus", type=click.FloatRange(0.1), default=1.0, show_default=True, help="Of a node, with Ray.")  # fmt: skip
@click.option("--attempt-memory", type=click.IntRange(1), default=1000, show_default=True, metavar="MB", help="Of a node, with Ray.")  # fmt: skip
@click.option("--attempt-disk", type=click.IntRange(0), default=0, metavar="MB", help="With Ray, of nodes that were started with a resource `disk_mb`.")  # fmt: skip
@click.option("--rerun", type=click.Choice([status.value for status in Status]), multiple=True, help="Make attempts that ended so again; may be given again.")  # fmt: skip
@click.option("--name", default="", help="What the predictions are named after; the model otherwise.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="The report as one object on standard output.")
def command(data: str, output: Path, **flags: Any) -> None:
    """Let the model work on each task of DATA, and grade what it leaves.

    DATA is a .jsonl, .json or .parquet file, hub:OWNER/NAME, or a suite such as smoke. Run the same command again
    after an interruption: it goes on, and makes only those attempts again whose server or environment failed.

    \b
    Is a new server fit for this?   coder eval run smoke -o smoke-1
    What came of it?                coder eval report smoke-1

    \b
    Exit status: 0 every attempt has a verdict   1 some have none, since the server or an environment failed
    """
    from coder.start import run_until_interrupted
    from evals.report.summary import summary
    from evals.report.text import as_json, in_short

    folder, left = run_until_interrupted(_run(data, output, flags))
    found = summary(folder)
    click.echo(as_json([found]) if flags["as_json"] else in_short(found))
    if not flags["as_json"]:
        click.echo(f"coder eval report {output}")
    raise SystemExit(int(left > 0))


async def _run(data: str, output: Path, flags: dict[str, Any]) -> tuple[Any, int]:
    """Returns the folder, and how many attempts have no verdict."""
    from coder.model.endpoint import warm_up
    from evals.choosing import choose
    from evals.data import load
    from evals.environments.place import default_cache, remove_places
    from evals.running.attempt import Settings
    from evals.running.progress import Progress
    from evals.running.runner import Runner
    from evals.running.start import begin
    from evals.suites import names

    warm_up()
    dataset = load(data)
    chosen = {key: flags[key] for key in ("ids", "match", "part", "limit", "seed")}
    instances = choose(dataset, **chosen)
    given = {key: flags[key] for key in _AGENT if flags[key] is not None}
    workflow = flags["workflow"] or ("fix" if data in names() or flags["strategy"] == "repair" else "run")
    with Progress(sys.stderr, quiet=flags["quiet"]) as progress:
        folder, run = begin(
            output,
            dataset,
            instances,
            flags["attempts"],
            {
                **given,
                "workflow": workflow,
                "tests_timeout": flags["tests_timeout"],
                "sandbox": flags["sandbox"],
                "image": flags["image"],
                "endpoints": list(flags["endpoints"]),
            },
            name=flags["name"],
            seed=flags["seed"],
            say=progress.say,
        )
        await asyncio.to_thread(remove_places, default_cache())
        settings = Settings(flags=given, workflow=workflow, tests_timeout=flags["tests_timeout"])
        with ExitStack() as held:
            executor, workers = _executor(flags, folder, settings, held)
            runner = Runner(
                folder=folder,
                instances=instances,
                attempts=run.attempts,
                executor=executor,
                workers=workers,
                name=flags["name"],
                rerun=[Status(each) for each in flags["rerun"]],
                report=progress,
            )
            results = await runner.all()
    return folder, sum(result.status.infrastructure for result in results)


def _executor(flags: dict[str, Any], folder: Any, settings: Any, held: ExitStack) -> tuple[Any, Any]:
    """Where attempts are made, and how many at once."""
    from evals.environments import Environments
    from evals.running.endpoints import Endpoints
    from evals.running.local import Local
    from evals.running.workers import Workers

    endpoints, automatic = Endpoints(flags["endpoints"]), flags["workers"] == "auto"
    if flags["executor"] == "ray":
        from evals.running.cluster import Cluster, Share

        share = Share(
            cpus=flags["attempt_cpus"], memory_mb=flags["attempt_memory"], disk_mb=flags["attempt_disk"]
        )
        cluster = held.enter_context(
            Cluster(
                address=flags["ray_address"],
                folder=folder,
                settings=settings,
                endpoints=endpoints,
                sandbox=flags["sandbox"],
                image=flags["image"],
                share=share,
            )
        )
        return cluster, Workers(cluster.slots() if automatic else int(flags["workers"]))
    workers = Workers(1 if automatic else int(flags["workers"]), automatic=automatic)
    local = Local(
        folder=folder,
        settings=settings,
        environments=Environments(flags["sandbox"], image=flags["image"]),
        endpoints=endpoints,
        on_tokens=workers.note,
    )
    return local, workers
