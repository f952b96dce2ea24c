"""Every message but the real-time rows, in both directions, and how they are built and encoded.

What we send is checked against the official page first (`check`): lengths, required elements, lists where lists belong.
What we receive may have any shape that can be understood (see `decoder`).

Source: official page 0E for REG, REMOVE and the replies; LOGIN, PING and SYSTEM as measured on the live server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeAlias

import msgspec
from msgspec import UNSET, structs

from ..display import quoted, repr_of, rich_repr
from ..errors import LocalProtocolError
from ..realtime.traits import MAX_TYPE_LENGTH
from ..request import Key, Request, RequestKind
from ..secrets import Secret
from ..symbol import MAX_ITEM_LENGTH

__all__ = (
    "KIND_OF",
    "MAX_GROUP_LENGTH",
    "MAX_MESSAGE_SIZE",
    "ConditionRequest",
    "Element",
    "Login",
    "Message",
    "Ping",
    "Reg",
    "Remove",
    "Reply",
    "Row",
    "UsItem",
    "check",
    "check_condition",
    "check_size",
    "check_token",
    "condition_clear",
    "condition_list",
    "condition_search",
    "encode",
    "encode_rows",
    "is_too_large",
    "keys_of",
    "ticket_for",
)

MAX_PAIRS = 10_000
"""Pairs of type and item in one REG or REMOVE, which the ticket lists. A connection has 200 items and 25 types."""
MAX_GROUP_LENGTH = 4
MAX_MESSAGE_SIZE = 65_536
"""Bytes of one message to the server, which closes the connection (1009) for a longer one [measured]."""
US_ITEM_SIZE = 32
"""Maximum number of bytes by which an item on the US path is longer than its str."""


KIND_OF = {
    f"{market}{kind.value}": kind for kind in RequestKind for market in (("", "G") if kind.is_condition else ("",))
}
"""The kind of request that each `trnm` names, on either path."""


class Login(msgspec.Struct, frozen=True, tag_field="trnm", tag="LOGIN"):
    """The first message of a client: the bare token, without "Bearer"."""

    token: Secret


class UsItem(msgspec.Struct, frozen=True):
    """An item as the US path writes it.

    Attributes:
        jmcode: the ticker, "NVDA".
        stex_tp: the exchange, "ND".
    """

    jmcode: str
    stex_tp: str

    def __str__(self) -> str:
        return f"{self.jmcode}:{self.stex_tp}"


class Element(msgspec.Struct, frozen=True):
    """One element of a registration: every item of it for every type of it (실시간 등록 리스트).

    Attributes:
        item: items ("005930", "005930_NX", "NVDA:ND"), each at most 100 characters; [""] for account-wide types. On the
            US path they are written as objects.
        type: type codes ("0E"), each at most 2 characters.
    """

    item: tuple[str | UsItem, ...]
    type: tuple[str, ...]


class Reg(msgspec.Struct, frozen=True, tag_field="trnm", tag="REG"):
    """Register items for real-time types (등록).

    Attributes:
        data: what to register.
        grp_no: group number (그룹번호), at most 4 characters.
        refresh: "1" keeps earlier registrations, "0" drops them (기존등록유지여부). Whether "0" means those of the
            group or of the whole connection was never measured.
    """

    kind: ClassVar[RequestKind] = RequestKind.REGISTER

    grp_no: str
    refresh: str
    data: tuple[Element, ...]


class Remove(msgspec.Struct, frozen=True, tag_field="trnm", tag="REMOVE"):
    """Remove registrations (해지). Attributes as in `Reg`."""

    kind: ClassVar[RequestKind] = RequestKind.REMOVE

    grp_no: str
    data: tuple[Element, ...]


class ConditionRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A condition-search request (조건검색): list, search or clear. Members that are UNSET are not sent.

    Attributes:
        trnm: "CNSRLST", "CNSRREQ" or "CNSRCLR"; on the US path with a G in front.
        seq: the condition's number.
        search_type: "0" for one answer, "1" to keep streaming updates.
        stex_tp: "K" on the domestic path.
        cont_yn: "Y" to continue an earlier answer.
        next_key: where to continue.
    """

    trnm: str
    seq: str | msgspec.UnsetType = msgspec.UNSET
    search_type: str | msgspec.UnsetType = msgspec.UNSET
    stex_tp: str | msgspec.UnsetType = msgspec.UNSET
    cont_yn: str | msgspec.UnsetType = msgspec.UNSET
    next_key: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def kind(self) -> RequestKind:
        """What it asks for: list, search or clear."""
        return KIND_OF[self.trnm]


