"""Getters of the fields of a row.

Strategy: reading a field is the most frequent operation of a program, so each field is a property whose getter reads
the attribute of its FID by name (`values.f131`), as fast as one written by hand. Compiling source text for each of the
catalogue's 616 fields would take 24 ms of every program's start. Instead, the three getters below are compiled once,
and each field gets a copy with the name of its own attribute in `co_names`. There are three because calling a function
that converts would cost as much as the conversion. Whatever is not plain takes the slow path, `Record._read`:

* `values.f` raises AttributeError if the FID had not been read of this type before. So it does for `FidStrings`, which
  a row is decoded into if Python might take one of its strings for a number and Kiwoom would not: `int` is safe here.
* A string that is not a value raises ValueError or ArithmeticError. It is dropped first: a traceback may show
  variables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .fields import Field, to_magnitude, to_whole_number

__all__ = ("make_getter",)


class _Row(Protocol):
    """What a getter needs of a `Record`."""

    _decoded: Any

    def _decode(self) -> Any: ...
    def _read(self, field: Field[Any]) -> Any: ...


def make_getter(field: Field[Any]) -> Callable[[Any], Any]:
    """Return the function that reads a field of a row."""
    known = field.kind.known

    def whole_number(record: _Row) -> Any:
        values = record._decoded
        if values is None:
            values = record._decode()
        try:
            text = values.f
            return None if text is None else int(text)
        except (AttributeError, ValueError):
            text = None
            return record._read(field)

    def magnitude(record: _Row) -> Any:
        values = record._decoded
        if values is None:
            values = record._decode()
        try:
            text = values.f
            return None if text is None else abs(int(text))
        except (AttributeError, ValueError):
            text = None
            return record._read(field)

    def other(record: _Row) -> Any:
        values = record._decoded
        if values is None:
            values = record._decode()
        try:
            text = values.f
            return None if text is None else known[text]
        except (AttributeError, ValueError, ArithmeticError):
            text = None
            return record._read(field)

    getters: dict[object, Callable[[Any], Any]] = {to_whole_number: whole_number, to_magnitude: magnitude}
    getter = getters.get(field.kind.convert, other)
    code = getter.__code__
    names = tuple(f"f{field.fid}" if name == "f" else name for name in code.co_names)
    getter.__code__ = code.replace(co_name=field.name, co_names=names)
    return getter
