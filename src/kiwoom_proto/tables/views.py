"""The SQL of the views, generated from the columns of each type. Pure: nothing here talks to DuckDB.

The files are read by DuckDB's own JSON reader, told exactly which members there are: so only the FIDs that the type
declares are decoded. A message that is not of the usual shape becomes NULL and no error; `unreadable` lists it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..realtime.fields import Field
from ..realtime.record import STOCK_CODE_FID, Record
from ..realtime.traits import Market
from .columns import Column, columns_of
from .expressions import (
    DECIMAL,
    PERCENT,
    are_decimals,
    are_whole_numbers,
    clock_digits,
    expression_of,
    is_clock,
    is_decimal,
    is_whole_number,
    literal,
    slow_name,
    sql_type_of,
)

__all__ = (
    "HOLES_IN",
    "SYMBOL_CODE",
    "SYMBOL_VENUE",
    "UNREADABLE_IN",
    "comments",
    "days_query",
    "event_view",
    "fields_of",
    "holes_view",
    "lines_view",
    "type_view",
    "unreadable_view",
)

SYMBOL_CODE, SYMBOL_VENUE = "kiwoom_symbol", "kiwoom_venue"
"""Functions of the connection: the code and the venue that an item names, or else a stock code."""
UNREADABLE_IN = "kiwoom_unreadable"
"""A function of the connection: what is unreadable in a line."""
HOLES_IN = "kiwoom_holes"
"""A function of the connection: what the recordings lack."""

MAX_WHOLE_NUMBERS = 32
"""Texts of whole numbers that one guard looks at: more are faster for all columns, fewer for some."""
MAX_DECIMALS = 16
"""The same for decimals, whose guard is slower."""
_DAY, _KST = 86_400_000_000, 32_400_000_000
"""A day, and the offset of KST, in microseconds."""
_CODE = "[0-9]" + "[0-9A-Z]" * 5
"""Codes of instruments, as a pattern: "005930", "0004V0"."""
_SECTOR = "[0-9]" * 3
"""Codes of sectors, "001"."""


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
    # Six steps, so that what several columns need is written once: rows, their texts, some of them joined, what is
    # known of texts, values, columns.
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
    joined, known, prepared = _prepared(fields)
    read = ", ".join(
        f"{expression_of(field.kind, _text(field.fid), slow_name(field.kind), prepared.get(field.fid, ''))}"
        f" AS {_quoted(field.name)}"
        for field in fields
    )
    selected = ", ".join(f"{_expression(column, cls, sessions)} AS {_quoted(column.name)}" for column in columns)
    prepared_texts = f"SELECT *{known} FROM (SELECT *{joined} FROM ({texts}))"
    return f"SELECT {selected} FROM (SELECT *{', ' if read else ''}{read} FROM ({prepared_texts}))"


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


def _prepared(read: Sequence[Field[Any]]) -> tuple[str, str, dict[str, str]]:
    """Return what is prepared for several columns: columns of texts joined, and columns of what is known of texts.

    Both as SQL. The last of what is returned is FID -> the name of the column that `expression_of` takes.
    """
    joined, known, prepared = "", "", dict[str, str]()
    for fids in _batched([field.fid for field in read if is_whole_number(field.kind)], MAX_WHOLE_NUMBERS):
        texts, name = f'"joined {fids[0]}"', f'"plain {fids[0]}"'
        joined += f", concat({', '.join(map(_text, fids))}) AS {texts}"
        known += f", {are_whole_numbers(texts)} AS {name}"
        prepared.update(dict.fromkeys(fids, name))
    for sql_type in (PERCENT, DECIMAL):
        decimals = [field.fid for field in read if is_decimal(field.kind) and sql_type_of(field.kind) == sql_type]
        for fids in _batched(decimals, MAX_DECIMALS):
            name = f'"plain {fids[0]}"'
            known += f", {are_decimals(sql_type, map(_text, fids))} AS {name}"
            prepared.update(dict.fromkeys(fids, name))
    for fid in (field.fid for field in read if is_clock(field.kind)):
        known += f', {clock_digits(_text(fid))} AS "digits {fid}"'
        prepared[fid] = f'"digits {fid}"'
    return joined, known, prepared


def _batched(fids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (fids[start : start + size] for start in range(0, len(fids), size))


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
            return _symbol(cls, SYMBOL_CODE)
        case "symbol_venue":
            return _symbol(cls, SYMBOL_VENUE)
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


def _symbol(cls: type[Record], function: str) -> str:
    """Return the SQL of what a function says of a row's symbol: most items are told apart here, the others by it."""
    is_us = cls.market is Market.US
    slow = f"{function}(item, coalesce({_text(STOCK_CODE_FID)}, ''), venue_code, {'true' if is_us else 'false'})"
    if is_us:
        is_usual = "venue_code IN ('ND', 'NY', 'NA') AND item <> '' AND NOT item GLOB '*[!A-Z0-9]*'"
        return f"CASE WHEN {is_usual} THEN {'item' if function == SYMBOL_CODE else 'venue_code'} ELSE {slow} END"
    venues = {_CODE: "KRX", f"{_CODE}_NX": "NXT", f"{_CODE}_AL": "SOR", _SECTOR: "KRX"}
    whens = " ".join(
        f"WHEN item GLOB '{item}' THEN {'left(item, 6)' if function == SYMBOL_CODE else literal(venue)}"
        for item, venue in venues.items()
    )
    return f"CASE WHEN venue_code <> '' THEN {slow} {whens} ELSE {slow} END"
