"""`kiwoom-proto recordings`: what is in recordings, and what is not."""

from __future__ import annotations

import datetime
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kiwoom_proto import Gap, KiwoomError
from kiwoom_proto.display import MESSAGE_LIMIT, displayed
from kiwoom_proto.errors import RecordingError
from kiwoom_proto.events import RecordingHole
from kiwoom_proto.realtime.record import KST
from kiwoom_proto.recording.check import Summary, repair, summaries
from kiwoom_proto.recording.event_json import event_to_dict
from kiwoom_proto.recording.files import find_files, shown
from kiwoom_proto.recording.recorded_file import NO_END
from kiwoom_proto.secrets import redact

from .lines import write_line
from .recorder_view import size_text
from .stream import warn
from .view import plural

__all__ = ("recordings",)

MAX_WIDTH = 10_000
"""Columns of a terminal that no table needs."""
MAX_LISTED = 40
"""Gaps and holes that are listed one by one."""
DAY, SECOND = "%Y-%m-%d", "%H:%M:%S"


@click.command(short_help="List recordings, check them, or repair them.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--verify", is_flag=True, help="Check every line. Exit code 1 if something is damaged.")
@click.option("--repair", "out", metavar="OUT", type=click.Path(path_type=Path), help="Write a copy without damage.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each file; the default in a pipe.")
def recordings(paths: tuple[str, ...], verify: bool, out: Path | None, as_json: bool) -> None:
    """List the files of recordings: time (KST), rows by type, gaps, holes and size. PATH is a file or a folder of
    "kiwoom-proto record".

    A gap is what the feed did not bring, while there was no connection. A hole is what was not recorded, or is damaged.
    A file that was not closed was cut off, or is still being written; at most its last second is missing.

    --repair writes a copy that every program reads, with each hole marked in it. OUT is a file; for several files it
    is a folder. The recordings themselves are never changed.

    \b
    Examples:
      kiwoom-proto recordings DIR
      kiwoom-proto recordings DIR --verify
      kiwoom-proto recordings DIR/2026-11-25T090000-00.ndjson.zst --repair repaired.ndjson.zst

    \b
    Exit codes:
      0    done
      1    no such file; with --verify: something is damaged; with --repair: a file was left out
      2    usage error
    """
    left_out: list[str] = []
    listed: list[Summary] = []
    if as_json or not sys.stdout.isatty():
        found = _repaired(paths, out, left_out) if out is not None else summaries(paths, verify=verify)
        for summary in found:
            listed.append(summary)
            write_line(_members_of(summary))
    else:
        console = Console()
        with console.status(Text("reading …")) as status:

            def show(path: Path, offset: int, size: int) -> None:
                done = f"{plural(len(listed), 'file')}, " if listed else ""
                status.update(Text(f"reading … {done}{displayed(path.name)} {offset / max(offset, size, 1):.0%}"))

            if out is not None:
                found = _repaired(paths, out, left_out)
            else:
                found = summaries(paths, verify=verify, progress=show)
            for summary in found:
                listed.append(summary)
                status.update(Text(f"reading … {plural(len(listed), 'file')}"))
        _print(console, listed)
    if not listed and not left_out:
        raise KiwoomError(f"{shown(paths)}: no recording to read")
    for reason in left_out:
        warn(reason)
    if left_out:
        raise KiwoomError(f"{plural(len(left_out), 'file')} left out, and {len(listed):,} repaired")
    if verify:
        for summary in listed:
            name = summary.path.name
            for problem in summary.problems:
                warn(f"{summary.path}: {problem.removeprefix(f'{name}, ').removeprefix(f'{name}: ')}")
        damaged = [summary for summary in listed if summary.problems]
        if damaged:
            raise KiwoomError(
                f"{len(damaged)} of {plural(len(listed), 'file')} damaged or no recording; --repair OUT writes a copy"
            )


def _repaired(paths: Iterable[str], out: Path, left_out: list[str]) -> Iterator[Summary]:
    """Yield what the copies hold. Of several files, those that cannot be copied are left out, and why is noted."""
    files = [path for path, _ in find_files(paths)]
    if len(files) == 1 and not out.is_dir():
        yield repair(files[0], out)
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(f"{out}: cannot be made: {error.strerror}") from None
    for file in files:
        try:
            summary = repair(file, out / file.name)
        except RecordingError as error:
            left_out.append(str(error))
        else:
            yield summary


# For programs.


def _members_of(summary: Summary) -> dict[str, Any]:
    return {
        "path": str(summary.path),
        "first": _moment(summary.first).isoformat() if summary.first else None,
        "last": _moment(summary.last).isoformat() if summary.last else None,
        "messages": summary.messages,
        "rows": dict(summary.rows),
        "gaps": [event_to_dict(gap) for gap in summary.gaps],
        "holes": [event_to_dict(hole) for hole in summary.holes],
        "size": summary.size,
        "text_size": summary.text_size,
        "is_complete": summary.is_complete,
        "problems": list(summary.problems),
    }


# For people.


