"""A new type is one class and nothing else: what it declares of itself is known wherever types are told apart.

The adapters' part is in tests/adapters/test_new_type.py.
"""

from __future__ import annotations

import json
import pickle
import types
from typing import Any

import pytest
from tests.proto.wire import CountingBytes, accept_handshake, parse_frames, real, reply, text

from kiwoom_proto import (
    PRODUCTION,
    REALTIME,
    US_PRODUCTION,
    AfterHoursQuote,
    ClientConfig,
    Endpoint,
    LocalProtocolError,
    OrderExecution,
    Record,
    Session,
    Trade,
)
from kiwoom_proto.client.buffer import EventBuffer
from kiwoom_proto.config import Overflow
from kiwoom_proto.realtime import ItemForm, Market, Scope, fields
from kiwoom_proto.realtime.conditions import ConditionRow, UsConditionRow
from kiwoom_proto.realtime.fields import Field
from kiwoom_proto.testing import ManualClock


class MarginCall(Record, tag="ZA"):
    """The account has to deposit money."""

    label = "증거금추가납부"
    scope = Scope.ACCOUNT

    account_number = Field("9201", fields.account_number, "계좌번호")
    amount_due = Field("932", fields.amount, "추가납부금액", unit="KRW")


class UsHalt(Record, tag="ZB"):
    """Trading of a US stock was interrupted."""

    label = "미국주식 거래정지"
    market = Market.US


class Notice(Record, tag="ZC"):
    """The exchange says something."""

    label = "공시"
    scope = Scope.MARKET


class ShortSale(Record, tag="ZG"):
    """A stock was sold short."""

    label = "공매도"
    item_form = ItemForm.STOCK


class SectorFlow(Record, tag="ZH"):
    """Who buys in a sector."""

    item_form = ItemForm.SECTOR


class UsDividend(Record, tag="ZI"):
    """The account received a dividend; a stock may be named."""

    market = Market.US
    scope = Scope.ACCOUNT
    item_form = ItemForm.US_STOCK


TYPES = [MarginCall, UsHalt, Notice, ShortSale, SectorFlow, UsDividend]


class Line:
    """A session with the server's end written by hand."""

    def __init__(self, endpoint: Endpoint = PRODUCTION) -> None:
        self.clock = ManualClock(1000.0)
        config = ClientConfig(request_interval=0)
        self.session = Session(
            endpoint, config, clock=self.clock, random=lambda: 0.5, random_bytes=CountingBytes(), types=TYPES
        )
        self.session.connect("token")
        self.login()

    def login(self) -> None:
        self.session.receive_data(accept_handshake(self.session.data_to_send()), 1)
        assert self.sent() == [{"trnm": "LOGIN", "token": "token"}]
        self.send(reply("LOGIN"))

    def reconnect(self) -> None:
        self.session.receive_eof()
        due = self.session.next_timeout()
        assert due is not None
        self.clock.now = due
        self.session.handle_timeout()
        self.login()

    def send(self, *payloads: bytes) -> None:
        self.session.receive_data(b"".join(map(text, payloads)), 1)

    def sent(self) -> list[Any]:
        return [json.loads(frame.payload) for frame in parse_frames(self.session.data_to_send())]

    def registered(self) -> list[Any]:
        """What is registered, message by message, each acknowledged."""
        found = []
        while messages := self.sent():
            for message in messages:
                found += message["data"]
                self.send(reply(message["trnm"]))
        return found


def test_a_new_account_type_is_registered_without_an_item_and_takes_none() -> None:
    line = Line()
    line.session.subscribe(MarginCall)
    assert line.registered() == [{"item": [""], "type": ["ZA"]}]
    with pytest.raises(LocalProtocolError, match=r"'ZA' \(MarginCall, 증거금추가납부\) takes none: .* whole account"):
        line.session.subscribe(MarginCall, "005930")


def test_its_rows_count_for_the_subscription_whatever_item_they_name() -> None:
    line = Line()
    line.session.subscribe(MarginCall)
    line.registered()
    line.send(real(("ZA", "005930", {"9201": "1234567890", "932": "70000"})))
    [row] = [event for event in line.session.events() if isinstance(event, Record)]
    assert isinstance(row, MarginCall) and row.amount_due == 70000
    assert [one.state.value for one in line.session.subscriptions] == ["receiving"]


def test_it_is_restored_before_market_data_after_a_reconnect() -> None:
    line = Line()
    line.session.subscribe(Trade, "005930", group="2")
    line.session.subscribe(MarginCall, group="3")
    assert [data["type"] for data in line.registered()] == [["0B"], ["ZA"]]
    line.reconnect()
    assert [data["type"] for data in line.registered()] == [["ZA"], ["0B"]]


