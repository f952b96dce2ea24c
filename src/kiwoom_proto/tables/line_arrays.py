"""The columns of rows that stand in lines of known shapes, as Arrow arrays: many rows at once, without a `Record`.

Whole numbers, decimals and times are read by the kernel. Of any other field each text that occurs is converted once, by
the field's own conversion. So is a number that is written in an unusual way: every value is the one that a record has.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable, Sequence
from typing import Any

from ..known import KnownValues, NothingKnown
from ..realtime import fields as kinds
from ..realtime.fields import Field, Kind, to_magnitude, to_whole_number
from ..realtime.record import STOCK_CODE_FID, Record
from ..realtime.traits import Market
from ..symbol import Symbol, parse_item, parse_stock_code
from .arrays import arrow_type, ladder_array
from .columns import Column
from .kernel_data import Found, Pieces, Shapes
from .packages import kernel, numpy, pyarrow
from .shapes import ITEM, VENUE_CODE, RowShape
from .values import digits_of, plain_conversion, sql_type_of

__all__ = ("LineArrays", "compile_pieces")

MAX_KNOWN = 4096
"""Items whose symbol is remembered."""
_SECOND = 1_000_000
_DAY, _KST = 86_400 * _SECOND, 32_400 * _SECOND
"""A day, and the offset of KST, in microseconds."""
_WHOLE = (to_whole_number, to_magnitude)
_DECIMALS = (kinds.decimal.convert, kinds.decimal_price.convert)
_MAGNITUDES = (to_magnitude, kinds.decimal_price.convert)


def compile_pieces(pieces: Sequence[bytes]) -> Pieces:
    """Return pieces as the kernel takes them."""
    np, size = numpy(), kernel().WORD
    begins, words = [0], list[bytes]()
    for piece in pieces:
        words += [piece[at : at + size] for at in range(0, len(piece), size)]
        begins.append(len(words))
    return Pieces(
        begins=np.array(begins, np.int64),
        words=np.array([int.from_bytes(word, "little") for word in words], np.uint64),
        masks=np.array([(1 << 8 * len(word)) - 1 for word in words], np.uint64),
        sizes=np.array([len(piece) for piece in pieces], np.uint64),
    )


class LineArrays:
    """Tells the kernel what to look for, and makes columns of what it finds.

    Args:
        code: the type code.
        cls: its class.
        columns: the columns that are wanted.

    Attributes:
        columns: the columns that are wanted.
        fields: the fields that they are made of.
        places: name of a field -> which row of `Found.values` it is, if the kernel reads it as a number or a time.
        text_places: FID, `ITEM` or `VENUE_CODE` -> which row of `Found.begins` it is, if its text is needed.
        conversions: name of a field -> what its texts become.
        symbol_of: returns the symbol that an item, a stock code and a code of an exchange name.
    """

    def __init__(self, code: str, cls: type[Record], columns: Sequence[Column]) -> None:
        self._code = code
        self.columns = columns
        fields = _fields_of(cls, columns)
        numbers = [field for field in fields if _is_number(field)]
        times = [field for field in fields if _is_time(field)]
        read = [*numbers, *times]
        self.places = {field.name: place for place, field in enumerate(read)}
        texts = [field.fid for field in fields if field.name not in self.places]
        names = {column.name.rstrip("_") for column in columns if column.part == "identity"}
        texts += [ITEM] * (not names.isdisjoint(("item", "symbol", "symbol_venue")))
        texts += [VENUE_CODE] * (not names.isdisjoint(("venue_code", "symbol", "symbol_venue")))
        texts += [STOCK_CODE_FID] * (not names.isdisjoint(("symbol", "symbol_venue")))
        self.text_places = {name: place for place, name in enumerate(dict.fromkeys(texts))}
        self._targets = {name: (kernel().TEXT, place) for name, place in self.text_places.items()}
        self._targets |= {field.fid: (kernel().NUMBER, self.places[field.name]) for field in numbers}
        self._targets |= {field.fid: (kernel().TIME, self.places[field.name]) for field in times}
        self._scales = [digits_of(sql_type_of(each.kind))[1] if each.kind.convert in _DECIMALS else 0 for each in read]
        self._magnitudes = [field.kind.convert in _MAGNITUDES for field in read]
        self.conversions = {field.name: _Conversion(field.kind) for field in fields}
        self.fields = fields
        self.symbol_of = functools.lru_cache(MAX_KNOWN)(functools.partial(_symbol_of, us=cls.market is Market.US))

    def compile(self, shapes: Sequence[RowShape]) -> tuple[Pieces, Shapes]:
        """Return shapes of rows as the kernel takes them."""
        np, k = numpy(), kernel()
        first, kinds, targets = [0], list[int](), list[int]()
        for shape in shapes:
            for piece in shape.pieces:
                kind, target = (k.END, 0) if not piece.name else (k.SKIPPED, 0)
                if piece.name and shape.type == self._code:
                    kind, target = self._targets.get(piece.name, (k.SKIPPED, 0))
                kinds.append(kind)
                targets.append(target)
            first.append(len(kinds))
        return compile_pieces([piece.equal for shape in shapes for piece in shape.pieces]), Shapes(
            first=np.array(first, np.int64),
            kinds=np.array(kinds, np.int64),
            targets=np.array(targets, np.int64),
            are_wanted=np.array([shape.type == self._code for shape in shapes], bool),
            order=np.arange(len(shapes)),
        )

    def make_room(self, rows: int, others: int) -> Found:
        """Return room for what is found in so many rows, and so many other lines."""
        np, k = numpy(), kernel()
        values, texts = len(self.places), len(self.text_places)
        return Found(
            values=np.empty((values, rows), np.int64),
            states=np.full((values, rows), k.NULL, np.uint8),
            signs=np.zeros((values, rows), np.uint8),
            begins=np.full((texts, rows), k.NONE, np.int64),
            ends=np.zeros((texts, rows), np.int64),
            at=np.empty(rows, np.int64),
            epoch=np.empty(rows, np.int64),
            sequence=np.empty(rows, np.int64),
            line_begins=np.empty(rows, np.int64),
            scales=np.array(self._scales, np.int64),
            magnitudes=np.array(self._magnitudes, bool),
            others=np.empty(others, np.int64),
        )

    def of(self, found: Found, rows: int, lines: bytes, session: str) -> list[Any]:
        """Return the arrays of the columns.

        Args:
            found: what the kernel found.
            rows: in how many rows.
            lines: the lines.
            session: the session that recorded them; "" if unknown.
        """
        return _Rows(self, found, rows, lines, session).columns()


class _Rows:
    """Some rows that were found.

    Args:
        arrays: what the columns are.
        found: what the kernel found.
        rows: in how many rows.
        lines: the lines.
        session: the session that recorded them; "" if unknown.
    """

    def __init__(self, arrays: LineArrays, found: Found, rows: int, lines: bytes, session: str) -> None:
        self._arrays = arrays
        self._found = found
        self._rows = rows
        self._lines = lines
        self._session = session
        self._at = found.at[:rows]
        self._signs: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._states = found.states[:, :rows]
        self._bitmaps = numpy().packbits(self._states == kernel().VALUE, axis=1, bitorder="little")
        self._are_odd = (self._states == kernel().ODD).any(axis=1).tolist()
        self._are_whole = (self._states == kernel().VALUE).all(axis=1).tolist()

    def columns(self) -> list[Any]:
        """Return the arrays of the columns."""
        for field in self._arrays.fields:
            place = self._arrays.places.get(field.name)
            self._values[field.name] = self._texts_of(field) if place is None else self._numbers_of(field, place)
        return [self._column(column) for column in self._arrays.columns]

    def _numbers_of(self, field: Field[Any], place: int) -> Any:
        """Return the values of a field that the kernel has read."""
        pa = pyarrow()
        conversion = self._arrays.conversions[field.name]
        values = self._found.values[place, : self._rows]
        if field.kind.directional:
            self._signs[field.name] = self._found.signs[place, : self._rows]
        bitmap = None if self._are_whole[place] else pa.py_buffer(self._bitmaps[place])
        array = _array(conversion.type, values, bitmap)
        return self._mended(field, place, array) if self._are_odd[place] else array

    def _mended(self, field: Field[Any], place: int, usual: Any) -> Any:
        """Return the values of a column with some texts that Python converts."""
        np, pa = numpy(), pyarrow()
        odd = np.flatnonzero(self._states[place] == kernel().ODD)
        begins = self._found.values[place][odd].tolist()
        texts = [self._lines[begin : self._lines.index(b'"', begin)].decode() for begin in begins]
        unusual = self._arrays.conversions[field.name].values(texts)
        places = np.arange(self._rows)
        places[odd] = self._rows + np.arange(len(odd))
        if field.kind.directional:
            signs = self._signs[field.name].copy()
            signs[odd] = [_sign_of(text) for text in texts]
            self._signs[field.name] = signs
        return pa.concat_arrays([usual, unusual]).take(pa.array(places))

    def _texts_of(self, field: Field[Any]) -> Any:
        """Return the values of a field whose texts are converted by Python, each different one once."""
        indices, texts = self._distinct(field.fid)
        values = self._arrays.conversions[field.name].values(texts).take(indices)
        if field.kind.directional:
            signs = numpy().array([_sign_of(text or "") for text in texts], numpy().uint8)
            self._signs[field.name] = signs[indices.to_numpy()]
        return values

    def _text_array(self, name: str) -> Any:
        """Return the texts themselves; NULL where there is none."""
        np, pa = numpy(), pyarrow()
        place = self._arrays.text_places[name]
        begins, ends = self._found.begins[place, : self._rows], self._found.ends[place, : self._rows]
        are_there = begins != kernel().NONE
        offsets = np.zeros(self._rows + 1, np.int32)
        np.cumsum(np.where(are_there, ends - begins, 0), out=offsets[1:])
        texts = np.empty(offsets[-1], np.uint8)
        kernel().copy_texts(np.frombuffer(self._lines, np.uint8), begins, offsets, texts)
        bitmap = None if are_there.all() else pa.py_buffer(np.packbits(are_there, bitorder="little"))
        return pa.Array.from_buffers(pa.string(), self._rows, [bitmap, pa.py_buffer(offsets), pa.py_buffer(texts)])

    def _distinct(self, name: str) -> tuple[Any, list[str | None]]:
        """Return for each row which text it has, and the different texts."""
        encoded = self._text_array(name).dictionary_encode("encode")
        return encoded.indices, encoded.dictionary.to_pylist()

    def _column(self, column: Column) -> Any:
        pa, field, type = pyarrow(), column.field, arrow_type(column.sql_type)
        if column.part == "ladder":
            return ladder_array(column, self._values, self._rows)
        if field is not None and column.part == "field":
            return self._values[field.name]
        if field is not None:
            are_null = self._values[field.name].is_null().to_numpy(zero_copy_only=False)
            signs = self._signs[field.name]
            places = (signs == ord("+")) + (signs == ord("-")) * numpy().int8(2)
            return pa.array(["", "+", "-"]).take(pa.array(places, mask=are_null))
        match column.name.rstrip("_"):
            case "received_at":
                return pa.array(self._at // 1000, type, mask=self._at == 0)
            case "received_ns":
                return pa.array(self._at, type, mask=self._at == 0)
            case "exchange_time":
                return _exchange_time(self._values["time"], self._at, type)
            case "epoch":
                return pa.array(self._found.epoch[: self._rows], type)
            case "sequence":
                return pa.array(self._found.sequence[: self._rows], type)
            case "session_id":
                return pa.array([self._session or None] * self._rows, type)
            case "item":
                return self._text_array(ITEM).fill_null("")
            case "venue_code":
                return self._text_array(VENUE_CODE).fill_null("")
            case "symbol" | "symbol_venue" as name:
                return self._symbol(name)
        raise AssertionError(column.name)

    def _symbol(self, name: str) -> Any:
        """Return the code or the venue of each row's symbol: there are few different ones."""
        np, pa = numpy(), pyarrow()
        parts = [self._distinct(part) for part in (ITEM, STOCK_CODE_FID, VENUE_CODE)]
        places = np.zeros(self._rows, np.int64)
        for indices, texts in parts:
            places *= len(texts)
            places += indices.to_numpy()
        found, indices = np.unique(places, return_inverse=True)
        known = list[str | None]()
        for place in found.tolist():
            named = list[str]()
            for _, texts in reversed(parts):
                place, at = divmod(place, len(texts))
                named.append(texts[at] or "")
            venue_code, stock_code, item = named
            symbol = self._arrays.symbol_of(item, stock_code, venue_code)
            known.append(None if symbol is None else symbol.code if name == "symbol" else symbol.venue.value)
        return pa.array(known, pa.string()).take(pa.array(indices))


