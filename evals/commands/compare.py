"""`coder eval compare`: is one run better than another, or was it chance?"""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One object on standard output.")
def command(a: Path, b: Path, as_json: bool) -> None:
    """Compare run B with run A, task by task: which flipped, and how likely chance alone does that.

    Both are folders of the same data set. First attempts count; those whose server or environment failed do not.
    """
    import msgspec

    from evals.folder import RunFolder
    from evals.report.compare import as_text, compare

    found = compare(RunFolder(a), RunFolder(b))
    click.echo(msgspec.json.format(msgspec.json.encode(found)).decode() if as_json else as_text(found))
