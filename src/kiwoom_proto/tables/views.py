"""The SQL of the views, generated from the columns of each type. Pure: nothing here talks to DuckDB.

The files are read by DuckDB's own JSON reader, told exactly which members there are: so only the FIDs that the type
declares are decoded. A message that is not of the usual shape becomes NULL and no error; `unreadable` lists it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..realtime.fields import Field
from ..realtime.record import STOCK_CODE_FID, Record
from ..realtime.traits import Market
from .columns import Column, columns_of
from .expressions import are_plain, expression_of, literal, pattern_of, slow_name

__all__ = (
    "SYMBOL_CODE",
    "SYMBOL_VENUE",
    "UNREADABLE_IN",
    "comments",
    "days_query",
    "event_view",
    "fields_of",
    "lines_view",
    "type_view",
    "unreadable_view",
)

SYMBOL_CODE, SYMBOL_VENUE = "kiwoom_symbol", "kiwoom_venue"
"""Functions of the connection: the code and the venue that an item names, or else a stock code."""
UNREADABLE_IN = "kiwoom_unreadable"
"""A function of the connection: what is unreadable in a line."""

MAX_GUARDED = 16
"""Texts that one guard looks at: more are faster for all columns, fewer for some."""
_DAY, _KST = 86_400_000_000, 32_400_000_000
"""A day, and the offset of KST, in microseconds."""
_CODE = "[0-9]" * 6


def type_view(
    code: str,
    cls: type[Record],
    files: Sequence[str],
    sessions: Mapping[str, str],
    columns: Sequence[Column] | None = None,
) -> str:
    """Return the query of a type's view.

    Args:
        code: the type code.
        cls: the class of its rows.
        files: the files.
        sessions: file -> the session that recorded it.
        columns: those of `columns_of` that it has; None: all.
    """
    columns = columns_of(cls) if columns is None else columns
    fields = fields_of(cls, columns)
    # What no column needs is not read: each member takes a tenth of a microsecond.
    names = {column.name.rstrip("_") for column in columns if column.part in ("identity", "numbers")}
    has_symbol, has_number = not names.isdisjoint(("symbol", "symbol_venue")), "sequence" in names
    has_venue = has_symbol or "venue_code" in names
    fids = dict.fromkeys([*(field.fid for field in fields), *([STOCK_CODE_FID] if has_symbol else ())])
    values = ", ".join(f'"{fid}" VARCHAR' for fid in fids) or "nothing VARCHAR"
    row = f'STRUCT("values" STRUCT({values}), type VARCHAR, item VARCHAR{", stexTp VARCHAR" if has_venue else ""})'
    # Five steps, so that what several columns need is written once: rows, their texts, guards, values, columns.
    rows = (
        'SELECT "at", epoch, sequence, filename, unnest(message.data) AS r'
        f"{', unnest(range(len(message.data))) AS i' if has_number else ''} "
        f"FROM {_read_json(files, message=f'STRUCT(data {row}[], trnm VARCHAR)')} WHERE message.trnm = 'REAL'"
    )
    number = "sequence + i AS sequence, " if has_number else ""
    venue = "coalesce(r.stexTp, '') AS venue_code, " if has_venue else ""
    texts = (
        f"SELECT \"at\", epoch, {number}filename, coalesce(r.item, '') AS item, {venue}"
        f'unnest(r."values") FROM ({rows}) WHERE r.type = {literal(code)}'
    )
    guards, guard_of = _guards(fields)
    read = ", ".join(
        f"{expression_of(field.kind, _text(field.fid), slow_name(field.kind), guard_of.get(field.fid, ''))}"
        f" AS {_quoted(field.name)}"
        for field in fields
    )
    selected = ", ".join(f"{_expression(column, cls, sessions)} AS {_quoted(column.name)}" for column in columns)
    return f"SELECT {selected} FROM (SELECT *{', ' if read else ''}{read} FROM (SELECT *{guards} FROM ({texts})))"


def fields_of(cls: type[Record], columns: Iterable[Column]) -> list[Field[Any]]:
    """Return the fields that these columns of a class are made of, in official order."""
    names = set()
    for column in columns:
        if column.field is not None:
            names.add(column.field.name)
        if column.name.rstrip("_") == "exchange_time" and column.part == "received":
            names.add("time")
        for step in column.steps:
            names.update(field.name for field in (step.values() if isinstance(step, dict) else [step]))
    return [field for name, field in cls.fields.items() if name in names]


def days_query(files: Sequence[str]) -> str:
    """Return the query for how many rows of which type and day (KST) each file has."""
    message = "STRUCT(data STRUCT(type VARCHAR)[], trnm VARCHAR)"
    return (
        f"SELECT filename, type, CAST({_moment(_AT)} AS DATE) AS day, count(*) FROM ("
        f'SELECT filename, "at", unnest(message.data).type AS type FROM {_read_json(files, message=message)} '
        "WHERE message.trnm = 'REAL') WHERE type IS NOT NULL GROUP BY ALL ORDER BY ALL"
    )


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
        f'SELECT {_moment(_AT)} AS received_at, "at" AS received_ns, {selected}, epoch, sequence, '
        f"{_session(sessions)} AS session_id FROM {_read_json(files, event=event)} WHERE event.event = {literal(name)}"
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


def _guards(read: Iterable[Field[Any]]) -> tuple[str, dict[str, str]]:
    """Return columns that tell whether several texts are plain, as SQL, and FID -> the name of its column."""
    of_pattern: dict[str, list[str]] = {}
    for field in read:
        if (pattern := pattern_of(field.kind)) is not None:
            of_pattern.setdefault(pattern, []).append(field.fid)
    fids = [(fid, pattern) for pattern, found in of_pattern.items() for fid in found]
    guards, guard_of = "", dict[str, str]()
    for start in range(0, len(fids), MAX_GUARDED):
        guarded = fids[start : start + MAX_GUARDED]
        name = f'"plain {guarded[0][0]}"'
        guards += f", {are_plain([(_text(fid), pattern) for fid, pattern in guarded])} AS {name}"
        guard_of.update((fid, name) for fid, _ in guarded)
    return guards, guard_of


def _text(fid: str) -> str:
    """Return the name of the column with a FID's text. No field can have this name."""
    return f'"{fid}"'