class _Conversion:
    """What texts of a kind are in a column.

    Attributes:
        type: the Arrow type of the column.
    """

    def __init__(self, kind: Kind[Any]) -> None:
        self.type = arrow_type(sql_type_of(kind))
        convert = plain_conversion(kind)
        self._known = NothingKnown(convert) if kind.masked else KnownValues(convert)

    def values(self, texts: Iterable[str | None]) -> Any:
        """Return an Arrow array of what texts are; NULL for what is no value, and for none."""
        return pyarrow().array([None if text is None else self._known[text] for text in texts], self.type)


def _fields_of(cls: type[Record], columns: Iterable[Column]) -> list[Field[Any]]:
    """Return the fields that these columns of a class are made of, in official order."""
    names = {field.name for column in columns for field in column.fields}
    if any(column.name.rstrip("_") == "exchange_time" and column.part == "received" for column in columns):
        names.add("time")
    return [field for name, field in cls.fields.items() if name in names]


def _is_number(field: Field[Any]) -> bool:
    """Return whether the kernel reads a field as a number. It leaves the stock code as it is, for `symbol`."""
    sql_type = sql_type_of(field.kind)
    is_whole = sql_type == "BIGINT" and field.kind.convert in _WHOLE
    is_decimal = sql_type.startswith("DECIMAL") and field.kind.convert in _DECIMALS
    return (is_whole or is_decimal) and field.fid != STOCK_CODE_FID