def test_it_does_not_wait_for_removals_that_make_room() -> None:
    line = Line()
    line.session.subscribe(Trade, "005930", "000660")
    line.registered()
    line.session.unsubscribe(Trade, "005930")
    assert [message["trnm"] for message in line.sent()] == ["REMOVE"]
    line.session.unsubscribe(Trade, "000660")
    line.session.subscribe(Trade, "035420")
    line.session.subscribe(MarginCall)
    line.send(reply("REMOVE"))
    assert line.registered() == [
        {"item": [""], "type": ["ZA"]},
        {"item": ["000660"], "type": ["0B"]},  # removed
        {"item": ["035420"], "type": ["0B"]},
    ]


@pytest.mark.parametrize("policy", ["drop_oldest", "conflate"])
def test_it_is_never_dropped(policy: Overflow) -> None:
    buffer = EventBuffer(8, policy)
    calls = [MarginCall("ZA", "005930", received_at=number) for number in range(3)]
    for number in range(30):
        buffer.put([AfterHoursQuote("0E", "005930", received_at=number)])
        if number < 3:
            buffer.put([calls[number]])
    taken = buffer.pop_all()
    assert [event for event in taken if isinstance(event, MarginCall)] == calls
    assert buffer.stats().dropped + buffer.stats().conflated > 0


def test_a_new_us_type_is_served_on_the_us_path_alone() -> None:
    line = Line(US_PRODUCTION)
    line.session.subscribe(UsHalt, "NVDA:ND")
    assert line.registered() == [{"item": [{"jmcode": "NVDA", "stex_tp": "ND"}], "type": ["ZB"]}]
    with pytest.raises(LocalProtocolError, match="US types are served on the US path only"):
        Line().session.subscribe(UsHalt, "NVDA:ND")
    with pytest.raises(LocalProtocolError, match=r"domestic types .* or declare MarginCall.market = Market.US"):
        line.session.subscribe(MarginCall)


def test_its_rows_are_about_us_stocks() -> None:
    assert UsHalt("ZB", "NVDA").symbol is None  # the exchange is not named
    assert str(UsHalt("ZB", "NVDA", venue_code="ND").symbol) == "NVDA:ND"


def test_a_new_market_wide_type_takes_no_item_and_may_be_dropped() -> None:
    line = Line()
    line.session.subscribe(Notice)
    assert line.registered() == [{"item": [""], "type": ["ZC"]}]
    with pytest.raises(LocalProtocolError, match="takes none: it is for the whole market"):
        line.session.subscribe(Notice, "005930")
    assert Notice.droppable


def refusal(line: Line, type: object, *items: str) -> str:
    with pytest.raises(LocalProtocolError) as caught:
        line.session.subscribe(type, *items)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize("item", ["A005930", "005930.KS", "5930", "삼성전자", "A005930,000660", "", "0D"])
def test_a_new_stock_type_refuses_what_trades_refuse(item: str) -> None:
    line = Line()
    assert refusal(line, ShortSale, item) == refusal(line, Trade, item).replace("0B", "ZG")
    line.session.subscribe(ShortSale, "005930_AL")
    assert line.registered() == [{"item": ["005930_AL"], "type": ["ZG"]}]


def test_a_new_sector_type_takes_sectors_and_is_suggested_for_them() -> None:
    line = Line()
    assert "did you mean '101'?" in refusal(line, SectorFlow, "KOSDAQ")
    assert "or the sector 001, for 0J or 0U or ZH?" in refusal(line, ShortSale, "001")
    line.session.subscribe(SectorFlow, "001")
    assert line.registered() == [{"item": ["001"], "type": ["ZH"]}]


def test_an_account_type_with_a_form_takes_items_or_none() -> None:
    line = Line(US_PRODUCTION)
    assert "did you mean 'NVDA:ND'?" in refusal(line, UsDividend, "NASDAQ:NVDA")
    line.session.subscribe(UsDividend)
    line.session.subscribe(UsDividend, "NVDA:ND")


def test_a_class_in_the_place_of_an_official_one_takes_the_same_items() -> None:
    class Sector(Record, tag="0J"):
        """Has no fields."""

    session = Session(PRODUCTION, clock=ManualClock(), random=lambda: 0.5, types=[Sector])
    with pytest.raises(LocalProtocolError, match="takes the code of a sector"):
        session.subscribe(Sector, "005930")
    session.subscribe(Sector, "001")


