"""Real-time rows as a program reads them: every published example, ladders, codes, and rows checked by hand."""

from __future__ import annotations

import copy
import csv
import datetime
import json
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_type

import msgspec
import pytest

from kiwoom_proto import (
    REALTIME,
    Balance,
    ConditionHit,
    ElwTheoreticalPrice,
    EtfNav,
    ExpectedTrade,
    MarketPhase,
    MessageDecoder,
    NominalPrice,
    OrderBook,
    OrderExecution,
    ProgramTrading,
    Record,
    SectorIndex,
    StockInfo,
    TopBrokers,
    Trade,
    UsConditionHit,
    UsExecution,
    UsOrder,
    UsOrderBook,
    UsTrade,
    VolatilityInterruption,
)
from kiwoom_proto.errors import FieldError, LocalProtocolError
from kiwoom_proto.realtime import (
    Broker,
    ChangeSign,
    Code,
    ConditionEvent,
    Level,
    MarketPhaseCode,
    OrderStatus,
    Side,
    TopLevels,
    TradingSession,
    UsOrderKind,
    VenueCode,
    ViKind,
    codes,
)
from kiwoom_proto.realtime import fields as kinds
from kiwoom_proto.realtime.fields import Direction
from kiwoom_proto.realtime.layout import FidStrings, NumberLayout
from kiwoom_proto.wire.messages import Row, encode_rows

DATA = Path(__file__).parents[1] / "data"
MESSAGES: list[dict[str, str]] = [
    json.loads(line) for line in (DATA / "messages.jsonl").read_text(encoding="utf-8").splitlines()
]
REAL = [example for example in MESSAGES if example["kind"].startswith("REAL/") and example["dir"] == "recv"]
with (DATA / "fields.csv").open(encoding="utf-8", newline="") as file:
    FIELDS = list(csv.DictReader(file))
EXAMPLES = [row for row in FIELDS if row["example"].strip()]

# Texts of zeros that say "none" in words of their own.
NONE_WHERE_ZERO = (kinds.clock_time, kinds.calendar_date, kinds.order_reference)


def name_of(cls: type[Record], fid: str) -> str:
    return next(name for name, field in cls.fields.items() if field.fid == fid)


def decode(text: str | bytes) -> list[Any]:
    return list(MessageDecoder().decode(text))


def record_of(type_code: str, values: dict[str, str]) -> Any:
    [record] = decode(encode_rows([Row(values, type_code, "", "005930")]))
    assert type(record) is REALTIME[type_code]
    return record


def example(type_code: str, provenance: str = "official-example") -> Any:
    """The first record of the first published example of a type."""
    found = next(one for one in REAL if one["kind"] == f"REAL/{type_code}" and one["provenance"] == provenance)
    record = decode(found["msg"])[0]
    assert type(record) is REALTIME[type_code]
    return record


def assert_read(record: Record, fid: str, text: str) -> None:
    """The field has a value of its kind, and that value says what the text says."""
    name = name_of(type(record), fid)
    field = type(record).fields[name]
    value = getattr(record, name)
    stripped = text.strip()
    if not stripped or (field.kind in NONE_WHERE_ZERO and not stripped.strip("0")):
        assert value is None
        return
    assert isinstance(value, field.kind.python_type), (name, value)
    assert not isinstance(value, float)
    if isinstance(value, Code):
        assert stripped in value.spellings
    elif isinstance(value, str):
        assert value == stripped
    elif isinstance(value, bool):
        assert value is (stripped == "Y")
    elif isinstance(value, int | Decimal):
        number = Decimal(stripped)
        assert value == (abs(number) if field.kind.directional else number)
        if field.kind.directional:
            sign = Direction(stripped[0]) if stripped[0] in "+-" else Direction.UNCHANGED
            assert record.direction(name) is sign
    elif isinstance(value, datetime.time):
        assert value.strftime("%H%M%S") == stripped
    elif isinstance(value, datetime.date):
        assert value.strftime("%Y%m%d") == stripped
    else:
        assert isinstance(value, datetime.timedelta)
        assert value == datetime.timedelta(
            hours=int(stripped[:2]), minutes=int(stripped[2:4]), seconds=int(stripped[4:])
        )