def _expression(column: Column, cls: type[Record], sessions: Mapping[str, str]) -> str:
    """Return the SQL of a column's value."""
    field = column.field
    if column.part == "ladder":
        return f"[{', '.join(map(_step, column.steps))}]"
    if field is not None and column.part == "field":
        return _quoted(field.name)
    if field is not None:
        text = _text(field.fid)  # of a number, so a sign can stand in front only
        signs = " ".join(f"WHEN contains({text}, '{sign}') THEN '{sign}'" for sign in "-+")
        return f"CASE WHEN {_quoted(field.name)} IS NULL THEN NULL {signs} ELSE '' END"
    match column.name.rstrip("_"):
        case "received_at":
            return _moment(_AT)
        case "received_ns":
            return _AT
        case "exchange_time":
            return _exchange_time(_quoted("time"))
        case "symbol":
            return _symbol(cls, "item", "left(item, 6)", SYMBOL_CODE)
        case "symbol_venue":
            return _symbol(cls, "'KRX'", "'NXT'", SYMBOL_VENUE)
        case "session_id":
            return _session(sessions)
        case name:
            return name


def _step(step: Field[object] | dict[str, Field[object]]) -> str:
    if isinstance(step, dict):
        return "{" + ", ".join(f"{literal(name)}: {_quoted(field.name)}" for name, field in step.items()) + "}"
    return _quoted(step.name)


def _exchange_time(time: str) -> str:
    """Return the SQL of `Record.exchange_time`: the day that puts the time nearest to the time of receipt."""
    received = f"({_AT} // 1000 + {_KST})"
    moment = f"(epoch_us({time}) - {received} % {_DAY})"  # later than the receipt, on the same day
    nearest = f"CASE WHEN {moment} >= {_DAY // 2} THEN -{_DAY} WHEN {moment} < -{_DAY // 2} THEN {_DAY} ELSE 0 END"
    return f"make_timestamptz({_AT} // 1000 + {moment} + {nearest})"


def _symbol(cls: type[Record], krx: str, nxt: str, function: str) -> str:
    us = "true" if cls.market is Market.US else "false"
    slow = f"{function}(item, coalesce({_text(STOCK_CODE_FID)}, ''), venue_code, {us})"
    if cls.market is Market.US:
        return slow
    # Most items; anything else is parsed as a record does it.
    return (
        f"CASE WHEN venue_code = '' AND item GLOB '{_CODE}' THEN {krx} "
        f"WHEN venue_code = '' AND item GLOB '{_CODE}_NX' THEN {nxt} ELSE {slow} END"
    )
