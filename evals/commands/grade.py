"""`coder eval grade`: what predictions made elsewhere are worth."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import click

from evals.choosing import choosing


@click.command()
@click.argument("data")
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where results go."
)
@choosing
@click.option("--sandbox", type=click.Choice(["bubblewrap", "docker"]), default="bubblewrap", show_default=True, help="Where the tests run.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Instances at once.")
@click.option("--timeout", type=click.FloatRange(1.0), default=1800.0, show_default=True, metavar="SECONDS", help="For the tests of one instance.")  # fmt: skip
def command(
    data: str, predictions: Path, output: Path, sandbox: str, workers: int, timeout: float, **chosen: Any
) -> None:
    """Grade PREDICTIONS (.jsonl, or .json list or object by id, as the official harness takes them) for DATA.

    What is graded already is not graded again.
    """
    from coder import __version__
    from evals.choosing import choose
    from evals.data import load
    from evals.folder import RunFolder
    from evals.predictions import read
    from evals.result import Run

    dataset = load(data)
    instances = choose(dataset, **chosen)
    found = read(predictions)
    folder = RunFolder(output)
    name = next((each.model for each in found.values() if each.model), predictions.stem)
    run = Run(
        data=data,
        sha256=dataset.sha256,
        instances=tuple(each.id for each in instances),
        name=name,
        program=__version__,
        settings={"predictions": str(predictions), "sandbox": sandbox},
        started=time.time(),
    )
    folder.begin(run)
    asyncio.run(_all(folder, instances, found, sandbox, workers, timeout, name))
    results = list(folder.results())
    resolved = sum(each.status == "resolved" for each in results)
    click.echo(f"{resolved} of {len(instances)} resolved; the results are in {output}")


async def _all(
    folder: Any, instances: Any, found: Any, kind: str, workers: int, timeout: float, name: str
) -> None:
    from coder.errors import CoderError
    from evals.environments import Environments
    from evals.grading import grade
    from evals.result import Grade, Result, Seconds, Status

    environments, gate = Environments(kind), asyncio.Semaphore(workers)

    async def one(instance: Any) -> None:
        prediction = found.get(instance.id)
        if prediction is None or folder.result(instance.id, 1) is not None:
            return
        async with gate:
            began = time.time()
            try:
                async with environments.place(instance) as place:
                    graded = await grade(instance, prediction.patch, place, timeout=timeout)
            except CoderError as error:
                graded = Grade(status=Status.ENVIRONMENT_ERROR, detail=str(error))
        seconds = Seconds(total=time.time() - began, setup=graded.setup_seconds, tests=graded.seconds)
        folder.keep(
            Result(
                instance=instance.id, attempt=1, repo=instance.repo, difficulty=instance.difficulty, status=graded.status, detail=graded.detail, patch=prediction.patch,
                grade=graded, seconds=seconds, started=began, model=name, sandbox=kind,
            )
        )  # fmt: skip
        click.echo(f"{graded.status:<18} {instance.id}  {graded.detail}".rstrip(), err=True)

    await asyncio.gather(*map(one, instances))