# Published examples.


@pytest.mark.parametrize("row", EXAMPLES, ids=lambda row: f"{row['type']}-{row['fid']}")
def test_the_documented_example_of_a_field_is_read_and_kept(row: dict[str, str]) -> None:
    record = record_of(row["type"], {row["fid"]: row["example"]})

    assert_read(record, row["fid"], row["example"])
    assert record.fid(row["fid"]) == row["example"]
    assert record.fids() == {row["fid"]: row["example"]}


def test_every_field_of_a_row_without_fids_is_absent() -> None:
    for type_code, cls in REALTIME.items():
        record = record_of(type_code, {})
        assert [getattr(record, name) for name in cls.fields] == [None] * len(cls.fields)


@pytest.mark.parametrize("one", REAL, ids=lambda one: f"{one['kind']} {one['provenance']}")
def test_every_published_row_is_a_record_of_its_class_with_every_value(one: dict[str, str]) -> None:
    rows = json.loads(one["msg"])["data"]
    records = decode(one["msg"])

    assert len(records) == len(rows)
    for row, record in zip(rows, records, strict=True):
        cls = REALTIME[row["type"]]
        assert type(record) is cls
        assert record.fids() == row["values"]
        for name, field in cls.fields.items():
            text = row["values"].get(field.fid)
            assert record.fid(field.fid) == text
            if text is None:
                assert getattr(record, name) is None
            else:
                assert_read(record, field.fid, text)


@pytest.mark.parametrize("one", REAL, ids=lambda one: f"{one['kind']} {one['provenance']}")
def test_every_published_row_can_be_written_as_json_shown_copied_and_pickled(one: dict[str, str]) -> None:
    for record in decode(one["msg"]):
        as_dict = record.to_dict()
        assert json.loads(json.dumps(as_dict)) == json.loads(msgspec.json.encode(as_dict))
        assert all(name in as_dict for name in type(record).fields)
        assert repr(record).startswith(f"{type(record).__name__}(")
        assert "bad text" not in repr(record)
        assert copy.deepcopy(record) == pickle.loads(pickle.dumps(record)) == record


def test_every_type_has_a_published_row() -> None:
    assert {one["kind"].removeprefix("REAL/") for one in REAL} == set(REALTIME)


# Rows checked by hand.


def test_a_measured_trade() -> None:
    trade: Trade = example("0B", "measured")

    assert trade.time == datetime.time(11, 56, 18)
    assert (trade.price, trade.direction("price")) == (257750, Direction.DOWN)
    assert (trade.change, trade.change_rate, trade.change_sign) == (-11250, Decimal("-4.18"), ChangeSign.DOWN)
    assert (trade.quantity, trade.single_sell_quantity, trade.single_buy_quantity) == (-19, -19, 0)
    assert trade.trade_value == -4897
    assert trade.quantity is not None and trade.price is not None
    assert trade.quantity * trade.price // 1000 == -4898  # thousand won: the wire cuts off towards zero
    assert trade.volume == 7198927
    assert trade.turnover == 1860588
    assert trade.turnover_change == -4167722708811
    assert trade.session is TradingSession.REGULAR
    assert trade.venue is VenueCode.KRX
    assert trade.fid("9081") == "KRX"
    assert trade.upper_limit_time is None
    assert trade.open_time == datetime.time(9, 0, 16)
    assert trade.average_price == 258453


def test_the_official_trade() -> None:
    trade: Trade = example("0B")

    assert trade.venue is VenueCode.KRX
    assert trade.fid("9081") == "1"
    assert (trade.open, trade.direction("open")) == (20850, Direction.UNCHANGED)
    assert trade.quantity == 82
    assert trade.market_cap == 17230
    assert trade.average_price is None


@pytest.mark.parametrize(
    ("type_code", "provenance"), [("0A", "official-example"), ("0B", "official-example"), ("0B", "measured")]
)
def test_the_volume_ratio_is_a_part_of_the_day_before_and_its_sign_says_less_or_more(
    type_code: str, provenance: str
) -> None:
    row: NominalPrice | Trade = example(type_code, provenance)
    assert row.volume is not None and row.volume_change is not None and row.volume_ratio is not None
    ratio = Decimal(100 * row.volume) / (row.volume - row.volume_change)

    assert abs(ratio - row.volume_ratio) < Decimal("0.02")
    assert row.direction("volume_ratio") is (Direction.UP if row.volume_change > 0 else Direction.DOWN)


