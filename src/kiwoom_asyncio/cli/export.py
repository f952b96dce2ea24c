"""`kiwoom-proto export`: recordings as Parquet files."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kiwoom_proto.tables import to_parquet

from .view import plural

__all__ = ("export",)


@click.command(short_help="Convert recordings to Parquet files.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--parquet",
    "out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="OUT",
    help="Folder of the Parquet files; made if it is missing.",
)
@click.option(
    "--existing",
    type=click.Choice(("refuse", "skip", "replace")),
    default="refuse",
    show_default=True,
    help="What becomes of files that are there: nothing is written, they are kept, or written again.",
)
def export(paths: tuple[str, ...], out: Path, existing: str) -> None:
    """Write recordings as Parquet files in OUT, one for each type and day (KST). PATH is a file or a folder of
    "kiwoom-proto record".

    DuckDB, polars, pandas and Spark read them. gap.parquet and hole.parquet tell what is missing. The command prints
    the path of each file that it has written.

    --existing skip only continues an interrupted export of the same files. It adds nothing to files that are there: for
    a day that was not over, and for gap.parquet and hole.parquet, take --existing replace.

    \b
    Examples:
      kiwoom-proto export DIR --parquet OUT
      kiwoom-proto export DIR --parquet OUT --existing skip
    """
    on_terminal = sys.stdout.isatty()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(), transient=True)
    task = progress.add_task("rows", total=None)
    with progress if on_terminal else nullcontext():  # older versions of rich print a line break all the same
        written = to_parquet(
            paths,
            out,
            existing=existing,  # type: ignore[arg-type]  # click checks it
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    for file in written:
        click.echo(file)
    if on_terminal:
        click.echo(f"{plural(len(written), 'file')} written")
