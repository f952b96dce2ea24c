"""The loop over the bytes of lines, compiled by numba: from lines of known shapes to numbers, and places of texts.

Whatever is not exactly of a known shape, or a text that is no plain number, is left to Python. So what is read here is
always what a record has, and nothing here knows a type or a field.

The functions hold no lock of the interpreter, so several threads read at once. They are compiled when they are first
called, which takes two seconds, and kept on the disk after that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from .kernel_data import Found, Marks, Shapes

__all__ = (
    "AT",
    "END",
    "EPOCH",
    "MARGIN",
    "NONE",
    "NULL",
    "NUMBER",
    "ODD",
    "SEQUENCE",
    "SKIPPED",
    "TEXT",
    "TIME",
    "VALUE",
    "WORD",
    "copy_texts",
    "read_lines",
)

F = TypeVar("F", bound=Callable[..., Any])

# What stands behind a piece of a shape.
END, AT, EPOCH, SEQUENCE, SKIPPED, NUMBER, TIME, TEXT = range(8)
# What became of a text.
NULL, VALUE, ODD = range(3)
NONE = -1
"""Instead of where a text begins: there is none."""

WORD = 8
MARGIN = 64
"""Bytes that follow the last line, each a line break, so that no line is read beyond its end."""

_NEWLINE, _QUOTE, _BACKSLASH, _PLUS, _MINUS, _SPACE, _POINT, _DIGIT_0, _COLON = b'\n"\\+- .0:'
_NOT_ASCII = 0x80
_AT_DIGITS, _EPOCH_DIGITS, _SEQUENCE_DIGITS = 19, 9, 18
_MAX_DIGITS = 18
"""Digits of a number that surely fits 64 bits."""
_POWERS: Any = 10 ** np.arange(_MAX_DIGITS + 1)  # numba would copy a tuple for each look

# Positions and words are unsigned. Of a signed position, numba looks at each place whether it counts from the end,
# which takes three times as long. Of signed and unsigned numbers together, it makes a float.
_u: Any = np.uint64
_i: Any = np.int64
_0, _1, _2, _3, _4, _6, _7, _8, _10, _16, _32, _56, _64 = map(_u, (0, 1, 2, 3, 4, 6, 7, 8, 10, 16, 32, 56, 64))
_NOWHERE = _u(2**64 - 1)
"""Instead of where a text ends: it is no plain text."""
_LOW_BITS, _HIGH_BITS = _u(0x0101010101010101), _u(0x8080808080808080)
_QUOTES, _BACKSLASHES, _SPACES, _POINTS, _ZEROS = (
    _u(int.from_bytes(character * WORD, "little")) for character in (b'"', b"\\", b" ", b".", b"0")
)
_BYTE_NUMBERS = _u(0x0001020304050607)
"""Multiplied with a number of which only one byte is 1, it has the number of that byte as its highest byte."""
_TO_HIGH_BIT = _u(0x7676767676767676)
"""Added to what is no digit, it sets the highest bit of a byte."""
_PAIRS = _u(0x000000FF000000FF)
_HUNDRED_AND_MILLION, _ONE_AND_TEN_THOUSAND = _u(100 + (1_000_000 << 32)), _u(1 + (10_000 << 32))


def _compiled(function: F) -> F:
    """Compile a function, and keep what is compiled on the disk if there is a place for it."""
    options: Any = {"nogil": True, "error_model": "numpy"}
    try:
        return cast("F", numba.njit(cache=True, **options)(function))
    except RuntimeError:  # no folder can be written
        return cast("F", numba.njit(**options)(function))


def _inlined(function: F) -> F:
    """Have a function compiled as a part of those that call it."""
    return cast("F", numba.njit(inline="always", nogil=True, error_model="numpy")(function))


# Texts.


@_compiled
def _is_utf8(data: Any, position: Any, end: Any) -> bool:
    """Return whether bytes are UTF-8."""
    while position < end:
        first, second = data[position], data[position + _1]
        if first < _NOT_ASCII:
            position += _1
            continue
        if 0xC2 <= first <= 0xDF:
            size = _2
        elif 0xE0 <= first <= 0xEF:
            size = _3
        elif 0xF0 <= first <= 0xF4:
            size = _4
        else:
            return False
        if (first == 0xE0 and second < 0xA0) or (first == 0xED and second > 0x9F):  # too long, or half of a pair
            return False
        if (first == 0xF0 and second < 0x90) or (first == 0xF4 and second > 0x8F):  # too long, or none
            return False
        following = position + size
        position += _1
        while position < following:
            if not 0x80 <= data[position] <= 0xBF:
                return False
            position += _1
    return True


@_inlined
def _mark_of(word: Any) -> Any:
    """Return the highest bit of the first byte of a word that is a quotation mark, or has no place in a plain text.

    That is a backslash or a control character. 0 if there is none.
    """
    quotes = word ^ _QUOTES
    backslashes = word ^ _BACKSLASHES
    marks = ((quotes - _LOW_BITS) & ~quotes) | ((backslashes - _LOW_BITS) & ~backslashes)
    marks = (marks | ((word - _SPACES) & ~word)) & _HIGH_BITS
    return marks & (~marks + _1)


@_inlined
def _place_of(mark: Any) -> Any:
    """Return the number of the byte whose highest bit this is."""
    return ((mark >> _7) * _BYTE_NUMBERS) >> _56


@_inlined
def _skip_text(data: Any, words: Any, position: Any) -> Any:
    """Return where the text ends that begins here, and a number that is 0 if all of it is ASCII.

    It ends with its closing quotation mark. `_NOWHERE` if it is no plain text.
    """
    word = words[position]
    mark = _mark_of(word)
    high = _0
    while mark == _0:
        high |= word
        position += _8
        word = words[position]
        mark = _mark_of(word)
    high = (high | (word & (mark - _1))) & _HIGH_BITS
    position += _place_of(mark)
    if data[position] != _QUOTE:
        position = _NOWHERE
    return position, high


# Numbers.


@_inlined
def _number_in(word: Any, digits: Any) -> Any:
    """Return the number that the first bytes of a word make, and 0 if all of them are digits.

    Args:
        word: the word.
        digits: how many bytes: 1 to 8.
    """
    word = (word ^ _ZEROS) << (_64 - (digits << _3))
    wrong = ((word + _TO_HIGH_BIT) | word) & _HIGH_BITS
    word = word * _10 + (word >> _8)
    word = ((word & _PAIRS) * _HUNDRED_AND_MILLION + ((word >> _16) & _PAIRS) * _ONE_AND_TEN_THOUSAND) >> _32
    return word, wrong


@_inlined
def _read_number(data: Any, words: Any, position: Any, scale: int, is_magnitude: bool) -> Any:
    """Read a number.

    Args:
        data: the lines.
        words: as for `read_lines`.
        position: where its text begins.
        scale: how many decimals its column has.
        is_magnitude: whether it is read without its sign.

    Returns:
        The number, or else where its text begins; what became of the text; its sign; and what `_skip_text` returns.
    """
    begin = position
    character = data[position]
    is_negative = character == _MINUS
    is_signed = is_negative or character == _PLUS
    if is_signed or character == _SPACE:
        position += _1
    word = words[position]
    mark = _mark_of(word)
    number, length, decimals = 0, 0, 0
    if mark:
        digits = _place_of(mark)
        position += digits
        if scale:
            points = word ^ _POINTS
            points = (points - _LOW_BITS) & ~points & _HIGH_BITS & (mark - _1)
            if points:  # it is left out
                point = points & (~points + _1)
                in_front = (point >> _7) - _1
                word = (word & in_front) | ((word >> _8) & ~in_front)
                digits -= _1
                decimals = _i(digits - _place_of(point))
                if decimals == 0 or decimals == _i(digits):  # nothing behind the point, or in front of it
                    digits = _0
        length = _i(digits)
        if digits:
            read, wrong = _number_in(word, digits)
            number = _i(read)
            if wrong:
                length = 0
    else:  # longer than a word
        has_point = False
        while True:
            character_here = data[position]
            if _DIGIT_0 <= character_here <= _DIGIT_0 + 9:
                number = number * 10 + (_i(character_here) - _DIGIT_0)
                length += 1
                if has_point:
                    decimals += 1
            elif character_here == _POINT and scale and length and not has_point:
                has_point = True
            else:
                break
            position += _1
        if has_point and not decimals:
            length = 0
    rest = scale - decimals
    is_plain = length and length <= _MAX_DIGITS and data[position] == _QUOTE and rest >= 0
    if is_plain and number < _POWERS[_MAX_DIGITS - rest]:
        number *= _POWERS[rest]
        if is_negative and not is_magnitude:
            number = -number
        state, high = VALUE, _0
    else:
        position, high = _skip_text(data, words, begin)
        state = NULL if position == begin else ODD
        number = _i(begin)
    return number, state, character if is_signed else 0, position, high


@_inlined
def _read_time(data: Any, words: Any, position: Any) -> Any:
    """Read six digits, HHMMSS.

    Returns:
        Microseconds since midnight, or else where the text begins; what became of it; and what `_skip_text` returns.
    """
    end, high = _skip_text(data, words, position)
    read, wrong = _number_in(words[position], _6)
    digits = _i(read)
    hours, minutes, seconds = digits // 10000, digits // 100 % 100, digits % 100
    value = _i(position)
    if end == position:
        state = NULL
    elif end - position != _6 or wrong or hours > 23 or minutes > 59 or seconds > 59:
        state = ODD
    else:
        value = (hours * 3600 + minutes * 60 + seconds) * 1_000_000
        state = VALUE if digits else NULL  # "000000" means never
    return value, state, end, high


# Lines.


@_compiled
def _matches(data: Any, position: Any, text: Any) -> bool:
    """Return whether a text stands here."""
    for character in text:
        if data[position] != character:
            return False
        position += _1
    return True


@_compiled
def _pass_line(data: Any, position: Any, key: Any, code: Any, base64: Any) -> tuple[Any, bool]:
    """Return where the next line begins, and whether this one may have a row of the type.

    It has the code behind the key, with nothing but a colon and spaces between them, or else a backslash, or it is not
    kept as JSON.
    """
    may_have = False
    while data[position] != _NEWLINE:
        character = data[position]
        if character == _BACKSLASH:
            may_have = True
        elif character == _QUOTE and not may_have:
            if _matches(data, position, key):
                at = position + _u(len(key))
                while data[at] == _COLON or (data[at] <= _SPACE and data[at] != _NEWLINE):
                    at += _1
                may_have = _matches(data, at, code)
            else:
                may_have = _matches(data, position, base64)
        position += _1
    return position + _1, may_have


@_compiled
def read_lines(
    data: Any, words: Any, begin: int, shapes: Shapes, found: Found, marks: Marks, max_others: int
) -> tuple[int, int, int]:
    """Read lines, until there is no more room for what is found.

    Args:
        data: whole lines, and `MARGIN` line breaks behind them.
        words: at each position, the eight bytes that begin there, as a number whose lowest byte is the first.
        begin: where the first line begins.
        shapes: the shapes that are known.
        found: where to put what is found. What is not found is left as it is.
        marks: how a line is known that may have a row.
        max_others: the number of lines of no known shape that may have a row, after which no further one is read.

    Returns:
        The position of the first line that was not read, the number of rows, and of other lines.
    """
    # Each attribute is looked up once: numba counts references, and would do so for each byte.
    first, begins, equal, kinds, targets = shapes.first, shapes.begins, shapes.words, shapes.kinds, shapes.targets
    masks, sizes = shapes.masks, shapes.sizes
    rows_of, first_row, offsets, order = shapes.rows, shapes.first_row, shapes.offsets, shapes.order
    values, states, signs, text_begins, text_ends = found.values, found.states, found.signs, found.begins, found.ends
    ats, epochs, sequences, lines, others = found.at, found.epoch, found.sequence, found.lines, found.others
    scales, magnitudes = found.scales, found.magnitudes
    line, end, room = _u(begin), _u(len(data) - MARGIN), len(ats)
    rows, count = 0, 0
    while line < end and count < max_others:
        is_read = False
        for place in range(len(order)):
            shape = order[place]
            new_rows = first_row[shape + 1] - first_row[shape]
            if rows + new_rows > room:
                return _i(line), rows, count
            position, is_read, is_spoilt, high, has_high = line, True, False, _0, _0
            for piece in range(first[shape], first[shape + 1]):
                at = position
                for word in range(begins[piece], begins[piece + 1]):
                    if words[at] & masks[word] != equal[word]:
                        is_read = False
                        break
                    at += _8
                if not is_read:
                    break
                position += sizes[piece]
                kind, target, row = kinds[piece], targets[piece], rows + rows_of[piece]
                if kind == NUMBER:
                    is_spoilt = True
                    number, state, sign, position, high = _read_number(
                        data, words, position, scales[target], magnitudes[target]
                    )
                    values[target, row], states[target, row], signs[target, row] = number, state, sign
                elif kind == SKIPPED:
                    position, high = _skip_text(data, words, position)
                elif kind == TEXT:
                    is_spoilt = True
                    text_begins[target, row] = position
                    position, high = _skip_text(data, words, position)
                    text_ends[target, row] = position
                elif kind == TIME:
                    is_spoilt = True
                    value, state, position, high = _read_time(data, words, position)
                    values[target, row], states[target, row] = value, state
                elif kind != END:
                    number, digits = 0, 0
                    while _DIGIT_0 <= data[position] <= _DIGIT_0 + 9:
                        number = number * 10 + (_i(data[position]) - _DIGIT_0)
                        digits += 1
                        position += _1
                    if kind == AT:
                        is_read = digits == _AT_DIGITS and number >= 0  # else it does not fit 64 bits
                        ats[rows : rows + new_rows] = number
                    elif kind == EPOCH:
                        is_read = 0 < digits <= _EPOCH_DIGITS
                        epochs[rows : rows + new_rows] = number
                    else:
                        is_read = 0 < digits <= _SEQUENCE_DIGITS
                        for new_row in range(new_rows):
                            sequences[rows + new_row] = number + offsets[first_row[shape] + new_row]
                if position == _NOWHERE or not is_read:
                    is_read = False
                    break
                has_high |= high
            if is_read and has_high:
                is_read = _is_utf8(data, line, position)
            if is_read:
                lines[rows : rows + new_rows] = line
                rows += new_rows
                for later in range(place, 0, -1):
                    order[later] = order[later - 1]
                order[0] = shape
                line = position
                break
            if is_spoilt:  # what was found is to be forgotten
                states[:, rows : rows + new_rows] = NULL
                text_begins[:, rows : rows + new_rows] = NONE
        if not is_read:
            following, may_have = _pass_line(data, line, marks.key, marks.code, marks.base64)
            if may_have:
                others[count] = line
                count += 1
            line = following
    return _i(line), rows, count


@_compiled
def copy_texts(data: Any, begins: Any, offsets: Any, texts: Any) -> None:
    """Copy texts, one behind the other.

    Args:
        data: the lines.
        begins: where each begins.
        offsets: where in `texts` each is to begin; and one more, the end of the last.
        texts: where to put them.
    """
    for row in range(len(begins)):
        position = _u(begins[row])
        for at in range(offsets[row], offsets[row + 1]):
            texts[at] = data[position]
            position += _1