def test_the_other_ratios_are_parts_too() -> None:
    trade: Trade = example("0B", "measured")
    assert trade.sell_volume is not None and trade.buy_volume is not None and trade.buy_ratio is not None
    part = Decimal(100 * trade.buy_volume) / (trade.buy_volume + trade.sell_volume)
    assert abs(part - trade.buy_ratio) < Decimal("0.01")
    assert trade.direction("buy_ratio") is Direction.DOWN

    book: OrderBook = example("0D")
    assert (book.expected_volume_ratio, book.direction("expected_volume_ratio")) == (Decimal("1.06"), Direction.DOWN)
    assert book.total_bid_quantity is not None and book.total_ask_quantity is not None
    assert book.bid_ratio == round(Decimal(100 * book.total_bid_quantity) / book.total_ask_quantity, 2)


def test_a_price_with_a_space_in_front() -> None:
    row: NominalPrice = example("0A")

    assert (row.low, row.direction("low"), row.fid("18")) == (67300, Direction.UNCHANGED, " 67300")
    assert row.turnover_change == 15843118000
    assert (row.upper_limit_time, row.lower_limit_time) == (datetime.time(15, 49, 12), None)


def test_an_expected_trade_has_the_names_of_a_trade() -> None:
    row: ExpectedTrade = example("0H")

    assert (row.price, row.direction("price")) == (60500, Direction.UP)
    assert (row.quantity, row.volume) == (-7805, 768293)


def test_the_two_expected_prices_of_an_order_book_are_told_apart() -> None:
    book: OrderBook = example("0D")

    assert (book.expected_price, book.expected_quantity) == (20850, 332941)
    assert (book.auction_expected_price, book.auction_expected_quantity) == (0, 0)
    assert book.expected_change_sign is book.auction_expected_change_sign is ChangeSign.UNCHANGED
    assert book.phase is None


def test_an_index_has_decimals_and_a_signed_change_of_volume() -> None:
    row: SectorIndex = example("0J")

    assert (row.price, row.direction("price")) == (Decimal("1762.61"), Direction.DOWN)
    assert row.change == Decimal("-189.51")
    assert row.volume_change == -1482363
    assert row.turnover == 60711859


def test_program_trading_is_in_million_won() -> None:
    row: ProgramTrading = example("0w", "measured")

    assert (row.net_buy_quantity, row.net_buy_amount) == (210001, 389807)
    assert row.net_buy_quantity_change == 37
    assert row.net_buy_amount_change == 68
    assert row.price is not None and row.net_buy_quantity is not None and row.net_buy_amount is not None
    assert 0.99 < row.price * row.net_buy_quantity / (row.net_buy_amount * 1_000_000) < 1.01
    assert row.time_to_open is None


def test_a_fund() -> None:
    row: EtfNav = example("0G")

    assert (row.nav, row.direction("nav"), row.price) == (Decimal("7488.27"), Direction.UP, 7485)
    assert (row.nav_change, row.nav_etf_deviation_rate) == (Decimal("9.57"), Decimal("-0.04"))
    assert row.elw_gearing_ratio is None


def test_an_elw() -> None:
    row: ElwTheoreticalPrice = example("0m")

    assert (row.price, row.elw_theoretical_price, row.elw_theta) == (450, Decimal(0), Decimal("0.000000"))


def test_blank_texts_of_stock_information_are_absent() -> None:
    row: StockInfo = example("0g")

    assert (row.extension, row.pre_market_extension, row.currency_unit) == ("동정적VI", None, None)
    assert (row.upper_limit_price, row.lower_limit_price, row.reference_price) == (78300, 42300, 60300)


def test_a_phase_of_the_market() -> None:
    row: MarketPhase = example("0s")

    assert row.phase is MarketPhaseCode.CLOSING_PRICE_TRADING_END
    assert row.time_to_open == datetime.timedelta(0)
    assert not row.time_to_open
    soon: MarketPhase = record_of("0s", {"215": "0", "20": "083500", "214": "002500"})
    assert soon.time_to_open == datetime.timedelta(minutes=25)
    assert soon.to_dict()["phase"] == "0"


