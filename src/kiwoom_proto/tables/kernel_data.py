"""What the kernel is given, and what it finds: arrays that belong together."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ("Found", "Marks", "Pieces", "Shapes")


class Pieces(NamedTuple):
    """Bytes that are compared, eight at a time.

    Attributes:
        begins: for each piece, where its words begin in `words`; and one more, the end of the last.
        words: the bytes of all pieces, as words of eight; the first byte is the lowest.
        masks: which bytes of each word are compared.
        sizes: for each piece, how many bytes it has.
    """

    begins: Any
    words: Any
    masks: Any
    sizes: Any


class Shapes(NamedTuple):
    """Shapes of rows. Each is a row of pieces, and what stands behind each of them.

    Attributes:
        first: for each shape, its first piece; and one more, the end of the last.
        kinds: for each piece, what stands behind it.
        targets: for each piece, which column that goes to: of `Found.values`, or of `Found.begins` if it is a text.
        are_wanted: for each shape, whether it is of the type that is read.
        order: the shapes, those first that were met last; it changes.
    """

    first: Any
    kinds: Any
    targets: Any
    are_wanted: Any
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
        line_begins: where the line begins.
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
    line_begins: Any
    scales: Any
    magnitudes: Any
    others: Any