def _print(console: Console, summaries: Sequence[Summary]) -> None:
    table = _table(summaries)
    if console.measure(table, options=console.options.update(width=MAX_WIDTH)).maximum <= console.width:
        console.print(table)
    else:
        for summary in summaries:
            console.print(_block(summary))
    missing: list[Gap | RecordingHole] = []
    for summary in summaries:
        missing += (*summary.gaps, *_holes_of(summary))
    missing.sort(key=lambda event: event.start)
    if missing:
        console.print()
    for event in missing[:MAX_LISTED]:
        console.print(_missing(event))
    if len(missing) > MAX_LISTED:
        console.print(Text(f"… {len(missing) - MAX_LISTED:,} more; --json writes all", style="dim"))
    console.print()
    console.print(Text(_total(summaries), style="dim"))


def _table(summaries: Sequence[Summary]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("file", "time (KST)", "rows by type"):
        table.add_column(name, no_wrap=True)
    for name in ("gaps", "holes", "size", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    for summary in summaries:
        table.add_row(
            _name(summary),
            _span(summary),
            _rows(summary.rows),
            _count(summary.gaps),
            _holes(summary),
            size_text(summary.size),
            f"{summary.text_size / summary.size:.1f}" if summary.size else "-",
        )
    return table


def _block(summary: Summary) -> Text:
    """Return a file as lines, for a terminal that a table does not fit."""
    head = Text.assemble(_name(summary), "  ", _span(summary), "  ", size_text(summary.size))
    counts = (("gaps: ", _count(summary.gaps)), ("holes: ", _holes(summary)))
    return Text("\n  ").join([head, _rows(summary.rows), Text("  ").join(Text.assemble(*each) for each in counts)])


def _name(summary: Summary) -> Text:
    return Text(displayed(summary.path.name))  # of a str, brackets would be markup


def _span(summary: Summary) -> str:
    if not summary.first:
        return "-"
    first, last = _moment(summary.first), _moment(summary.last)
    start = f"{first:{SECOND}}" if summary.path.name.startswith(f"{first:{DAY}}") else f"{first:{DAY} {SECOND}}"
    return f"{start} – {last:{SECOND}}" if first.date() == last.date() else f"{start} – {last:{DAY} {SECOND}}"


def _rows(rows: Mapping[str, int]) -> Text:
    if not rows:
        return Text("none", style="dim")
    most = Counter(rows).most_common()
    return Text(" · ".join(f"{displayed(redact(code))} {number:,}" for code, number in most))


def _count(events: Sequence[Gap] | Sequence[RecordingHole]) -> Text:
    if not events:
        return Text("none", style="dim")
    seconds = sum(event.seconds for event in events)
    return Text(f"{len(events):,}" + (f" ({seconds:,.1f} s)" if seconds else ""), style="yellow")


def _holes(summary: Summary) -> Text:
    if not summary.holes or not all(map(_is_end, summary.holes)):
        return _count(_holes_of(summary))
    seconds = sum(hole.seconds for hole in summary.holes)
    return Text("not closed" + (f", {seconds:,.1f} s" if seconds else ""), style="yellow")


def _holes_of(summary: Summary) -> list[RecordingHole]:
    """Return the holes of a file, but for one at its end of which nothing is known: it may still be written."""
    return [hole for hole in summary.holes if hole.seconds > 0 or not _is_end(hole)]


def _is_end(hole: RecordingHole) -> bool:
    """Return whether a hole is that at the end of a file that was not closed."""
    return hole.reason.endswith(NO_END)


def _missing(event: Gap | RecordingHole) -> Text:
    """Return a gap or a hole as a line."""
    kind = "gap " if isinstance(event, Gap) else "hole"
    when = f"{_moment(event.start):{DAY} {SECOND}}" if event.start else "from the start"
    lasted = f"{event.seconds:8,.1f} s" if event.seconds > 0 else " " * 10
    text = Text.assemble((kind, "yellow"), f"  {when}  {lasted}  ")
    if isinstance(event, Gap):
        return text.append("no connection", "dim")
    if event.messages is not None:
        text.append(f"{plural(event.messages, 'message')}: ")
    return text.append(displayed(event.reason, MESSAGE_LIMIT), "dim")


def _total(summaries: Sequence[Summary]) -> str:
    gaps = [gap for summary in summaries for gap in summary.gaps]
    holes = [hole for summary in summaries for hole in _holes_of(summary)]
    unclosed = sum(any(map(_is_end, summary.holes)) for summary in summaries)
    return " · ".join(
        (
            plural(len(summaries), "file"),
            plural(sum(sum(summary.rows.values()) for summary in summaries), "row"),
            size_text(sum(summary.size for summary in summaries)),
            f"{plural(len(gaps), 'gap')} of {sum(gap.seconds for gap in gaps):,.1f} s" if gaps else "no gaps",
            f"{plural(len(holes), 'hole')} of {sum(hole.seconds for hole in holes):,.1f} s" if holes else "no holes",
            *([f"{unclosed} not closed"] if unclosed else []),
        )
    )


def _moment(at: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at // 1_000_000_000, KST).replace(microsecond=at % 1_000_000_000 // 1000)