def test_an_interruption_that_lasts() -> None:
    row: VolatilityInterruption = example("1h", "measured")

    assert (row.vi_kind, row.extra_item_1279) == (ViKind.STATIC, "+정적")
    assert (row.trigger_time, row.release_time) == (datetime.time(11, 43, 59), None)
    assert (row.trigger_price, row.static_reference_price, row.trigger_count) == (3860, 3490, 1)
    assert (row.item, row.stock_code, row.stock_name) == ("109670_AL", "109670", "씨싸이트")


def test_an_accepted_market_order() -> None:
    row: OrderExecution = example("00", "measured")

    assert (row.order_status, row.side, row.venue, row.is_sor) == (OrderStatus.ACCEPTED, Side.BUY, VenueCode.KRX, False)
    assert (row.order_number, row.original_order_number) == ("0119433", None)
    assert (row.order_kind, row.order_type) == ("+매수", "시장가")
    assert (row.order_price, row.order_quantity, row.unfilled_quantity) == (0, 1, 1)
    assert row.execution_price is row.execution_quantity is row.unit_execution_price is None
    assert (row.after_hours_price, row.loan_date) == (269000, None)
    assert row.time == datetime.time(11, 56, 39)
    assert row.account_number == "8100000001"
    assert "8100000001" not in repr(row)


def test_a_balance() -> None:
    row: Balance = example("04")

    assert (row.holding_quantity, row.purchase_price, row.purchase_amount) == (102, 154116, 15719834)
    assert (row.price, row.reference_price, row.side) == (60150, 60300, Side.BUY)
    assert row.maturity_date is None
    assert row.profit_rate == Decimal("0.00")
    assert "1111111111" not in repr(row)


def test_us_orders_and_trades() -> None:
    order: UsOrder = example("F4")
    assert (order.order_kind, order.order_status, order.side) == (UsOrderKind.NEW, OrderStatus.SENT, Side.BUY)
    assert order.fid("907") == "02"
    assert order.order_price == Decimal("198.4200")
    assert order.original_order_number is None

    execution: UsExecution = example("F5")
    assert execution.order_price == Decimal("198.4200")
    assert execution.execution_price == Decimal(0)
    assert execution.order_kind is not None
    assert (execution.order_kind.value, execution.order_kind.is_known) == ("25", False)

    trade: UsTrade = example("FE")
    assert (trade.price, trade.direction("price")) == (Decimal("198.5000"), Direction.UP)
    assert trade.turnover == Decimal("36384473.963000")
    assert (trade.date, trade.session) == (datetime.date(2026, 6, 30), "4")
    assert trade.venue_code == "ND"


def test_hits_of_a_condition_search() -> None:
    hit: ConditionHit = example("02")
    assert (hit.condition_number, hit.stock_code, hit.event) == ("4", "005930", ConditionEvent.ENTERED)

    us: UsConditionHit = example("S2")
    assert (us.condition_number, us.stock_code, us.event, us.side) == ("2", "COIN", ConditionEvent.ENTERED, Side.BUY)


# Ladders.


def test_the_ladder_of_an_order_book() -> None:
    book: OrderBook = example("0D")

    assert len(book.asks) == len(book.bids) == 10
    assert book.asks[0] == Level(20800, 82, 0)
    assert book.asks[9] == Level(21350, 1242991, 0)
    assert book.bids[0] == Level(20700, 23847, 0)
    assert book.bids[9] == Level(20250, 1062405, 0)
    assert sum(level.quantity or 0 for level in book.asks) == book.total_ask_quantity == 12622527
    assert [level.price for level in book.asks] == sorted(level.price or 0 for level in book.asks)