Message: TypeAlias = Reg | Remove | ConditionRequest
"""A message that the server answers and that is not the LOGIN."""


class Ping(msgspec.Struct, frozen=True):
    """The server's heartbeat. The answer is the same bytes [measured]."""

    payload: bytes

    def __repr__(self) -> str:
        return f"Ping(payload=<{len(self.payload)} bytes>)"  # it may hold anything

    __rich_repr__ = rich_repr


class Reply(msgspec.Struct, frozen=True):
    """The server's answer to a LOGIN, REG, REMOVE or condition-search request.

    Attributes:
        trnm: which kind of request it answers. It does not name the request itself.
        code: `return_code` as a str; "0" means accepted.
        message: `return_msg`, "" if there is none. Like the members, without secrets: see `secrets`.
        members: everything else in the reply.
    """

    trnm: str
    code: str
    message: str
    members: dict[str, Any]

    def __repr__(self) -> str:
        return repr_of(self, structs.asdict(self))

    __rich_repr__ = rich_repr

    @property
    def kind(self) -> RequestKind | None:
        """Which kind of request it answers; None for a LOGIN."""
        return KIND_OF.get(self.trnm)

    @property
    def ok(self) -> bool:
        """Whether the request was accepted."""
        return self.code == "0"


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One real-time row to send (server side), members in the measured order.

    Attributes:
        values: FID -> text.
        type: type code.
        name: the type's label.
        item: the registered item; for a US stock the ticker alone.
        stexTp: the exchange of a US stock, "ND"; "" is not written.
    """

    values: Mapping[str, str]
    type: str
    name: str
    item: str
    stexTp: str = ""


class _Rows(msgspec.Struct):
    data: tuple[Row, ...]
    trnm: str = "REAL"


def _encode_secret(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError


_encoder = msgspec.json.Encoder(enc_hook=_encode_secret)


def encode(message: Login | Reg | Remove | ConditionRequest | Mapping[str, Any]) -> bytes:
    """Return the compact JSON of a message, with each `Secret` revealed."""
    return _encoder.encode(message)


def encode_rows(rows: Iterable[Row]) -> bytes:
    """Return one REAL message with these rows, keys in the measured order."""
    return _encoder.encode(_Rows(tuple(rows)))


def is_too_large(message: Reg | Remove) -> bool:
    """Whether a registration may be too large for one message, on either path."""
    us_items = sum(":" in str(item) for element in message.data for item in element.item)
    return len(encode(message)) + US_ITEM_SIZE * us_items > MAX_MESSAGE_SIZE


def check_size(message: Login | Reg | Remove | ConditionRequest) -> None:
    """Raise LocalProtocolError if a message is larger than the server accepts."""
    size = len(encode(message))
    if size > MAX_MESSAGE_SIZE:
        raise LocalProtocolError(f"message: has {size:,} bytes, the limit is {MAX_MESSAGE_SIZE:,}")


def check_token(token: object) -> None:
    """Raise LocalProtocolError, without showing it, unless `token` is a `Secret` that can be sent as a token."""
    if not isinstance(token, Secret) or not token:
        raise LocalProtocolError("token: must be a non-empty str")
    if token.reveal()[:7].lower() == "bearer ":
        raise LocalProtocolError("token: must not begin with 'Bearer '; the server refuses such a token")
    if not (token.reveal().isascii() and token.reveal().isprintable()):
        raise LocalProtocolError("token: must be printable ASCII")
    check_size(Login(token))


def check(message: Reg | Remove) -> None:
    """Check that the official page allows a registration.

    Raises:
        LocalProtocolError: names the element and its limit.
    """
    if not isinstance(message, Reg | Remove):
        raise LocalProtocolError(f"message: must be a Reg or a Remove, not {type(message).__name__}")
    _check_text("grp_no", message.grp_no, MAX_GROUP_LENGTH, required=True)
    if isinstance(message, Reg) and message.refresh not in ("0", "1"):
        raise LocalProtocolError(f'refresh: must be "0" or "1", not {message.refresh!r}')
    if not _is_list(message.data) or not message.data:
        raise LocalProtocolError("data: must be a list of at least one element")
    for index, element in enumerate(message.data):
        where = f"data[{index}]"
        if not isinstance(element, Element):
            raise LocalProtocolError(f"{where}: must be an Element, not {type(element).__name__}")
        if not _is_list(element.type) or not element.type:
            raise LocalProtocolError(f"{where}.type: must be a list of at least one type code")
        for at, type_code in enumerate(element.type):
            _check_text(f"{where}.type[{at}]", type_code, MAX_TYPE_LENGTH, required=True)
        if not _is_list(element.item):
            raise LocalProtocolError(f"{where}.item: must be a list of items, not {type(element.item).__name__}")
        for at, item in enumerate(element.item):
            text = str(item) if isinstance(item, UsItem) else item
            _check_text(f"{where}.item[{at}]", text, MAX_ITEM_LENGTH, required=False)
    pairs = sum(len(element.type) * max(1, len(element.item)) for element in message.data)
    if pairs > MAX_PAIRS:
        raise LocalProtocolError(f"data: names {pairs:,} pairs of type and item, the limit is {MAX_PAIRS:,}")


def check_condition(seq: object, next_key: object) -> None:
    """Check the number of a condition, and a key to continue with.

    Raises:
        LocalProtocolError: names which.
    """
    number = seq.strip(" ") if isinstance(seq, str) else ""  # the server pads with spaces [measured]
    if not (number.isascii() and number.isdecimal()):
        raise LocalProtocolError(
            f"seq: must be the number of a condition, as list_conditions gives it ('4'), not {quoted(seq)}"
        )
    if not isinstance(next_key, str) or not next_key.isprintable():
        raise LocalProtocolError("next_key: must be a printable str")


def condition_list(*, us: bool) -> ConditionRequest:
    """Return the request for the saved conditions (CNSRLST), for the US path or the domestic one."""
    return ConditionRequest(_trnm(RequestKind.CONDITION_LIST, us))


def condition_search(seq: str, *, live: bool, next_key: str = "", us: bool) -> ConditionRequest:
    """Return the request for a search (CNSRREQ), live or for one page of results.

    Raises:
        LocalProtocolError: names what is wrong.
    """
    check_condition(seq, next_key)
    if live and next_key:
        raise LocalProtocolError("next_key: a live search has no pages")
    message = ConditionRequest(
        _trnm(RequestKind.CONDITION_SEARCH, us),
        seq=seq.strip(),
        search_type="1" if live else "0",
        stex_tp=UNSET if us else "K",
        cont_yn=UNSET if live else "Y" if next_key else "N",
        next_key=UNSET if live else next_key,
    )
    check_size(message)
    return message


def condition_clear(seq: str, *, us: bool) -> ConditionRequest:
    """Return the request that ends a live search (CNSRCLR).

    Raises:
        LocalProtocolError: names what is wrong.
    """
    check_condition(seq, "")
    message = ConditionRequest(_trnm(RequestKind.CONDITION_CLEAR, us), seq=seq.strip())
    check_size(message)
    return message


def ticket_for(*messages: Message) -> Request:
    """Return the ticket for a call that goes out as these messages: its kind is that of the last one."""
    last = messages[-1]
    if not isinstance(last, ConditionRequest):
        return Request(last.kind, keys_of(messages), parts=len(messages))
    seq, next_key = (value if isinstance(value, str) else "" for value in (last.seq, last.next_key))
    return Request(last.kind, seq=seq, live=last.search_type == "1", next_key=next_key, parts=len(messages))


def keys_of(messages: Iterable[Message]) -> tuple[Key, ...]:
    """Return every (group, type, item) that registrations or removals name, once each, in order."""
    return tuple(
        dict.fromkeys(
            (message.grp_no, type, str(item))
            for message in messages
            if not isinstance(message, ConditionRequest)
            for element in message.data
            for item in element.item or ("",)
            for type in element.type
        )
    )


def _trnm(kind: RequestKind, us: bool) -> str:
    return f"G{kind.value}" if us else kind.value


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _check_text(where: str, value: object, limit: int, *, required: bool) -> None:
    if not isinstance(value, str):
        raise LocalProtocolError(f"{where}: must be a str, not {type(value).__name__}")
    if required and not value:
        raise LocalProtocolError(f"{where}: is required and must not be empty")
    if len(value) > limit:
        raise LocalProtocolError(f"{where}: has {len(value)} characters, the limit is {limit}")
    if not value.isprintable():
        raise LocalProtocolError(f"{where}: must be printable text, not {value!r}")
