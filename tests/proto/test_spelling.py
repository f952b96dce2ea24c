"""What may be registered: everything that exists passes, and what would bring no row is refused with what was meant."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proto.wire import LOGIN_OK, Wire, accept_handshake, real, reply

from kiwoom_proto import (
    MOCK,
    PRODUCTION,
    REALTIME,
    US_MOCK,
    US_PRODUCTION,
    ClientConnection,
    Conversation,
    Endpoint,
    LocalProtocolError,
    Record,
    Session,
    Symbol,
    Trade,
    Venue,
)
from kiwoom_proto.realtime import fields
from kiwoom_proto.realtime.conditions import ConditionRow
from kiwoom_proto.realtime.fields import Field
from kiwoom_proto.testing import ManualClock
from kiwoom_proto.wire.messages import Element, Reg, Remove, UsItem


class Odd(Record, tag="ZZ"):
    """A type that nobody has heard of."""

    label = "이상한것"
    price = Field("10", fields.price, "현재가")


class MyTrade(Trade):
    """A trade that knows more."""

    @property
    def turned_over(self) -> int:
        return (self.price or 0) * abs(self.quantity or 0)


def client(endpoint: Endpoint = PRODUCTION, types: Iterable[type[Record]] = ()) -> ClientConnection:
    return ClientConnection(endpoint, clock=ManualClock(), types=types)


def session(endpoint: Endpoint = PRODUCTION, types: Iterable[type[Record]] = ()) -> Session:
    return Session(endpoint, clock=ManualClock(), random=lambda: 0.0, types=types)


def over_messages(endpoint: Endpoint = PRODUCTION, types: Iterable[type[Record]] = ()) -> Conversation:
    return Conversation(endpoint, clock=ManualClock(), types=types)


MAKERS: list[Callable[..., Any]] = [client, session, over_messages]


def refusal(endpoint: Endpoint, type: Any, *items: Any, types: Iterable[type[Record]] = ()) -> str:
    """Why this is refused: the same words by whatever way it is asked for, to register or to remove."""
    said = set()
    for make in MAKERS:
        made = make(endpoint, types)
        for ask in (made.subscribe, made.unsubscribe):
            with pytest.raises(LocalProtocolError) as caught:
                ask(type, *items)
            said.add(str(caught.value))
        assert not isinstance(made, Session) or made.subscriptions == ()
    (only,) = said
    return only


def accepted(endpoint: Endpoint, type: Any, *items: Any, types: Iterable[type[Record]] = ()) -> None:
    for make in MAKERS:
        made = make(endpoint, types)
        request = made.subscribe(type, *items)
        assert request.items == (tuple(map(str, items)) or ("",))
        made.unsubscribe(type, *items)


# Items.

STOCKS = ["005930", "0004V0", "00088K", "00680K", "57JBHH", "52K123", "500001", "580001", "610010", "900140"]
STOCK_TYPES = ["0A", "0B", "0C", "0D", "0E", "0F", "0G", "0H", "0g", "0m", "0u", "0w"]


@pytest.mark.parametrize("type", STOCK_TYPES)
def test_codes_that_exist_pass(type: str) -> None:
    """Stocks, preferred stocks, codes with letters since 2024, ELWs and ETNs as they are registered, at each venue."""
    accepted(PRODUCTION, type, *STOCKS, *(f"{code}{suffix}" for code in STOCKS for suffix in ("_NX", "_AL")))
    accepted(PRODUCTION, type, Symbol("005930", Venue.SOR), "M04020000")
    accepted(MOCK, type, *STOCKS)


@pytest.mark.parametrize(
    ("endpoint", "type", "items"),
    [
        (PRODUCTION, "0J", ("001", "101", "201", "701")),
        (PRODUCTION, "0U", ("001", "101")),
        (MOCK, "0J", ("001",)),
        (PRODUCTION, "0I", ("MGD", "MGU")),
        (PRODUCTION, "00", ()),
        (PRODUCTION, "04", ("",)),
        (PRODUCTION, "0s", ()),
        (PRODUCTION, "1h", ("",)),
        (US_PRODUCTION, "FE", ("NVDA:ND", "F:NY", "BRK.B:NY", "BRK/B:NY", "ABR-D:NY", "SPY:NA", "GOOGL:ND")),
        (US_PRODUCTION, "FT", (Symbol("NVDA", Venue.NASDAQ),)),
        (US_MOCK, "FT", ("NVDA:ND",)),
        (US_PRODUCTION, "F4", ()),
        (US_PRODUCTION, "F5", ()),
        (US_PRODUCTION, "F4", ("NVDA:ND",)),  # as on the official page, although all orders come
        (US_PRODUCTION, "F5", ("NVDA:ND",)),
    ],
)
def test_items_that_exist_pass(endpoint: Endpoint, type: str, items: tuple[str, ...]) -> None:
    accepted(endpoint, type, *items)


@pytest.mark.parametrize(
    ("item", "meant"),
    [
        ("A005930", "005930"),
        ("A294140_AL", "294140_AL"),
        ("233740AL", "233740_AL"),
        ("233740NX", "233740_NX"),
        ("A0004V0", "0004V0"),
        ("J57JBHH", "57JBHH"),
        ("Q500001", "500001"),
        ("Q500001_NX", "500001_NX"),
        ("005930_KR", "005930"),
        ("005930_KRX", "005930"),
        ("005930.KS", "005930"),
        ("247540.KQ", "247540"),
        ("005930:KRX", "005930"),
        ("005930-KR", "005930"),
        ("00680K.KS", "00680K"),
        ("KRX:005930", "005930"),
        ("XKRX:005930", "005930"),
        ("KRX:A005930", "005930"),
        ("NXT:039490", "039490_NX"),
        ("NXT:039490_NX", "039490_NX"),  # as the official page writes it
        ("SOR:039490_AL", "039490_AL"),
        ("KOSDAQ:247540", "247540"),
        ("KR7005930003", "005930"),
        ("5930", "005930"),
        ("660", "000660"),
        ("5930_AL", "005930_AL"),
        ("5930.KS", "005930"),
        ("0004v0", "0004V0"),
        ("005930_nx", "005930_NX"),
        ("a005930", "005930"),
        ("  005930 ", "005930"),
        ("'005930'", "005930"),
        ("００５９３０", "005930"),
    ],
)
def test_a_misspelt_code_is_refused_with_the_right_spelling(item: str, meant: str) -> None:
    message = refusal(PRODUCTION, "0B", item)
    assert message.startswith(f"item {item!r}: did you mean {meant!r}")
    assert "request()" in message, "whoever knows better is told the way out"
    accepted(PRODUCTION, "0B", meant)


@pytest.mark.parametrize(
    "item", ["삼성전자", "Samsung", "1" * 24, "0059300", "005930!", "X005930", "_NX", "005930_XX", "MGD", "AAPL", "?"]
)
def test_what_is_no_code_at_all_is_refused_with_what_the_type_takes(item: str) -> None:
    message = refusal(PRODUCTION, "0B", "000660", item)
    assert message.startswith(f"item {item!r}: type 0B takes a code of six characters, such as 005930")
    assert "request()" in message


@pytest.mark.parametrize("item", ["005930,000660", "005930 000660", "A005930, 000660", "5930;660", "005930|000660"])
def test_several_items_in_one_text_are_named_one_by_one(item: str) -> None:
    assert "pass each as an argument of its own: '005930', '000660'" in refusal(PRODUCTION, "0B", item)


def test_a_long_text_is_not_shown_for_it_may_be_a_secret() -> None:
    token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9secret"
    for endpoint, type in ((PRODUCTION, "0B"), (US_PRODUCTION, "FE")):
        message = refusal(endpoint, type, token)
        assert "secret" not in message
        assert message.startswith(f"item of 42 characters: type {type} takes")
        assert "secret" not in refusal(endpoint, token, "005930")


def test_mock_trading_is_not_offered_what_it_does_not_have() -> None:
    assert "did you mean '233740'?" in refusal(MOCK, "0B", "233740AL")
    assert "KRX only" in refusal(MOCK, "0B", "005930_AL")


@pytest.mark.parametrize(
    ("type", "item", "parts"),
    [
        ("0J", "005930", ("type 0J takes the code of a sector", "001 (KOSPI)")),
        ("0J", "1", ("did you mean '001'?",)),
        ("0U", "KOSDAQ", ("did you mean '101'?",)),
        ("0U", "코스피", ("did you mean '001'?",)),
        ("0B", "001", ("'000001'", "the sector 001", "0J")),
        ("0I", "mgd", ("did you mean 'MGD'?",)),
        ("0I", "005930", ("takes a gold price, such as MGD",)),
        ("0B", "0D", ("item '0D' is a type", "a call is for one type")),
        ("0B", "", ("items: type 0B needs at least one", "005930")),
    ],
)
def test_each_type_takes_what_it_is_about(type: str, item: str, parts: tuple[str, ...]) -> None:
    message = refusal(PRODUCTION, type, item)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(("type", "whole"), [("00", "account"), ("04", "account"), ("0s", "market"), ("1h", "market")])
def test_a_type_that_takes_no_item_says_so_and_does_not_show_what_may_be_an_account_number(
    type: str, whole: str
) -> None:
    message = refusal(PRODUCTION, type, "8100000001")
    assert message.startswith(f"items: type {type!r} ({REALTIME[type].__name__}, ")
    assert f"takes none: it is for the whole {whole}" in message
    assert "8100000001" not in message


@pytest.mark.parametrize(
    ("item", "meant"),
    [
        ("nvda:nd", "NVDA:ND"),
        ("NASDAQ:NVDA", "NVDA:ND"),
        ("NVDA:NASDAQ", "NVDA:ND"),
        ("NVDA.ND", "NVDA:ND"),
        ("NVDA_ND", "NVDA:ND"),
        ("NYSE:KO", "KO:NY"),
        ("AMEX:SPY", "SPY:NA"),
        ("BRK.B.NY", "BRK.B:NY"),
        (" NVDA:ND", "NVDA:ND"),
    ],
)
def test_a_misspelt_us_item_is_refused_with_the_right_spelling(item: str, meant: str) -> None:
    assert f"did you mean {meant!r}?" in refusal(US_PRODUCTION, "FE", item)
    accepted(US_PRODUCTION, "FE", meant)


@pytest.mark.parametrize(
    ("endpoint", "type", "item", "parts"),
    [
        (US_PRODUCTION, "FE", "NVDA", ("names its exchange", "NVDA:ND")),
        (US_PRODUCTION, "FE", "NVDA:ZZ", ("ticker with its exchange",)),
        (US_PRODUCTION, "FE", "애플", ("ticker with its exchange",)),
        (US_PRODUCTION, "FE", "005930", ("domestic items", "PRODUCTION")),
        (US_PRODUCTION, "FE", "A005930", ("domestic items", "PRODUCTION")),
        (US_PRODUCTION, "F5", "005930_NX", ("domestic items", "PRODUCTION")),
        (US_PRODUCTION, "FE", "AAPL:ND,NVDA:ND", ("'AAPL:ND', 'NVDA:ND'",)),
        (PRODUCTION, "0B", "NVDA:ND", ("US path", "US_PRODUCTION")),
        (PRODUCTION, "0B", "NASDAQ:NVDA", ("US path", "US_PRODUCTION")),
        (PRODUCTION, "FE", "NVDA:ND", ("'FE' (UsTrade, ", "US path", "US_PRODUCTION")),
        (MOCK, "F4", "", ("'F4' (UsOrder, ", "US path")),
        (US_PRODUCTION, "0B", "005930", ("'0B' (Trade, 주식체결)", "domestic types", "PRODUCTION")),
        (US_MOCK, "00", "", ("'00' (OrderExecution, 주문체결)", "domestic types")),
    ],
)
def test_types_and_items_of_the_other_market(endpoint: Endpoint, type: str, item: str, parts: tuple[str, ...]) -> None:
    message = refusal(endpoint, type, *([item] if item else []))
    for part in parts:
        assert part in message


# A way out, for what this library does not know.


@pytest.mark.parametrize(
    ("endpoint", "item", "sent"),
    [
        (PRODUCTION, "A005930", "A005930"),
        (PRODUCTION, "삼성전자", "삼성전자"),
        (PRODUCTION, "0059301234", "0059301234"),
        (PRODUCTION, "KRX:005930", "KRX:005930"),
        (US_PRODUCTION, UsItem("NVDA", "ZZ"), {"jmcode": "NVDA", "stex_tp": "ZZ"}),
    ],
)
def test_a_message_of_ones_own_is_sent_as_it_is(endpoint: Endpoint, item: Any, sent: object) -> None:
    wire = Wire(endpoint=endpoint).login()
    wire.client.request(Reg("1", "1", (Element((item,), ("0Z",)),)))
    (message,) = wire.messages()
    assert json.loads(message)["data"] == [{"item": [sent], "type": ["0Z"]}]

    wire.send(real(("0Z", "005930", {"10": "+1"})))
    (row,) = wire.events()
    assert type(row) is Record
    assert row.fids() == {"10": "+1"}


@pytest.mark.parametrize(
    ("item", "type", "named"),
    [("x" * 101, "0B", "item[0]"), ("005930", "0BB", "type[0]"), ("005\n930", "0B", "item[0]")],
)
def test_but_lengths_are_checked_all_the_same(item: str, type: str, named: str) -> None:
    for make in MAKERS:
        for message in (Reg("1", "1", (Element((item,), (type,)),)), Remove("1", (Element((item,), (type,)),))):
            with pytest.raises(LocalProtocolError) as caught:
                make().request(message)
            assert named in str(caught.value)


def test_what_was_registered_by_a_message_of_ones_own_comes_back_after_a_loss() -> None:
    made = session()
    made.request(Reg("1", "1", (Element(("KRX:005930",), ("0Z",)),)))
    assert [(one.type, one.item) for one in made.subscriptions] == [("0Z", "KRX:005930")]
    made.request(Remove("1", (Element(("KRX:005930",), ("0Z",)),)))
    assert made.subscriptions == ()


# Types.


@pytest.mark.parametrize(
    ("asked", "parts"),
    [
        ("0b", ("type '0b'", "did you mean '0B' (Trade, 주식체결)?", "case-sensitive")),
        ("0S", ("did you mean '0s' (MarketPhase, 장시작시간)?", "case-sensitive")),
        ("1H", ("did you mean '1h' (",)),
        (" 0B", ("did you mean '0B' (Trade, 주식체결)?",)),
        ("０Ｂ", ("did you mean '0B' (Trade, 주식체결)?",)),
        ("체결", ("did you mean '0B' (Trade, 주식체결), '00' (OrderExecution, 주문체결) or",)),
        ("주식체결", ("did you mean '0B' (Trade, 주식체결)?",)),
        ("잔고", ("did you mean '04' (Balance, 잔고)?",)),
        ("호가", ("'0D' (OrderBook, 주식호가잔량)",)),
        ("ETF NAV", ("did you mean '0G' (EtfNav, ETF NAV)?",)),
        ("Trade", ("did you mean '0B' (Trade, 주식체결)?",)),
        ("order book", ("did you mean '0D' (OrderBook, 주식호가잔량)?",)),
        ("order_book", ("did you mean '0D' (OrderBook, 주식호가잔량)?",)),
        ("005930", ("type '005930' looks like an item", "the type comes first", "subscribe('0B', '005930')")),
        ("A005930", ("looks like an item",)),
        ("001", ("looks like an item", "subscribe('0J', '001')")),
        ("NVDA:ND", ("looks like an item",)),
        (Symbol("005930"), ("type '005930' looks like an item", "the type comes first")),
        ("0Z", ("type '0Z' is not in the catalogue", "types=[MyRecord]", "request()")),
        ("0BB", ("two characters",)),
        ("", ("two characters",)),
        ("02", ("'02' (ConditionHit, ", "search_condition")),
        ("fe", ("did you mean 'FE' (",)),
        (None, ("one type code or one class", "NoneType")),
        (["0B"], ("one type code or one class", "list")),
        (int, ("one type code or one class", "int")),
        (Record, ("Record declares no real-time type",)),
        (Odd, ("rows of 'ZZ' come as Record, never as Odd", "types=[Odd]")),
        (MyTrade, ("rows of '0B' come as Trade, never as MyTrade", "types=[MyTrade]")),
        (ConditionRow, ("ConditionRow declares 'CNSRREQ'", "at most 2 characters")),
    ],
)
def test_a_type_that_is_none_is_named_as_what_it_is(asked: Any, parts: tuple[str, ...]) -> None:
    message = refusal(PRODUCTION, asked, "000660")
    for part in parts:
        assert part in message
    assert "data[0]" not in message


@pytest.mark.parametrize("type", ["0B", Trade])
def test_types_and_items_swapped_are_shown_the_right_way_round(type: Any) -> None:
    shown = "Trade" if type is Trade else "'0B'"
    for item in ("005930", "A005930", "삼성전자"):
        message = refusal(PRODUCTION, item, type)
        assert f"type {item!r} looks like an item: the type comes first" in message
        assert f"subscribe({shown}, {item!r})" in message


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_texts_at_all_are_refused_or_taken(type: str, item: str) -> None:
    """No other error comes of them than the one that is meant for it."""
    for endpoint in (PRODUCTION, US_MOCK):
        for asked, wanted in ((type, item), ("0B", item), ("FE", item), ("0J", item), (type, "005930")):
            try:
                client(endpoint).subscribe(asked, wanted)
            except LocalProtocolError as error:
                assert str(error)


@given(st.from_regex(r"[0-9][0-9A-Z]{5}", fullmatch=True), st.sampled_from(["", "_NX", "_AL"]))
def test_every_code_of_the_exchange_passes_and_with_its_letter_it_is_what_was_meant(code: str, suffix: str) -> None:
    accepted(PRODUCTION, "0B", f"{code}{suffix}")
    for letter in "AJQ":
        assert f"did you mean '{code}{suffix}'" in refusal(PRODUCTION, "0B", f"{letter}{code}{suffix}")


# Types of one's own.


@pytest.mark.parametrize("make", MAKERS)
def test_a_class_of_ones_own_can_be_registered_by_class_and_by_code(make: Callable[..., Any]) -> None:
    made = make(PRODUCTION, [Odd])
    for asked in (Odd, "ZZ"):
        for items in ((), ("005930",), ("whatever it takes",)):  # what it takes, only its owner knows
            assert made.subscribe(asked, *items).types == ("ZZ",)
    assert made.subscribe("0B", "005930").types == ("0B",), "the catalogue is there too"
    assert "did you mean 'ZZ' (Odd, 이상한것)?" in refusal(PRODUCTION, "zz", types=[Odd])


def test_rows_of_a_class_of_ones_own_are_of_that_class() -> None:
    wire_client = ClientConnection(PRODUCTION, clock=ManualClock(), types=[Odd, MyTrade])
    wire = Wire()
    wire.client = wire_client
    wire.login()
    wire.client.subscribe(Odd, "005930")
    wire.send(real(("ZZ", "005930", {"10": "-70000"}), ("0B", "005930", {"10": "+5", "15": "-3"}), ("0Y", "", {})))
    odd, trade, other = wire.events()
    assert (type(odd), type(trade), type(other)) == (Odd, MyTrade, Record)
    assert isinstance(odd, Odd) and odd.price == 70000
    assert isinstance(trade, MyTrade) and trade.turned_over == 15


def test_rows_over_another_library_are_of_that_class_too() -> None:
    made = over_messages(PRODUCTION, [Odd])
    made.connect("token")
    made.receive_opened()
    made.receive_message(LOGIN_OK)
    made.events()
    made.receive_message(real(("ZZ", "005930", {"10": "-70000"})))
    (row,) = made.events()
    assert isinstance(row, Odd) and row.price == 70000


def test_a_session_decodes_them_on_every_connection() -> None:
    made = session(PRODUCTION, (cls for cls in (Odd, MyTrade)))  # an iterator, which can be read once
    made.connect("token")
    made.subscribe(Odd, "005930")
    for _ in range(2):
        wire = Wire()
        wire.client = made  # type: ignore[assignment]  # the same calls
        wire.request = made.data_to_send()
        made.receive_data(accept_handshake(wire.request))
        wire.send(LOGIN_OK, reply("REG"), real(("ZZ", "005930", {"10": "-70000"}), ("0B", "1", {})))
        rows = [event for event in made.events() if isinstance(event, Record)]
        assert [type(row) for row in rows] == [Odd, MyTrade]
        made.receive_eof()
        made.handle_timeout()


def test_the_class_of_the_catalogue_still_works_where_a_subclass_stands_for_it() -> None:
    accepted(PRODUCTION, Trade, "005930", types=[MyTrade])
    accepted(PRODUCTION, MyTrade, "005930", types=[MyTrade])
    assert "'005930'" in refusal(PRODUCTION, MyTrade, "A005930", types=[MyTrade])


class Unrelated(Record, tag="0B"):
    """Takes the place of Trade."""


def test_the_class_of_the_catalogue_does_not_where_another_stands_for_it() -> None:
    accepted(PRODUCTION, Unrelated, "005930", types=[Unrelated])
    assert "come as Unrelated, never as Trade" in refusal(PRODUCTION, Trade, "005930", types=[Unrelated])


class Untagged(Record):
    """Has no type."""


class Long(Record, tag="ABC"):
    """Has one that cannot be sent."""


class OddToo(Record, tag="ZZ"):
    """Has one that is taken."""


@pytest.mark.parametrize(
    ("types", "named"),
    [
        (Odd, "write types=[MyRecord]"),
        ("0B", "must be a list"),
        ({"ZZ": Odd}, "must be a list"),
        (5, "must be a list"),
        (["0B"], "subclass of Record"),
        ([int], "subclass of Record"),
        ([Record], "declares no real-time type"),
        ([Untagged], "Untagged declares no real-time type"),
        ([Long], "Long declares 'ABC'"),
        ([Odd, OddToo], "Odd and OddToo both declare type 'ZZ'"),
    ],
)
def test_types_that_are_none_are_refused_where_they_are_passed(types: Any, named: str) -> None:
    for make in MAKERS:
        with pytest.raises(LocalProtocolError) as caught:
            make(PRODUCTION, types)
        assert str(caught.value).startswith("types: ")
        assert named in str(caught.value)