@pytest.mark.parametrize("type_code", ["0D", "FT"])
def test_every_level_has_the_values_of_its_own_fids(type_code: str) -> None:
    fids = [str(fid) for fid in range(41, 101)]
    book: OrderBook | UsOrderBook = record_of(type_code, {fid: f"{fid}" for fid in fids})

    assert [(level.price, level.quantity, level.change) for level in book.asks] == [
        (41 + step, 61 + step, 81 + step) for step in range(10)
    ]
    assert [(level.price, level.quantity, level.change) for level in book.bids] == [
        (51 + step, 71 + step, 91 + step) for step in range(10)
    ]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("lp_ask_quantities", 621),
        ("lp_bid_quantities", 631),
        ("krx_ask_quantities", 6044),
        ("krx_bid_quantities", 6054),
        ("nxt_ask_quantities", 6066),
        ("nxt_bid_quantities", 6076),
    ],
)
def test_the_parts_of_an_order_book(name: str, first: int) -> None:
    book = record_of("0D", {str(first + step): f"{first + step}" for step in range(9)})

    assert getattr(book, name) == (*range(first, first + 9), None)


@pytest.mark.parametrize(
    ("type_code", "name", "first"),
    [
        (type_code, name, first)
        for type_code in ("0D", "FT")
        for name, first in (
            ("ask_prices", 41),
            ("ask_quantities", 61),
            ("ask_quantity_changes", 81),
            ("bid_prices", 51),
            ("bid_quantities", 71),
            ("bid_quantity_changes", 91),
        )
    ]
    + [
        ("0F", "seller_quantities", 161),
        ("0F", "seller_quantity_changes", 166),
        ("0F", "buyer_quantities", 171),
        ("0F", "buyer_quantity_changes", 176),
    ],
)
def test_tuples_of_numbers(type_code: str, name: str, first: int) -> None:
    depth = 5 if type_code == "0F" else 10
    numbers = tuple(range(first, first + depth))
    for _ in range(20):  # what is read is learnt
        row = record_of(type_code, {str(fid): str(fid) for fid in numbers})
        assert getattr(row, name) == numbers
        assert getattr(record_of(type_code, {str(first): str(first)}), name) == (first, *(None,) * (depth - 1))


def test_tuples_of_brokers() -> None:
    row: TopBrokers = example("0F", "measured")

    assert row.seller_names == tuple(broker.name for broker in row.sellers)
    assert row.seller_codes == tuple(broker.code for broker in row.sellers)
    assert row.buyer_names == tuple(broker.name for broker in row.buyers)
    assert row.buyer_codes == tuple(broker.code for broker in row.buyers)


@pytest.mark.parametrize("levels", range(1, 11))
def test_the_first_levels(levels: int) -> None:
    for _ in range(20):
        book: OrderBook = example("0D")
        assert book.top(levels) == TopLevels(
            book.ask_prices[:levels],
            book.ask_quantities[:levels],
            book.bid_prices[:levels],
            book.bid_quantities[:levels],
        )
        us: UsOrderBook = example("FT")
        top = us.top(levels)
        assert top.ask_prices == us.ask_prices[:levels]
        assert top.bid_quantities == us.bid_quantities[:levels]
        assert len(top.ask_quantities) == len(top.bid_prices) == levels


@pytest.mark.parametrize("levels", [0, 11, -1, 2.5, "5", None])
def test_a_number_of_levels_that_there_is_not(levels: Any) -> None:
    book: OrderBook = example("0D")
    with pytest.raises(LocalProtocolError, match="levels: must be a whole number from 1 to 10, not"):
        book.top(levels)


def test_a_bad_level_is_named_by_its_field() -> None:
    for _ in range(20):
        fids = {str(fid): str(fid) for fid in range(41, 101)}
        book: OrderBook = record_of("0D", fids | {"62": "1.0"})
        for read in (OrderBook.top, lambda book, _: book.ask_quantities):
            with pytest.raises(FieldError, match="62") as raised:
                read(book, 2)
            assert (raised.value.fid, raised.value.name, raised.value.text) == ("62", "ask_quantity_2", "1.0")
        assert book.top(1).ask_quantities == (61,)  # what is not asked for does no harm
        assert book.bid_quantities == tuple(range(71, 81))


