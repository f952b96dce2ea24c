"""The catalogue of real-time types: one class per type, nothing but declarations.

`REALTIME` finds the class of a type code. A type without a class arrives as a plain `Record`.
"""

from __future__ import annotations

from ..record import Record
from .quotes import AfterHoursQuote

__all__ = ("REALTIME", "AfterHoursQuote", "type_code_of")


def type_code_of(cls: type[Record]) -> str:
    """Return the type code ("0E") that a class of the catalogue declares.

    Raises:
        TypeError: the class declares none.
    """
    tag = cls.__struct_config__.tag
    if not isinstance(tag, str) or tag == cls.__name__:  # msgspec's own choice where none is declared
        raise TypeError(f"{cls.__name__} declares no real-time type; write class {cls.__name__}(Record, tag=...)")
    return tag


REALTIME: dict[str, type[Record]] = {type_code_of(cls): cls for cls in (AfterHoursQuote,)}
