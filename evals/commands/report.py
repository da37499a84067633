"""`coder eval report`: what runs came to."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="One page with plots that loads nothing, and a page for each attempt beside its journal.")  # fmt: skip
def command(runs: tuple[Path, ...], as_json: bool, page: Path | None) -> None:
    """Say what evaluation runs came to, as Markdown. RUNS are folders that `coder eval run` or `grade` wrote, done or not.

    \b
    With plots:          coder eval report DIR --html report.html
    Two, side by side:   coder eval compare A B
    """
    from coder.errors import UsageError
    from evals.folder import RunFolder
    from evals.report import text
    from evals.report.summary import summary

    folders = [RunFolder(path) for path in runs]
    found = [summary(folder) for folder in folders]
    if page is not None:
        from evals.report.page import write_page

        try:
            write_page(page, folders, found)
        except OSError as error:
            raise UsageError(f"{page} cannot be written: {error.strerror}") from error
    if as_json:
        click.echo(text.as_json(found))
    elif page is not None:
        click.echo(f"{page} is written; any browser opens it", err=True)
    else:
        click.echo("\n".join(map(text.as_markdown, found)), nl=False)
