"""The loop over the bytes of lines, compiled by numba: from lines of known shapes to numbers, and places of texts.

Whatever is not exactly of a known shape, or a text that is no plain number, is left to Python. So what is read here is
always what a record has, and nothing here knows a type or a field.

The functions hold no lock of the interpreter, so several threads read at once. They are compiled when they are first
called, which takes three or four seconds, and kept on the disk after that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled, inlined
from .kernel_data import Found, Marks, Pieces, Shapes
from .shapes import MAX_ROW

__all__ = (
    "END",
    "MARGIN",
    "NONE",
    "NULL",
    "NUMBER",
    "ODD",
    "SKIPPED",
    "TEXT",
    "TIME",
    "VALUE",
    "WORD",
    "copy_texts",
    "read_lines",
)

# What stands behind a piece of a shape.
END, SKIPPED, NUMBER, TIME, TEXT = range(5)
# What became of a text.
NULL, VALUE, ODD = range(3)
NONE = -1
"""Instead of where a text begins: there is none."""

WORD = 8
MARGIN = 64
"""Bytes that follow the last line, each a line break, so that no line is read beyond its end."""

_NEWLINE, _QUOTE, _BACKSLASH, _PLUS, _MINUS, _SPACE, _POINT, _DIGIT_0, _COLON, _BRACKET, _COMMA = b'\n"\\+- .0:[,'
_NOT_ASCII = 0x80
_AT_DIGITS, _EPOCH_DIGITS, _SEQUENCE_DIGITS = 19, 9, 18
_MAX_ROW = np.uint64(MAX_ROW)
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


# Texts.


@compiled
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


@inlined
def _mark_of(word: Any) -> Any:
    """Return the highest bit of the first byte of a word that is a quotation mark, or has no place in a plain text.

    That is a backslash or a control character. 0 if there is none.
    """
    quotes = word ^ _QUOTES
    backslashes = word ^ _BACKSLASHES
    marks = ((quotes - _LOW_BITS) & ~quotes) | ((backslashes - _LOW_BITS) & ~backslashes)
    marks = (marks | ((word - _SPACES) & ~word)) & _HIGH_BITS
    return marks & (~marks + _1)


@inlined
def _place_of(mark: Any) -> Any:
    """Return the number of the byte whose highest bit this is."""
    return ((mark >> _7) * _BYTE_NUMBERS) >> _56


@inlined
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


@inlined
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


@inlined
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


@inlined
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


@compiled
def _matches(data: Any, position: Any, text: Any) -> bool:
    """Return whether a text stands here."""
    for character in text:
        if data[position] != character:
            return False
        position += _1
    return True


@compiled
def _pass_line(data: Any, position: Any, key: Any, code: Any, base64: Any) -> tuple[Any, bool]:
    """Return where the next line begins, and whether this one may have a row of the type.

    It has the code behind the key, with nothing but a colon, spaces and brackets between them, or else a backslash, or
    it is not kept as JSON.
    """
    may_have = False
    while data[position] != _NEWLINE:
        character = data[position]
        if character == _BACKSLASH:
            may_have = True
        elif character == _QUOTE and not may_have:
            if _matches(data, position, key):
                at = position + _u(len(key))
                while data[at] == _COLON or data[at] == _BRACKET or (data[at] <= _SPACE and data[at] != _NEWLINE):
                    at += _1
                may_have = _matches(data, at, code)
            else:
                may_have = _matches(data, position, base64)
        position += _1
    return position + _1, may_have


@inlined
def _skip_piece(words: Any, position: Any, piece: int, begins: Any, equal: Any, masks: Any, sizes: Any) -> Any:
    """Return where a piece ends that begins here; `_NOWHERE` if it does not stand here."""
    at, end = position, position + sizes[piece]
    for word in range(begins[piece], begins[piece + 1]):
        if words[at] & masks[word] != equal[word]:
            end = _NOWHERE
            break
        at += _8
    return end


@inlined
def _read_digits(data: Any, position: Any, most: int) -> Any:
    """Return the number that digits make, and where they end; `_NOWHERE` if there is none, or more than `most`."""
    number, digits = 0, 0
    while _DIGIT_0 <= data[position] <= _DIGIT_0 + 9 and digits <= most:
        number = number * 10 + (_i(data[position]) - _DIGIT_0)
        digits += 1
        position += _1
    if digits == 0 or digits > most:
        position = _NOWHERE
    return number, position


@compiled
def read_lines(
    data: Any, words: Any, begin: int, envelopes: Pieces, pieces: Pieces, shapes: Shapes, found: Found, marks: Marks
) -> tuple[int, int, int]:
    """Read lines, until there is no more room for what is found.

    Args:
        data: whole lines, and `MARGIN` line breaks behind them.
        words: at each position, the eight bytes that begin there, as a number whose lowest byte is the first.
        begin: where the first line begins.
        envelopes: what stands in front of the three numbers of a line; and of each envelope, opening and closing.
        pieces: the pieces of the shapes.
        shapes: the shapes that are known.
        found: where to put what is found. What is not found is left as it is. No further line is read if there is no
            room for another in `others`.
        marks: how a line is known that may have a row.

    Returns:
        The position of the first line that was not read, the number of rows, and of other lines.
    """
    # Each attribute is looked up once: numba counts references, and would do so for each byte.
    begins, equal, masks, sizes = pieces
    around_begins, around_equal, around_masks, around_sizes = envelopes
    first, kinds, targets, are_wanted, order = shapes
    values, states, signs, text_begins, text_ends = found.values, found.states, found.signs, found.begins, found.ends
    ats, epochs, sequences, line_begins, others = found.at, found.epoch, found.sequence, found.line_begins, found.others
    scales, magnitudes = found.scales, found.magnitudes
    line, end, room = _u(begin), _u(len(data) - MARGIN), len(ats)
    rows, count = 0, 0
    while line < end and count < len(others):
        first_row, has_high, is_full = rows, _0, False
        at, epoch, sequence, position = 0, 0, 0, line
        for number in range(3):
            position = _skip_piece(words, position, number, around_begins, around_equal, around_masks, around_sizes)
            if position == _NOWHERE:
                break
            start = position
            read, position = _read_digits(
                data, position, _AT_DIGITS if number == 0 else _EPOCH_DIGITS if number == 1 else _SEQUENCE_DIGITS
            )
            if position == _NOWHERE:
                break
            if number == 0:
                at = read
                if position - start != _u(_AT_DIGITS) or at < 0:  # else it does not fit 64 bits
                    position = _NOWHERE
                    break
            elif number == 1:
                epoch = read
            else:
                sequence = read
        closing = 0
        if position != _NOWHERE:
            start = position
            position = _NOWHERE
            for opening in range(3, len(around_sizes), 2):
                position = _skip_piece(words, start, opening, around_begins, around_equal, around_masks, around_sizes)
                if position != _NOWHERE:
                    closing = opening + 1
                    break
        index = 0
        while position != _NOWHERE:
            row_begin, position = position, _NOWHERE
            if rows == room:
                is_full = True
                break
            for place in range(len(order)):
                shape = order[place]
                is_wanted, is_spoilt, high = are_wanted[shape], False, _0
                position = row_begin
                for piece in range(first[shape], first[shape + 1]):
                    # As `_skip_piece`, which would take half as long again here.
                    is_equal, at_word = True, position
                    for word in range(begins[piece], begins[piece + 1]):
                        if words[at_word] & masks[word] != equal[word]:
                            is_equal = False
                            break
                        at_word += _8
                    if not is_equal:
                        position = _NOWHERE
                        break
                    position += sizes[piece]
                    kind, target = kinds[piece], targets[piece]
                    if kind == NUMBER:
                        is_spoilt = True
                        value, state, sign, position, high = _read_number(
                            data, words, position, scales[target], magnitudes[target]
                        )
                        values[target, rows], states[target, rows], signs[target, rows] = value, state, sign
                    elif kind == SKIPPED:
                        position, high = _skip_text(data, words, position)
                    elif kind == TEXT:
                        is_spoilt = True
                        text_begins[target, rows] = position
                        position, high = _skip_text(data, words, position)
                        if position != _NOWHERE:
                            text_ends[target, rows] = position
                    elif kind == TIME:
                        is_spoilt = True
                        value, state, position, high = _read_time(data, words, position)
                        values[target, rows], states[target, rows] = value, state
                    if position == _NOWHERE:
                        break
                    has_high |= high
                if position != _NOWHERE and position - row_begin <= _MAX_ROW:
                    if is_wanted:
                        ats[rows], epochs[rows], sequences[rows] = at, epoch, sequence + index
                        line_begins[rows] = line
                        rows += 1
                    for later in range(place, 0, -1):
                        order[later] = order[later - 1]
                    order[0] = shape
                    break
                position = _NOWHERE
                if is_spoilt:  # what was found is to be forgotten
                    states[:, rows] = NULL
                    text_begins[:, rows] = NONE
            index += 1
            if position == _NOWHERE or data[position] != _COMMA:
                break
            position += _1
        if position != _NOWHERE:
            position = _skip_piece(words, position, closing, around_begins, around_equal, around_masks, around_sizes)
        if position != _NOWHERE and has_high and not _is_utf8(data, line, position):
            position = _NOWHERE
        if position != _NOWHERE:
            line = position
            continue
        states[:, first_row:rows] = NULL
        text_begins[:, first_row:rows] = NONE
        rows = first_row
        if is_full and rows:
            break
        following, may_have = _pass_line(data, line, marks.key, marks.code, marks.base64)
        if may_have:
            others[count] = line
            count += 1
        line = following
    return _i(line), rows, count


@compiled
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