def test_only_the_numbers_asked_for_are_decoded() -> None:
    layout = NumberLayout([str(fid) for fid in range(41, 101)], {"42": True, "43": False})
    values = json.dumps({str(fid): str(fid) for fid in range(41, 101)}, separators=(",", ":")).encode()
    for _ in range(20):
        numbers = layout.decode(values)
    assert not isinstance(numbers, FidStrings)
    assert numbers.__struct_fields__ == ("f42", "f43")
    assert (numbers.f42, numbers.f43) == (42, 43)
    assert layout.decode(values.replace(b'"43":"43"', b'"43":"-43"')) is None  # its sign counts
    assert layout.decode(values.replace(b'"42":"42"', b'"42":"+42"')).f42 == -42  # its sign does not


def test_the_first_levels_follow_the_order_of_the_keys() -> None:
    fids = {str(fid): str(fid) for fid in range(41, 101)}
    for order in (list(fids), list(reversed(fids)), [*list(fids)[30:], *list(fids)[:30]]):
        for _ in range(20):
            book: OrderBook = record_of("0D", {fid: fids[fid] for fid in order})
            assert book.top(2) == TopLevels((41, 42), (61, 62), (51, 52), (71, 72))


def test_a_class_of_ones_own_has_its_own_kinds() -> None:
    class FineBook(OrderBook):
        ask_price_1 = kinds.Field("41", kinds.decimal_price, "매도호가1")  # type: ignore[assignment]

    book = FineBook("0D", "005930", values=b'{"41":"-1.5","42":"2","51":"1","61":"7","71":"8"}')
    assert book.ask_price_1 == Decimal("1.5")
    assert list(book.ask_prices[:2]) == [Decimal("1.5"), 2]
    assert list(book.top(1).ask_prices) == [Decimal("1.5")]
    assert book.top(1).bid_quantities == (8,)


def test_an_empty_level() -> None:
    book: OrderBook = record_of("0D", {"41": "-0", "61": "0", "81": "-12"})

    assert book.asks[0] == Level(0, 0, -12)
    assert book.asks[1] == Level(None, None, None)
    assert book.fid("41") == "-0"


def test_the_ladder_of_a_us_order_book() -> None:
    book: UsOrderBook = example("FT")

    assert book.asks[0] == Level(Decimal("198.5400"), 2, 0)
    assert book.bids[9] == Level(Decimal("198.3700"), 20, 0)


def test_brokers() -> None:
    row: TopBrokers = example("0F", "measured")

    assert [broker.name for broker in row.sellers] == ["KB증권", "골드만삭스", "키움증권", "삼  성", "유진투자증권"]
    assert row.sellers[1] == Broker("골드만삭스", "045", 248040, 90, "DHDB")
    assert row.buyers[4] == Broker("씨티그룹", "037", 145168, 1244, "DGDB")
    assert row.foreign_net_buy_estimate == 59064
    assert row.venue is VenueCode.KRX


def test_every_broker_has_the_values_of_its_own_fids() -> None:
    starts = {"sellers": (141, 146, 161, 166, 271), "buyers": (151, 156, 171, 176, 281)}
    row = record_of("0F", {str(fid): str(fid) for fid in range(141, 286)})

    for name, (broker, code, quantity, change, colour) in starts.items():
        assert getattr(row, name) == tuple(
            Broker(str(broker + step), str(code + step), quantity + step, change + step, str(colour + step))
            for step in range(5)
        )


def test_type_checkers_know_what_is_read() -> None:
    book: OrderBook = example("0D")
    us: UsOrderBook = example("FT")
    trade: Trade = example("0B")

    assert_type(book.asks, tuple[Level[int], ...])
    assert_type(us.bids, tuple[Level[Decimal], ...])
    assert_type(book.krx_ask_quantities, tuple[int | None, ...])
    assert_type(book.ask_prices, tuple[int | None, ...])
    assert_type(us.ask_prices, tuple[Decimal | None, ...])
    assert_type(book.top(5), TopLevels[int])
    assert_type(us.top(5).bid_prices, tuple[Decimal | None, ...])
    assert_type(book.ask_price_1, int | None)
    assert_type(trade.change_rate, Decimal | None)
    assert_type(trade.change_sign, ChangeSign | None)
    assert_type(trade.time, datetime.time | None)


# Codes.