def test_its_korean_name_is_enough_to_suggest_it() -> None:
    with pytest.raises(LocalProtocolError, match=r"did you mean 'ZA' \(MarginCall, 증거금추가납부\)\?"):
        Line().session.subscribe("증거금추가납부")


# What a class declares.


def test_a_plain_row_is_of_a_domestic_item_and_may_be_dropped() -> None:
    assert (Record.label, Record.market, Record.scope, Record.droppable) == ("", Market.DOMESTIC, Scope.ITEM, True)
    assert Record.item_form is ItemForm.ANY


def test_every_documented_type_declares_what_it_is() -> None:
    def codes(scope: Scope) -> set[str]:
        return {code for code, cls in REALTIME.items() if cls.scope is scope}

    assert codes(Scope.ACCOUNT) == {"00", "04", "F4", "F5"}
    assert codes(Scope.MARKET) == {"0s", "1h"}
    assert codes(Scope.CONDITION) == {"02", "S2"}
    assert {code for code, cls in REALTIME.items() if cls.market is Market.US} == {"F4", "F5", "FE", "FT", "S2"}
    assert {code for code, cls in REALTIME.items() if not cls.droppable} == {"00", "04", "F4", "F5", "02", "S2"}
    assert (ConditionRow.market, UsConditionRow.market) == (Market.DOMESTIC, Market.US)
    assert all(cls.label for cls in REALTIME.values())
    items = {code: cls.item_form for code, cls in REALTIME.items() if cls.item_form is not ItemForm.STOCK}
    assert items == {
        **dict.fromkeys(("00", "04", "0s", "1h", "02", "S2"), ItemForm.ANY),
        **dict.fromkeys(("0J", "0U"), ItemForm.SECTOR),
        "0I": ItemForm.GOLD_PRICE,
        **dict.fromkeys(("F4", "F5", "FE", "FT"), ItemForm.US_STOCK),
    }


def test_a_subclass_is_what_its_base_is_unless_it_says_otherwise() -> None:
    class MyOrder(OrderExecution):
        """An order of mine."""

    class Audit(OrderExecution, tag="ZD"):
        """Kept by somebody else."""

        droppable = True

    class AuditOfAll(Audit, tag="ZE"):
        """Inherits that."""

    assert (MyOrder.label, MyOrder.scope, MyOrder.droppable) == ("주문체결", Scope.ACCOUNT, False)
    assert (Audit.scope, Audit.droppable, AuditOfAll.droppable) == (Scope.ACCOUNT, True, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("label", None), ("market", "US"), ("scope", "account"), ("item_form", "stock"), ("droppable", "no")],
)
def test_what_is_no_trait_is_refused_where_the_class_is_made(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"Wrong\.{name}: must be a "):
        types.new_class("Wrong", (Record,), exec_body=lambda namespace: namespace.update({name: value}))


def test_an_annotated_trait_would_be_a_member_of_each_row_and_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Wrong\.scope: must be a Scope, without an annotation"):

        class Wrong(Record, tag="ZF"):
            scope: Scope = Scope.ACCOUNT  # type: ignore[misc]


def test_a_field_cannot_be_called_what_a_class_declares() -> None:
    with pytest.raises(TypeError, match="every Record has an attribute label"):

        class Wrong(Record, tag="ZF"):
            label = Field("302", fields.text, "이름")  # type: ignore[assignment]


class Unlike(Record, tag="00"):
    """Would have orders dropped, and restored last."""


class UnlikeUs(Record, tag="F4"):
    """Would be registered on the domestic path too."""


class Like(Record, tag="F4"):
    """Has no fields, and is otherwise the same."""

    market = Market.US
    scope = Scope.ACCOUNT


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (Unlike, "Unlike declares type '00', so it must be a subclass of OrderExecution, or declare scope = Scope.ACC"),
        (UnlikeUs, "subclass of UsOrder, or declare market = Market.US and scope = Scope.ACCOUNT"),
    ],
)
def test_a_class_that_replaces_an_official_one_and_contradicts_it_is_refused(cls: type[Record], said: str) -> None:
    with pytest.raises(LocalProtocolError, match=said):
        Session(PRODUCTION, clock=ManualClock(), random=lambda: 0.5, types=[cls])


def test_a_class_that_replaces_an_official_one_may_say_the_same_itself() -> None:
    Session(PRODUCTION, clock=ManualClock(), random=lambda: 0.5, types=[Like])


def test_rows_do_not_carry_what_their_class_declares() -> None:
    row = MarginCall("ZA", "")
    assert pickle.loads(pickle.dumps(row)) == row
    assert not {"label", "market", "scope", "item_form", "droppable"} & set(row.to_dict())
