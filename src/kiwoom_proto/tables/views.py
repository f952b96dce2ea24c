"""The SQL of the views of lines and events. Pure: nothing here talks to DuckDB.

The files are read by DuckDB's own JSON reader, told exactly which members there are. Rows of types are in scan.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .columns import Column
from .values import literal

__all__ = (
    "HOLES_IN",
    "UNREADABLE_IN",
    "comments",
    "event_view",
    "holes_view",
    "lines_view",
    "unreadable_view",
)

UNREADABLE_IN = "kiwoom_unreadable"
"""A function of the connection: what is unreadable in a line."""
HOLES_IN = "kiwoom_holes"
"""A function of the connection: what the recordings lack."""


def lines_view(files: Sequence[str], sessions: Mapping[str, str]) -> str:
    """Return the query of the view of every line, as it stands in the file."""
    kinds = " ".join(
        f"WHEN json_exists(line, '$.{name}') THEN '{name}'"
        for name in ("message", "sent", "event", "text", "base64", "sent_text", "sent_base64", "recording", "end")
    )
    at = "TRY_CAST(line ->> '$.at' AS BIGINT)"
    return (
        f"SELECT {_moment(at)} AS received_at, {at} AS received_ns, TRY_CAST(line ->> '$.epoch' AS INTEGER) AS epoch, "
        f"TRY_CAST(line ->> '$.sequence' AS BIGINT) AS sequence, CASE {kinds} END AS kind, line, "
        f"{_session(sessions)} AS session_id FROM (SELECT json AS line, filename FROM {_read_lines(files)})"
    )


def event_view(name: str, members: Mapping[str, str], files: Sequence[str], sessions: Mapping[str, str]) -> str:
    """Return the query of the view of one kind of the session's events.

    Args:
        name: the event, "Gap".
        members: its members -> their SQL types.
        files: the files.
        sessions: file -> the session that recorded it.
    """
    event = f"STRUCT(event VARCHAR, {', '.join(f'{_quoted(member)} {type}' for member, type in members.items())})"
    selected = ", ".join(
        f"{_moment(f'nullif(event.{_quoted(member)}, 0)')} AS {_quoted(f'{member}_at')}"
        if member in ("start", "end")
        else f"event.{_quoted(member)} AS {_quoted(member)}"
        for member in members
    )
    return (
        f"SELECT {selected}, epoch, sequence, {_session(sessions)} AS session_id, {_moment(_AT)} AS received_at, "
        f'"at" AS received_ns FROM {_read_json(files, event=event)} WHERE event.event = {literal(name)}'
    )


def holes_view() -> str:
    """Return the query of the view of what the recordings lack."""
    members = ", ".join(f"found.{name} AS {name}" for name in ("reason", "messages", "epoch", "sequence", "session_id"))
    return (
        f"SELECT {_moment('found.start')} AS start_at, {_moment('found.end')} AS end_at, {members}, "
        f"{_moment('found.received_ns')} AS received_at, found.received_ns AS received_ns "
        f"FROM (SELECT unnest({HOLES_IN}()) AS found)"
    )


def unreadable_view(files: Sequence[str], sessions: Mapping[str, str]) -> str:
    """Return the query of the view of what is no value, or no row."""
    members = ("epoch", "sequence", "type", "item", "fid", '"column"', "text", "reason")
    selected = ", ".join(f"found.{member} AS {member}" for member in members)
    return (
        f"SELECT {_moment('found.received_ns')} AS received_at, found.received_ns AS received_ns, {selected}, "
        f"{_session(sessions)} AS session_id FROM (SELECT filename, unnest({UNREADABLE_IN}(json)) AS found "
        f"FROM {_read_lines(files)})"
    )


def comments(view: str, about: str, columns: Iterable[Column]) -> str:
    """Return the statements that say what a view and its columns hold."""
    statements = [f"COMMENT ON VIEW {_quoted(view)} IS {literal(about)}"]
    statements += [
        f"COMMENT ON COLUMN {_quoted(view)}.{_quoted(column.name)} IS {literal(column.comment)}" for column in columns
    ]
    return "; ".join(statements)


_AT = '"at"'


def _read_json(files: Sequence[str], **member: str) -> str:
    known = {"at": "BIGINT", "epoch": "INTEGER", "sequence": "BIGINT", **member}
    columns = ", ".join(f"{literal(name)}: {literal(type)}" for name, type in known.items())
    # Errors of structure become NULL; a frame that is damaged is an error all the same.
    return f"read_json({_listed(files)}, {_OPTIONS}, columns={{{columns}}})"


def _read_lines(files: Sequence[str]) -> str:
    return f"read_json_objects({_listed(files)}, {_OPTIONS})"


_OPTIONS = "format='newline_delimited', ignore_errors=true, filename=true"


def _listed(files: Sequence[str]) -> str:
    return f"[{', '.join(map(literal, files))}]"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _moment(nanoseconds: str) -> str:
    return f"make_timestamptz({nanoseconds} // 1000)"


def _session(sessions: Mapping[str, str]) -> str:
    whens = " ".join(f"WHEN {literal(file)} THEN {literal(session)}" for file, session in sessions.items())
    return f"CASE filename {whens} END" if whens else "NULL::VARCHAR"