ENUMERATIONS = [
    value
    for name in codes.__all__
    if isinstance(value := getattr(codes, name), type) and issubclass(value, Code) and value is not Code
]
MEMBERS = [member for cls in ENUMERATIONS for member in cls]


def test_there_are_enumerations() -> None:
    assert len(ENUMERATIONS) == 9
    assert len(MEMBERS) == sum(len(cls.__members__) for cls in ENUMERATIONS)  # no code listed twice


@pytest.mark.parametrize("member", MEMBERS, ids=repr)
def test_a_known_code(member: Code) -> None:
    cls = type(member)

    assert member.is_known
    assert cls(member.value) is member is getattr(cls, member.name)
    assert member == member.value == str(member) == f"{member}"
    assert all(cls(spelling) is member for spelling in member.spellings)
    assert pickle.loads(pickle.dumps(member)) is member
    assert json.loads(json.dumps(member)) == json.loads(msgspec.json.encode(member)) == member.value
    assert repr(member) == f"<{cls.__name__}.{member.name}: {member.value!r}>"


@pytest.mark.parametrize("cls", ENUMERATIONS)
@pytest.mark.parametrize("text", ["z", "", "99", "모름", " 1", "NEW"])
def test_an_unknown_code_is_kept(cls: type[Code], text: str) -> None:
    code = cls(text)

    assert type(code) is cls
    assert isinstance(code, str)
    assert (code.value, code.name, code.is_known) == (text, "UNKNOWN", False)
    assert code == cls(text) == text
    assert hash(code) == hash(cls(text)) == hash(text)
    assert code not in list(cls)
    assert all(code != member for member in cls)
    for same in (copy.copy(code), copy.deepcopy(code), *(pickle.loads(pickle.dumps(code, n)) for n in range(6))):
        assert type(same) is cls
        assert (same, same.name) == (text, "UNKNOWN")
    assert json.loads(json.dumps(code)) == json.loads(msgspec.json.encode(code)) == text
    assert repr(code) == f"<{cls.__name__}.UNKNOWN: {text!r}>"


def test_unknown_codes_are_not_remembered() -> None:
    first = MarketPhaseCode("z")

    assert MarketPhaseCode("z") is not first
    assert "z" not in MarketPhaseCode.__members__
    assert len(MarketPhaseCode) == 21


@pytest.mark.parametrize("cls", ENUMERATIONS)
@pytest.mark.parametrize("value", [1, None, b"1"])
def test_what_is_no_text_is_no_code(cls: type[Code], value: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        cls(value)


def test_codes_are_usable_in_a_match() -> None:
    def meaning(code: MarketPhaseCode | None) -> str:
        match code:
            case MarketPhaseCode.OPEN:
                return "open"
            case MarketPhaseCode(value="z"):
                return "a new one"
            case None:
                return "absent"
            case _:
                return "another"

    phases = [record_of("0s", {"215": text}).phase for text in ("3", "z", "", "4", " 3 ")]
    assert [meaning(phase) for phase in phases] == ["open", "a new one", "absent", "another", "open"]


def test_the_two_spellings_of_a_side_are_one_side() -> None:
    assert [record_of("00", {"907": text}).side for text in ("1", "01", "2", "02")] == [
        Side.SELL,
        Side.SELL,
        Side.BUY,
        Side.BUY,
    ]
    assert record_of("00", {"907": "01"}).fids() == {"907": "01"}


@pytest.mark.parametrize(
    ("text", "member"),
    [("0", VenueCode.COMBINED), ("1", VenueCode.KRX), ("KRX", VenueCode.KRX), ("NXT", VenueCode.NXT)],
)
@pytest.mark.parametrize(("type_code", "fid"), [("00", "2134"), ("0B", "9081"), ("0F", "337")])
def test_venues(type_code: str, fid: str, text: str, member: VenueCode) -> None:
    assert record_of(type_code, {fid: text}).venue is member


def test_a_row_with_an_unknown_code_is_written_as_json() -> None:
    row = record_of("0B", {"290": "7", "25": "9"})

    assert (row.to_dict()["session"], row.to_dict()["change_sign"]) == ("7", "9")
    assert "session=<TradingSession.UNKNOWN: '7'>" in repr(row)
