"""What the kernel is given, and what it finds: arrays that belong together."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ("Found", "Marks", "Shapes")


class Shapes(NamedTuple):
    """Shapes of lines. Each is a row of pieces: bytes that are always the same, and what stands behind them.

    Attributes:
        first: for each shape, its first piece; and one more, the end of the last.
        begins: for each piece, where its words begin in `words`; and one more, the end of the last.
        words: the bytes of all pieces, as words of eight; the first byte is the lowest.
        masks: which bytes of each word are compared.
        sizes: for each piece, how many bytes it has.
        kinds: for each piece, what stands behind it.
        targets: for each piece, which column that goes to: of `Found.values`, or of `Found.begins` if it is a text.
        rows: for each piece, which row of the line it goes to, of those that are wanted.
        first_row: for each shape, its first row in `offsets`; and one more, the end of the last.
        offsets: for each row of a line that is wanted, its number among all rows of the message.
        order: the shapes, those first that were met last; it changes.
    """

    first: Any
    begins: Any
    words: Any
    masks: Any
    sizes: Any
    kinds: Any
    targets: Any
    rows: Any
    first_row: Any
    offsets: Any
    order: Any


class Marks(NamedTuple):
    """What is searched for in a line of no known shape. Each is in quotation marks.

    Attributes:
        key: the key of the type code.
        code: the type code.
        base64: the key of a message that is not kept as text.
    """

    key: Any
    code: Any
    base64: Any


class Found(NamedTuple):
    """What is found in lines: arrays with a row for each column, and a column for each row of the table.

    Attributes:
        values: numbers and times. Of a decimal, whole numbers of its last digit; of a time, microseconds. Of an odd
            text, where it begins.
        states: NULL, VALUE, or ODD: a text that is not plainly a number.
        signs: the first character of the text, if it is a sign; else 0.
        begins: where texts begin; -1: there is none.
        ends: where texts end.
        at: the time of receipt of each row.
        epoch: the epoch.
        sequence: the sequence number.
        lines: where the line begins.
        scales: for each column of `values`, how many decimals it has.
        magnitudes: for each, whether numbers are without their sign.
        others: where lines begin that may have a row and are of no known shape.
    """

    values: Any
    states: Any
    signs: Any
    begins: Any
    ends: Any
    at: Any
    epoch: Any
    sequence: Any
    lines: Any
    scales: Any
    magnitudes: Any
    others: Any
