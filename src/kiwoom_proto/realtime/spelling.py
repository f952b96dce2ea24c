"""Spelling: what may be registered, and what was probably meant by anything else.

The server acknowledges whatever it is asked for, and then sends nothing for what it does not know [measured]: a type in
lower case, `A005930`, the name of a stock. What is known to bring no row is therefore refused here, with the right
spelling if it can be told. To register something else, pass a hand-built `Reg` to `request`, which sends it unchanged.

A code of the Korea Exchange is a letter for the kind of instrument (A stock, J ELW, Q ETN) and six characters: a digit
first, then digits or letters ("0004V0", "57JBHH"). The six characters are what is registered.

Sources: the official page of each type for its items; the Korea Exchange's notice of its codes since 2024; codes in
REST replies and order rows (`A005930`) and in other programs (`005930.KS`, `KRX:005930`), which brought no row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from typing import Any

import attrs

from ..endpoint import PRODUCTION, US_PRODUCTION, Endpoint
from ..errors import LocalProtocolError
from ..symbol import Symbol
from .catalogue import MAX_SHOWN_LENGTH, REALTIME, Types, declared_code, shown_argument, type_code_of
from .instruments import InternationalGoldPrice
from .market import SectorIndex
from .record import Record
from .trades import Trade, UsTrade
from .traits import MAX_TYPE_LENGTH, ItemForm, Market, Scope

__all__ = ("check_item", "check_recorded", "check_type", "row_item")

ESCAPE = "register a code of another form with request() and a hand-built Reg"
PUSHED_AS = {"MGD": "MGU"}
"""Items whose rows have another name: 0I registers MGD and pushes MGU [measured]."""
MAX_SUGGESTIONS = 3
"""Maximum number of types that an error suggests."""


# Types.


def check_type(endpoint: Endpoint, types: Types, asked: object, items: tuple[object, ...] = ()) -> str:
    """Return the type code to register.

    Args:
        endpoint: the endpoint it is to be registered at.
        types: the known types.
        asked: a type code or a class, as passed by the caller.
        items: the items of the call, for suggestions.

    Raises:
        LocalProtocolError: the registration would bring no row; says why, and what was probably meant.
    """
    code = asked if isinstance(asked, str) else None
    if code is None and not isinstance(asked, Symbol):
        code = _code_of(types, asked)
    if code is None or code not in types:
        raise LocalProtocolError(f"type {shown_argument(asked)}{_explain(endpoint, types, str(asked), items)}")
    cls = types[code]
    if cls.scope is Scope.CONDITION:
        search = "client.condition(name), or search_condition(seq, realtime=True)"
        raise LocalProtocolError(f"type {_named(types, code)}: rows come from {search}, not from a registration")
    if (cls.market is Market.US) != endpoint.us:
        where = "US types are served on the US path only; see US_PRODUCTION"
        if endpoint.us:
            where = "domestic types are not served on the US path; see PRODUCTION"
            if code not in REALTIME:
                where += f", or declare {cls.__name__}.market = Market.US"
        raise LocalProtocolError(f"type {_named(types, code)}: {where}")
    return code


def _code_of(types: Types, cls: object) -> str:
    """Return the type code of a class, if rows of that type are instances of it."""
    if not (isinstance(cls, type) and issubclass(cls, Record)):
        raise LocalProtocolError(
            f"type: must be one type code or one class of the catalogue, not {shown_argument(cls)}"
        )
    if cls is Record:
        raise LocalProtocolError("type: Record declares no real-time type: pass a type code, or the class of one type")
    code = declared_code(cls, "type")
    found = types.get(code, Record)
    if not issubclass(found, cls):
        raise LocalProtocolError(
            f"type: rows of {code!r} come as {found.__name__}, never as {cls.__name__}, unless types=[{cls.__name__}] "
            "is passed where the client (Session, connection) is made"
        )
    return code


def _explain(endpoint: Endpoint, types: Types, text: str, items: tuple[object, ...]) -> str:
    """Say what was probably meant by a string that is not a type."""
    near = [code for code in types if code.casefold() == _normal(text).casefold()]
    if near:
        return f": did you mean {_listed(types, near)}? Type codes are case-sensitive"
    swapped = next((item for item in items if isinstance(item, type) or item in tuple(types)), None)
    if swapped is not None:
        first = swapped.__name__ if isinstance(swapped, type) else repr(swapped)
        return f" looks like an item: the type comes first, as in subscribe({first}, {shown_argument(text)})"
    meant = _meant(endpoint, types, text)
    if meant:
        return f": did you mean {_listed(types, meant)}? A type is passed as its code or as its class"
    if 0 < len(text) <= MAX_TYPE_LENGTH:
        return (
            " is not in the catalogue: declare its rows, class MyRecord(Record, tag=...), and pass types=[MyRecord] "
            "where the client is made; or register it with request() and a hand-built Reg: its rows are plain Records"
        )
    plain = _normal(text)
    fitting = [code for code, kind in _EXAMPLES if kind.is_item(plain)]
    fitting += [code for code, kind in _EXAMPLES if kind.meant(plain)]
    if fitting:
        return f" looks like an item: the type comes first, as in subscribe({fitting[0]!r}, {shown_argument(text)})"
    return ": a type code has two characters, such as '0B'; REALTIME holds those there are"


def _listed(types: Types, codes: list[str]) -> str:
    named = [_named(types, code) for code in codes[:MAX_SUGGESTIONS]]
    return " or ".join(filter(None, (", ".join(named[:-1]), named[-1])))


def _meant(endpoint: Endpoint, types: Types, text: str) -> list[str]:
    """Return the types whose class name or Korean label a string is, or is part of."""
    folded = "".join(_normal(text).casefold().split()).replace("_", "")
    if len(folded) < 2:
        return []
    exact = [code for code, cls in types.items() if folded in (cls.__name__.casefold(), _plain_label(cls))]
    if exact:
        return exact
    parts = [
        code
        for code, cls in types.items()
        if folded in cls.__name__.casefold() or folded in _plain_label(cls)
        if (cls.market is Market.US) == endpoint.us
    ]
    # 체결 suggests 주식체결 before 주문체결: the most frequent first.
    parts.sort(key=lambda code: (_plain_label(types[code]) != f"주식{folded}", len(_plain_label(types[code]))))
    return parts


def _plain_label(cls: type[Record]) -> str:
    return "".join(cls.label.casefold().split())


def _named(types: Types, code: str) -> str:
    """Return a type code with its names: "'0B' (Trade, 주식체결)"."""
    cls = types[code]
    return f"{code!r} ({', '.join(filter(None, (cls.__name__, cls.label)))})"


# Items.


@attrs.frozen
class _Kind:
    """A kind of instrument.

    Attributes:
        what: how its items are written, for error messages.
        is_item: whether a string is such an item.
        meant: the item that was probably meant by a string; None if there is no good guess.
    """

    what: str
    is_item: Callable[[str], Any]
    meant: Callable[[str], str | None]


_KRX, _NXT, _SOR = "", "_NX", "_AL"
_SUFFIX_OF = {
    **dict.fromkeys(("KRX", "XKRX", "KR", "KS", "KQ", "KN", "KOSPI", "KOSDAQ", "KONEX"), _KRX),
    **dict.fromkeys(("NXT", "NX"), _NXT),
    **dict.fromkeys(("SOR", "AL"), _SOR),
}
_EXCHANGE_OF = {
    **dict.fromkeys(("ND", "NASDAQ", "NAS"), "ND"),
    **dict.fromkeys(("NY", "NYSE", "NYS"), "NY"),
    **dict.fromkeys(("NA", "AMEX", "AMS"), "NA"),
}
_SECTORS = {"KOSPI": "001", "코스피": "001", "KOSDAQ": "101", "코스닥": "101", "KOSPI200": "201", "코스피200": "201"}
_BETWEEN = re.compile(r"[\s,;|/]+").split
_ISIN = re.compile(r"KR[0-9A-Z]([0-9][0-9A-Z]{5})[0-9A-Z]{2}[0-9]").fullmatch
_STOCK = re.compile(
    r"(?:(?P<before>[A-Z]+)[:._ -])?[AJQ]?(?P<code>[0-9][0-9A-Z]{5}|[0-9]{1,5})(?:[:._ -]?(?P<after>[A-Z]+))?"
).fullmatch
_TICKER = "[A-Z][A-Z0-9]{0,9}(?:[./-][A-Z0-9]{1,4})?"
_is_ticker = re.compile(_TICKER).fullmatch
_US_NAMES = "|".join(_EXCHANGE_OF)
_US = re.compile(
    rf"(?P<before>{_US_NAMES})[: ](?P<code>{_TICKER})|(?P<code_first>{_TICKER}?)[:._ /-](?P<after>{_US_NAMES})"
).fullmatch


def _stock_meant(text: str) -> str | None:
    found = _ISIN(text)
    if found:
        return found[1]
    found = _STOCK(text)
    if found is None:
        return None
    venues = [name for name in (found["after"], found["before"]) if name]
    if not all(name in _SUFFIX_OF for name in venues):
        return None
    return found["code"].zfill(6) + (_SUFFIX_OF[venues[0]] if venues else _KRX)


def _sector_meant(text: str) -> str | None:
    name = "".join(text.split())
    return _SECTORS.get(name) or (name.zfill(3) if name.isascii() and name.isdigit() and len(name) < 3 else None)


def _us_meant(text: str) -> str | None:
    found = _US(text)
    if found is None:
        return None
    return f"{found['code'] or found['code_first']}:{_EXCHANGE_OF[found['before'] or found['after']]}"


_STOCKS = _Kind(
    "a code of six characters, such as 005930 (KRX), 005930_NX (NXT) or 005930_AL (both, SOR)",
    # The gold spot market has its own codes: "M04020000".
    re.compile(r"(?:[0-9][0-9A-Z]{5}|M[0-9]{8})(?:_NX|_AL)?").fullmatch,
    _stock_meant,
)
_SECTOR_CODES = _Kind(
    "the code of a sector, three digits, such as 001 (KOSPI), 101 (KOSDAQ) or 201 (KOSPI 200)",
    re.compile(r"[0-9]{3}(?:_NX|_AL)?").fullmatch,
    _sector_meant,
)
_GOLD = _Kind("a gold price, such as MGD", re.compile(r"MG[A-Z]|M[0-9]{8}").fullmatch, lambda text: None)
_US_STOCKS = _Kind(
    "a ticker with its exchange, such as NVDA:ND (ND Nasdaq, NY NYSE, NA AMEX)",
    re.compile(rf"{_TICKER}:(?:ND|NY|NA)").fullmatch,
    _us_meant,
)
_KIND_OF = {
    ItemForm.STOCK: _STOCKS,
    ItemForm.SECTOR: _SECTOR_CODES,
    ItemForm.GOLD_PRICE: _GOLD,
    ItemForm.US_STOCK: _US_STOCKS,
}
_EXAMPLES = tuple(
    (type_code_of(cls), _KIND_OF[cls.item_form]) for cls in (Trade, SectorIndex, InternationalGoldPrice, UsTrade)
)


def check_item(endpoint: Endpoint, types: Types, code: str, item: str) -> None:
    """Check an item of a type that may be registered.

    Raises:
        LocalProtocolError: the registration would bring no row; says what was probably meant, or what the type takes.
    """
    kind, scope = _KIND_OF.get(_item_form(types, code)), types[code].scope
    if kind is None and scope is not Scope.ITEM:
        if item:  # it may be an account number, so it is not shown
            raise LocalProtocolError(
                f"items: type {_named(types, code)} takes none: it is for the whole {scope.value}; leave them out"
            )
        return
    if kind is not None and not item:
        if scope is Scope.ITEM:
            raise LocalProtocolError(f"items: type {code} needs at least one: {kind.what}")
    elif kind is not None and not kind.is_item(item):
        raise LocalProtocolError(f"item {shown_argument(item)}{_explain_item(endpoint, types, code, kind, item)}")
    endpoint.check_item(item)


def row_item(item: str) -> str:
    """Return the item that the rows of a registered item name: "NVDA" for "NVDA:ND"."""
    item = item.partition(":")[0]
    return PUSHED_AS.get(item, item)


def check_recorded(types: Types, codes: Collection[str] | None, items: Iterable[str], *, us: bool) -> None:
    """Check which rows of a recording are asked for: those of any type and item that may have been registered.

    Args:
        types: the known types.
        codes: type codes; None: of any type.
        items: items, as they are registered or as rows name them.
        us: whether the recording is of the US market, whose rows name a ticker alone: "NVDA".

    Raises:
        LocalProtocolError: there are no such rows; says what was probably meant, or what there is.
    """
    for code in codes or ():
        if code not in types:
            endpoint = US_PRODUCTION if us else PRODUCTION
            near = [known for known in types if known.casefold() == _normal(code).casefold()]
            near = near or _meant(endpoint, types, code)
            if near:
                raise LocalProtocolError(f"types: {shown_argument(code)}: did you mean {_listed(types, near)}?")
            if not 0 < len(code) <= MAX_TYPE_LENGTH:
                raise LocalProtocolError(
                    f"types: {shown_argument(code)}: a type code has two characters, such as '0B'; REALTIME holds "
                    "those there are"
                )
    if codes is not None and not codes:
        return
    forms = {_item_form(types, code) if code in types else ItemForm.ANY for code in codes or ()}
    if ItemForm.ANY in forms:
        return
    kinds = [kind for form, kind in _KIND_OF.items() if form in forms or codes is None]
    for item in items:
        if not item or any(kind.is_item(item) for kind in kinds) or (us and _is_ticker(item)):
            continue
        meant = next(filter(None, (_of_kind(kind, _normal(item)) for kind in kinds)), None)
        asked = f"items: {shown_argument(item)}"
        if meant is not None:
            raise LocalProtocolError(f"{asked}: did you mean {meant!r}?")
        raise LocalProtocolError(f"{asked}: rows name {'; or '.join(kind.what for kind in kinds)}")


def _item_form(types: Types, code: str) -> ItemForm:
    """Return the form of the items of a type; that of the official class if the one in its place leaves it open."""
    form = types[code].item_form
    return REALTIME[code].item_form if form is ItemForm.ANY and code in REALTIME else form


def _explain_item(endpoint: Endpoint, types: Types, code: str, kind: _Kind, item: str) -> str:
    takes = f"type {code} takes {kind.what}; {ESCAPE}"
    if item in types:
        return f" is a type, and a call is for one type; {takes}"
    text = _normal(item)
    meant = _meant_of_kind(endpoint, kind, text)
    if meant is not None:
        sector = ""
        if kind is _STOCKS and _SECTOR_CODES.is_item(text):
            sector_types = [code for code in types if _item_form(types, code) is ItemForm.SECTOR]
            sector = f", or the sector {text}, for {' or '.join(sector_types)}"
        return f": did you mean {meant!r}{sector}? {takes[0].upper()}{takes[1:]}"
    parts = [_meant_of_kind(endpoint, kind, part) for part in _BETWEEN(text) if part]
    if len(parts) > 1 and None not in parts:
        return f" is more than one item: pass each as an argument of its own: {', '.join(map(repr, parts))}"
    foreign = _of_kind(_STOCKS if endpoint.us else _US_STOCKS, text)
    if foreign is not None or (endpoint.us and item.isascii() and len(item) <= MAX_SHOWN_LENGTH):
        endpoint.check_item(foreign or item)  # raises: says what is missing, or where such items are served
    return f": {takes}"


def _of_kind(kind: _Kind, text: str) -> str | None:
    """Return the item of this kind that a string is, or probably means."""
    return text if kind.is_item(text) else kind.meant(text)


def _meant_of_kind(endpoint: Endpoint, kind: _Kind, text: str) -> str | None:
    meant = _of_kind(kind, text)
    if meant is not None and endpoint.mock and meant.endswith((_NXT, _SOR)):
        meant = meant[: -len(_NXT)]  # mock trading is KRX only
    return meant


def _normal(text: str) -> str:
    """Normalize what never matters: outer spaces and quotes, full width, lower case."""
    return unicodedata.normalize("NFKC", text).strip(" \t\r\n'\"$#").upper()
