"""`coder eval export`: trajectories for other tools."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where a file for each attempt goes.")  # fmt: skip
def command(run: Path, output: Path) -> None:
    """Write RUN's trajectories in the ATIF format, which Harbor's viewer and NeMo's tools read.

    RUN is a folder of `coder eval run`, or one run's own folder (`coder sessions` names them). Predictions for the
    official harness need no export: they are preds.jsonl in the run's folder.
    """
    from coder.errors import UsageError
    from coder.journal import FILE
    from evals.export.atif import trajectory
    from evals.folder import RunFolder, write_whole

    if (run / FILE).is_file():
        journals = {run.resolve().name: run / FILE}
    else:
        folder = RunFolder(run)
        places = {
            f"{each.instance}-{each.attempt}": folder.place(each.instance, each.attempt)
            for each in folder.results()
        }
        journals = {name: place / FILE for name, place in places.items() if (place / FILE).is_file()}
    try:
        for name, journal in journals.items():
            text = json.dumps(trajectory(journal), ensure_ascii=False, indent=1)
            write_whole(output / f"{name.replace('/', '_')}.json", text.encode("utf-8", "replace"))
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from error
    click.echo(f"{len(journals)} trajectories are in {output}")