def _is_time(field: Field[Any]) -> bool:
    """Return whether the kernel reads a field as a time."""
    is_time = sql_type_of(field.kind) == "TIME" and field.kind.convert is kinds.clock_time.convert
    return is_time and field.fid != STOCK_CODE_FID


def _array(type: Any, values: Any, bitmap: Any) -> Any:
    """Return an Arrow array of whole numbers as they are in its memory."""
    np, pa = numpy(), pyarrow()
    if pa.types.is_decimal(type):
        pairs = np.empty((len(values), 2), np.int64)
        pairs[:, 0] = values
        pairs[:, 1] = values >> 63
        values = pairs
    return pa.Array.from_buffers(type, len(values), [bitmap, pa.py_buffer(values)])


def _sign_of(text: str) -> int:
    """Return the first character of a text, as `Record.direction` looks at it."""
    first = text.strip()[:1]
    return ord(first) if first in ("+", "-") else 0


def _exchange_time(time: Any, at: Any, type: Any) -> Any:
    """Return `Record.exchange_time`: the day that puts the time nearest to the time of receipt."""
    np, pa = numpy(), pyarrow()
    moment = time.fill_null(datetime.time(0)).cast(pa.int64()).to_numpy()
    received = at // 1000
    later = moment - (received + _KST) % _DAY  # than the receipt, on the same day
    days = np.where(later >= _DAY // 2, -1, np.where(later < -_DAY // 2, 1, 0))
    are_null = time.is_null().to_numpy(zero_copy_only=False) | (at == 0)
    return pa.array(received + later + days * _DAY, type, mask=are_null)


def _symbol_of(item: str, stock_code: str, venue_code: str, *, us: bool) -> Symbol | None:
    """Return what `Record.symbol` returns."""
    code = item or stock_code.strip()
    if not code:
        return None
    return parse_item(f"{code}:{venue_code.strip()}") if venue_code or us else parse_stock_code(code)
