"""The simulated market: every type has its FIDs, its formats and its sessions, and what rows say agrees."""

from __future__ import annotations

import csv
import datetime
import json
import pathlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from tests.proto.sim import RawClient, Sim

from kiwoom_proto import LocalProtocolError, MessageDecoder, Record
from kiwoom_proto.simulator import Exchange, Market, Order
from kiwoom_proto.simulator.market.instrument import price_limits, tick_size
from kiwoom_proto.simulator.market.sessions import PHASES, SESSIONS
from kiwoom_proto.testing import ManualClock
from kiwoom_proto.wire.messages import Row, encode_rows

DATA = pathlib.Path(__file__).parent.parent / "data"
ITEM = "005930"
MORNING = datetime.time(9, 0)
NOON = datetime.time(12, 0)

Pair = tuple[str, str]
Values = dict[str, str]


def official_fids() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    with (DATA / "fields.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            found[line["type"]].append(line["fid"])
    return {type: tuple(fids) for type, fids in found.items()}


def example_fids(provenance: str) -> dict[str, tuple[str, ...]]:
    found = {}
    for line in (DATA / "messages.jsonl").read_text(encoding="utf-8").splitlines():
        example = json.loads(line)
        if example["provenance"] == provenance and example["kind"].startswith("REAL/"):
            found[example["kind"][5:]] = tuple(json.loads(example["msg"])["data"][0]["values"])
    return found


FIDS = official_fids()
MEASURED = example_fids("measured")
EXAMPLES = example_fids("official-example")
ITEMS = {
    **dict.fromkeys(("0s", "1h"), ""),
    **dict.fromkeys(("0J", "0U"), "001"),
    **dict.fromkeys(("0m", "0u"), "57JBHH"),
    **dict.fromkeys(("FE", "FT"), "NVDA:ND"),
    "0G": "069500",
    "0I": "MGD",
}
BY_THEMSELVES = [type for type in FIDS if type not in ("00", "04", "F4", "F5", "02", "S2")]
"""The types that have rows without anybody's orders or searches."""


def feed(
    pairs: Iterable[Pair], seconds: float, *, start: datetime.time = NOON, rate: float = 20, seed: int = 0
) -> list[Row]:
    """What a market tells in so many seconds of its opening."""
    market, wanted = Market(seed=seed, start=start, rate=rate), tuple(pairs)
    rows = []
    for tenth in range(int(seconds * 10)):
        rows += market.rows(tenth / 10, (tenth + 1) / 10, wanted)
    return rows


def values(rows: Iterable[Row], type: str, item: str = ITEM) -> list[Values]:
    return [dict(row.values) for row in rows if (row.type, row.item) == (type, item)]


def number(text: str) -> int:
    """A price without its direction, or a quantity."""
    return abs(int(text))


def percent(part: int, whole: int) -> Decimal:
    return (Decimal(part) * 100 / whole).quantize(Decimal("0.01"), "ROUND_HALF_UP")


@pytest.fixture(scope="module")
def busy() -> list[Row]:
    """A quarter of an hour of one stock, from the opening on, with everything that tells of it."""
    types = ("0A", "0B", "0C", "0D", "0F", "0g", "0w")
    return feed([*((type, ITEM) for type in types), ("1h", "")], 900, start=MORNING, rate=10)


# Shape.


def example_rows(type: str) -> list[Row]:
    return feed([(type, ITEMS.get(type, ITEM))], 20, rate=10)


@pytest.mark.parametrize("type", BY_THEMSELVES)
def test_rows_of_a_type_come_soon_and_have_its_fids_in_order(type: str) -> None:
    rows = example_rows(type)
    assert rows
    assert {row.type for row in rows} == {type}
    expected = MEASURED[type] if type in MEASURED else EXAMPLES[type]
    if type == "0G":  # three more are in its table than in its example
        expected = FIDS[type]
    assert {tuple(row.values) for row in rows} == {expected}
    assert set(expected) <= set(FIDS[type])
    if type != "0w":  # three of its FIDs were never seen
        assert set(expected) == set(FIDS[type])


@pytest.mark.parametrize("type", BY_THEMSELVES)
def test_rows_decode_with_nothing_lost(type: str) -> None:
    rows = example_rows(type)
    records = MessageDecoder().decode(encode_rows(rows))
    assert len(records) == len(rows)
    for record, row in zip(records, rows, strict=True):
        assert isinstance(record, Record)
        assert (record.type_code, record.item, record.name) == (type, row.item, row.name)
        assert record.fids() == row.values
        json.dumps(record.to_dict(), default=str)


def test_labels_are_those_that_were_measured() -> None:
    with (DATA / "types.csv").open(encoding="utf-8", newline="") as file:
        labels = {line["type"]: line["name_on_wire"] for line in csv.DictReader(file)}
    for type in BY_THEMSELVES:
        assert {row.name for row in example_rows(type)} == {labels[type]}


def test_what_rows_carry_as_their_item() -> None:
    items = {type: {row.item for row in example_rows(type)} for type in BY_THEMSELVES}
    assert items["0s"] == {""}
    assert items["0I"] == {"MGU"}, "MGD is registered, MGU is pushed"
    assert items["FE"] == items["FT"] == {"NVDA"}
    assert all(re.fullmatch(r"\d{6}(_AL)?", item) for item in items["1h"])
    assert items["0B"] == {ITEM}


def test_only_us_rows_name_an_exchange() -> None:
    for type in BY_THEMSELVES:
        for row in example_rows(type):
            assert row.stexTp == ("ND" if type in ("FE", "FT") else "")
            (told,) = json.loads(encode_rows([row]))["data"]
            assert list(told) == ["values", "type", "name", "item"] + (["stexTp"] if row.stexTp else [])


def test_a_us_item_may_leave_its_exchange_out() -> None:
    rows = feed([("FE", "NVDA")], 5)
    assert {(row.item, row.stexTp) for row in rows} == {("NVDA", "ND")}


def test_things_without_rows() -> None:
    nothing = [("??", ITEM), ("0B", ""), ("00", ""), ("04", ""), ("F5", "NVDA:ND"), ("02", "0"), ("0s", ITEM)]
    assert feed(nothing, 5) == []


CODES = ["005930", "005930_NX", "005930_AL", "0004V0", "00088K", "57JBHH", "M04020000"]
NO_CODES = [
    *("A005930", "A294140_AL", "233740AL", "005930_KR", "005930.KS", "KRX:005930", "5930", "0059300", "ABCDEF", "x"),
    *("005930,000660", " 005930", "005930 ", "005930_NX_AL", "005930_nx", "0004v0", "삼성전자", "０05930", "9" * 24),
    *("999999", "99000K_AL", "NVDA:NASDAQ", "nvda:ND", "NVDA:NY", "KO:ND", "001", "MGD"),
]


@pytest.mark.parametrize("item", CODES)
@pytest.mark.parametrize("type", ["0B", "0D", "0E"])
def test_what_is_spelt_as_codes_are_has_rows(type: str, item: str) -> None:
    assert {row.item for row in feed([(type, item)], 3)} == {item}


@pytest.mark.parametrize("item", NO_CODES)
def test_what_the_market_does_not_have_has_no_rows(item: str) -> None:
    domestic = ("0A", "0B", "0C", "0D", "0E", "0F", "0G", "0H", "0g", "0m", "0u", "0w")
    assert feed([(type, item) for type in (*domestic, "FE", "FT")], 5) == []


@pytest.mark.parametrize(
    ("type", "item"),
    [("0J", "1"), ("0J", "0001"), ("0U", ITEM), ("0J", "KOSPI"), ("0I", ITEM), ("0I", "XAU"), ("FE", "nvda:ND")],
)
def test_what_is_neither_sector_nor_gold_nor_a_us_stock_has_no_rows(type: str, item: str) -> None:
    assert feed([(type, item)], 5) == []


# Determinism.


MIX = [(type, ITEMS.get(type, ITEM)) for type in BY_THEMSELVES if type != "0s"]


def test_the_same_seed_gives_the_same_rows() -> None:
    assert feed(MIX, 60) == feed(MIX, 60) != feed(MIX, 60, seed=1)


def test_what_happens_to_a_stock_does_not_depend_on_what_is_looked_at() -> None:
    alone = values(feed([("0B", ITEM)], 30), "0B")
    among = feed([("0D", ITEM), ("0w", ITEM), ("0B", "000660"), ("0B", ITEM)], 30)
    assert len(alone) > 100
    assert values(among, "0B") == alone


def test_what_happens_does_not_depend_on_how_often_the_market_is_asked() -> None:
    market = Market(start=NOON, rate=20)
    rows = market.rows(0, 7.3, [("0B", ITEM)]) + market.rows(7.3, 30, [("0B", ITEM)])
    assert rows == feed([("0B", ITEM)], 30)


def test_a_stock_nobody_looks_at_stands_still() -> None:
    market = Market(start=NOON, rate=20)
    before = market.rows(0, 10, [("0D", ITEM), ("0B", ITEM)])[-1]
    market.rows(10, 500, [("0D", "000660")])
    after = market.rows(500, 510, [("0D", ITEM), ("0B", ITEM)])
    assert number(values(after, "0B")[0]["13"]) > number(before.values["13"])
    first = values(after, "0D")[0]
    assert number(first["121"]) - int(first["122"]) == number(before.values["121"])


# Sessions.


def time_of(row: Row) -> int | None:
    text = row.values.get("20") or row.values.get("21")
    return None if text is None else int(text[:2]) * 3600 + int(text[2:4]) * 60 + int(text[4:])


@pytest.mark.parametrize("start", [0, 5, 7, 8, 9, 12, 15, 16, 18, 21, 23])
def test_no_row_tells_of_a_time_outside_the_sessions_of_its_type(start: int) -> None:
    for row in feed(MIX, 300, start=datetime.time(start, 58), rate=1):
        time = time_of(row)
        assert time is None or any(begin <= time < end for begin, end in SESSIONS[row.type]), row


@pytest.mark.parametrize("type", BY_THEMSELVES)
@pytest.mark.parametrize("start", [datetime.time(3), datetime.time(12), datetime.time(16), datetime.time(23, 59, 59)])
def test_whoever_wants_one_type_need_not_wait(type: str, start: datetime.time) -> None:
    assert feed([(type, ITEMS.get(type, ITEM))], 10, start=start, rate=5)


def hours_of(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Type and hour and minute of the rows, repetitions left out."""
    told = [(row.type, (row.values.get("20") or row.values["21"])[:4]) for row in rows]
    return [now for before, now in pairwise([("", ""), *told]) if now != before]


def test_the_day_moves_on_when_nothing_that_is_wanted_has_a_session() -> None:
    market = Market(start=datetime.time(17, 59), rate=0.5)
    wanted = [("0E", ITEM), ("0D", ITEM)]
    hours = hours_of(market.rows(0, 60 + 600 + 120, wanted))
    types = {hour: type for type, hour in hours}
    assert [type for type, _ in hours] == sorted(types.values(), reverse=True)
    assert hours[0] == ("0E", "1759")
    assert types["0830"] == types["0839"] == "0E"
    assert {hour for type, hour in hours if type == "0D"} == {"0900", "0901"}


def test_time_runs_on_while_nothing_is_wanted() -> None:
    market = Market(start=datetime.time(10), rate=20)
    market.rows(0, 1, [("0B", ITEM)])
    (first, *_) = market.rows(1800, 1810, [("0B", ITEM)])
    assert first.values["20"][:4] == "1030"


def test_phases_come_at_their_times_in_order() -> None:
    rows = feed([("0s", "")], 40, start=datetime.time(7))
    told = [(row.values["20"], row.values["215"], row.values["214"]) for row in rows]
    day = [(str(datetime.timedelta(seconds=time)).zfill(8).replace(":", ""), code) for time, code, _ in PHASES]
    assert [(time, code) for time, code, _ in told][: len(day)] == day
    assert ("084000", "0", "002000") in told
    assert told[len(day)] == told[0], "the next day"


def test_a_new_day_begins_at_yesterdays_close() -> None:
    market = Market(start=datetime.time(15, 19), rate=20)
    rows = market.rows(0, 90, [("0B", ITEM)])
    days: list[list[Values]] = [[]]
    for before, after in pairwise(values(rows, "0B")):
        if after["20"] < before["20"]:
            days.append([])
        days[-1].append(after)
    yesterday, today = days
    first = today[0]
    assert first["20"] < "0901"
    assert number(first["10"]) - int(first["11"]) == number(yesterday[-1]["10"])
    assert first["16"] == first["17"] == first["18"] == first["10"]
    assert int(first["13"]) == number(first["15"])
    assert int(first["13"]) - int(first["26"]) == int(yesterday[-1]["13"])


# Prices.


@pytest.mark.parametrize(
    ("price", "tick"),
    [(1_999, 1), (2_000, 5), (4_995, 5), (5_000, 10), (20_000, 50), (50_000, 100), (200_000, 500), (500_000, 1_000)],
)
def test_tick_sizes(price: int, tick: int) -> None:
    assert tick_size(price) == tick


def test_price_limits_are_30_percent_away_cut_to_the_tick() -> None:
    assert price_limits(60_300) == (78_300, 42_300), "the official example of 0g"
    for reference in (999, 1_995, 2_300, 4_980, 14_550, 71_300, 199_900, 487_500, 1_035_000):
        upper, lower = price_limits(reference)
        assert upper % tick_size(upper) == lower % tick_size(lower) == 0
        assert 0 <= reference * 13 // 10 - upper < 2 * tick_size(upper)
        assert 0 <= lower - (reference * 7 + 9) // 10 < 2 * tick_size(reference)


def test_every_price_is_on_a_tick_inside_the_limits_and_signed_by_its_direction() -> None:
    items = [ITEM, "001250", "000660", "207940", "123450", "069500"]
    rows = feed([(type, item) for type in ("0B", "0D", "0g") for item in items], 60)
    limits = {row.item: row.values for row in rows if row.type == "0g"}
    for row in rows:
        reference = int(limits[row.item]["307"])
        upper, lower = number(limits[row.item]["305"]), number(limits[row.item]["306"])
        assert lower < reference < upper
        fids = ("10", "16", "17", "18", "27", "28") if row.type == "0B" else tuple(map(str, range(41, 61)))
        for fid in fids if row.type != "0g" else ():
            text = row.values[fid]
            price = number(text)
            if price == 0 and row.type == "0D":
                continue
            assert lower <= price <= upper
            assert price % tick_size(price, "etf" if row.item == "069500" else "stock") == 0
            sign = "+" if price > reference else "-" if price < reference else ""
            assert text == f"{sign}{price}"


def test_the_three_venues_of_a_stock_have_related_prices() -> None:
    items = [ITEM, ITEM + "_NX", ITEM + "_AL"]
    rows = feed([("0B", item) for item in items], 300)
    last: dict[str, int] = {}
    apart = []
    for row in rows:
        last[row.item] = number(row.values["10"])
        assert row.values["9081"] in {"005930": "KRX", "005930_NX": "NXT"}.get(row.item, ("KRX", "NXT"))
        if len(last) == 3:
            apart.append(max(last.values()) - min(last.values()))
    assert {row.item for row in rows} == set(items)
    assert len({tuple(values(rows, "0B", item)[0].items()) for item in items}) == 3
    assert sorted(apart)[len(apart) // 2] <= 15 * 100, "within some ticks of one another"


# Trades and the book.


def test_volume_and_turnover_add_up_from_the_trades(busy: list[Row]) -> None:
    trades = values(busy, "0B")
    assert len(trades) > 2_000
    turnover = 0
    for before, after in pairwise([{"13": "0", "1030": "0", "1031": "0", "1071": "0", "1072": "0"}, *trades]):
        quantity, price = number(after["15"]), number(after["10"])
        turnover += quantity * price
        assert int(after["13"]) == int(before["13"]) + quantity
        assert int(after["14"]) == turnover // 1_000_000
        assert int(after["620"]) == turnover // int(after["13"])
        bought = after["15"].startswith("+")
        assert int(after["1031"]) == int(before["1031"]) + (quantity if bought else 0)
        assert int(after["1030"]) == int(before["1030"]) + (0 if bought else quantity)
        assert int(after["1072"]) == int(before["1072"]) + bought
        assert int(after["1071"]) == int(before["1071"]) + (not bought)
        assert (after["1316"], after["1315"])[:: 1 if bought else -1] == (after["15"], " 0")
        assert after["1314"] == after["15"]
        assert int(after["1313"]) == (1 if bought else -1) * (quantity * price // 1000)
        assert quantity > 0


def test_trades_happen_at_the_best_prices_and_the_sign_is_the_aggressors(busy: list[Row]) -> None:
    for trade in values(busy, "0B"):
        assert trade["10"] == trade["27" if trade["15"].startswith("+") else "28"]
        assert number(trade["27"]) > number(trade["28"])


def test_price_change_and_extremes_agree(busy: list[Row]) -> None:
    (info, *_) = values(busy, "0g")
    reference = int(info["307"])
    high = low = 0
    for trade in values(busy, "0B"):
        price, change = number(trade["10"]), int(trade["11"])
        high, low = max(high, price), min(low or price, price)
        assert price - change == reference
        assert Decimal(trade["12"]) == percent(change, reference)
        assert trade["25"] == ("3" if not change else "2" if change > 0 else "5") or trade["10"] in (
            info["305"],
            info["306"],
        )
        assert (number(trade["17"]), number(trade["18"])) == (high, low)
        assert low <= number(trade["16"]) <= high
        assert trade["1890"] <= trade["20"]
        assert trade["1891"] <= trade["20"]
        sold, bought = int(trade["1030"]), int(trade["1031"])
        assert Decimal(trade["228"]) == (percent(bought, sold) if sold else 0)
        assert Decimal(trade["1032"]).copy_abs() == percent(bought, sold + bought)


def test_book_levels_stand_on_consecutive_ticks(busy: list[Row]) -> None:
    for book in values(busy, "0D")[::20]:
        prices = [number(book[str(fid)]) for fid in (*range(60, 50, -1), *range(41, 51))]
        for lower, higher in pairwise(prices):
            assert higher - lower == tick_size(lower)


def test_totals_of_the_book_are_the_sums_of_its_levels(busy: list[Row]) -> None:
    for book in values(busy, "0D"):
        asks = sum(int(book[str(fid)]) for fid in range(61, 71))
        bids = sum(int(book[str(fid)]) for fid in range(71, 81))
        assert (int(book["121"]), int(book["125"])) == (asks, bids)
        assert (int(book["128"]), int(book["138"])) == (bids - asks, asks - bids)
        assert (Decimal(book["129"]), Decimal(book["139"])) == (percent(bids, asks), percent(asks, bids))


def assert_moves_by_its_changes(books: list[Values]) -> None:
    moves = [(str(fid), str(fid + 20)) for fid in range(61, 81)] + [("121", "122"), ("125", "126")]
    for before, after in pairwise(books):
        for total, change in moves:
            assert int(after[total]) == int(before[total]) + int(after[change])


def test_every_level_moves_by_its_stated_change(busy: list[Row]) -> None:
    books = values(busy, "0D")
    assert len(books) > 5_000
    assert_moves_by_its_changes(books)


def test_every_level_of_a_us_book_moves_by_its_stated_change() -> None:
    books = values(feed([("FT", "NVDA:ND")], 120), "FT", "NVDA")
    assert len(books) > 1_000
    assert_moves_by_its_changes(books)
    assert {change for book in books for change in (book["81"], book["122"]) if not change.lstrip("+-").isdigit()} == {
        " 0"
    }


def test_best_prices_agree_between_the_book_the_trades_and_0c(busy: list[Row]) -> None:
    book: Values = {}
    best: tuple[str, str] | None = None
    checked = 0
    for row in busy:
        told = row.values
        if row.type == "0D":
            book = dict(told)
        elif row.type == "0B" and book:
            assert (told["27"], told["28"]) == (book["41"], book["51"])
            assert number(told["15"]) <= int(book["61" if told["15"].startswith("+") else "71"])
            checked += 1
        elif row.type == "0C":
            assert (told["27"], told["28"]) == (book["41"], book["51"])
            assert (told["27"], told["28"]) != best
            best = told["27"], told["28"]
        elif row.type == "0A":
            assert (number(told["27"]), number(told["28"])) == (number(book["41"]), number(book["51"]))
    assert checked > 2_000
    assert best == (book["41"], book["51"])


def test_0a_tells_what_the_last_trade_left(busy: list[Row]) -> None:
    trade: Values = {}
    told = 0
    for row in busy:
        if row.type == "0B":
            trade = dict(row.values)
        elif row.type == "0A" and trade:
            told += 1
            for fid in row.values.keys() & trade.keys() - {"27", "28"}:
                assert row.values[fid].strip() == trade[fid], fid
    assert told > 100


def test_a_combined_book_is_split_between_the_exchanges() -> None:
    books = values(feed([("0D", ITEM + "_AL")], 10), "0D", ITEM + "_AL")
    for book in books:
        for level in range(20):
            assert int(book[str(6044 + level)]) + int(book[str(6066 + level)]) == int(book[str(61 + level)])
        assert int(book["6064"]) + int(book["6086"]) == int(book["121"])
        assert int(book["6065"]) + int(book["6087"]) == int(book["125"])


# Interruptions.


def test_a_trade_10_percent_away_interrupts_the_stock_for_two_minutes() -> None:
    """A hundred stocks of which some jump."""
    items = [f"{number * 10:06}" for number in range(4_000, 4_060)]
    rows = feed([*((type, item) for type in ("0B", "0g") for item in items), ("1h", "")], 700, rate=4)
    halted: dict[str, tuple[str, str]] = {}
    seen = set()
    for row in rows:
        if row.type == "1h" and row.item in items:
            told = row.values
            static, price = int(told["1236"]), int(told["1221"])
            assert Decimal(told["1238"]) == percent(price - static, static)
            assert abs(price - static) * 10 >= static
            assert told["9069"] == ("1" if price > static else "2")
            if told["1224"] == "000000":
                assert row.item not in halted
                halted[row.item] = told["1223"], told["1221"]
                seen.add(row.item)
            else:
                begin = datetime.datetime.strptime(told["1223"], "%H%M%S")
                assert (begin + datetime.timedelta(minutes=2)).strftime("%H%M%S") == told["1224"]
                assert halted.pop(row.item) == (told["1223"], told["1221"])
        elif row.type == "0B":
            assert row.item not in halted, "nothing trades while it is interrupted"
    assert len(seen) >= 2, "the seed gives some"


@pytest.mark.parametrize("seed", [0, 1, 12, 19])
def test_the_release_is_told_when_it_is_due_and_before_trading_goes_on(seed: int) -> None:
    """At a rate at which hardly anything else happens; with some seeds another stock is interrupted meanwhile."""
    market = Market(seed=seed, start=NOON, rate=0.05)
    wanted = [("1h", ITEM), ("0B", ITEM)]
    market.rows(0, 100, wanted)
    instrument = market.stock(ITEM).instrument
    instrument.static_reference = instrument.reference * 8 // 10
    rows, told_at = [], []
    for second in range(100, 900):
        for row in market.rows(second, second + 1, wanted):
            rows.append(row)
            told_at.append(market.moment(second).text)
    begin, end = (index for index, row in enumerate(rows) if row.type == "1h")
    assert end == begin + 1
    assert rows[begin].values["1224"] == "000000"
    assert rows[begin - 1].values["10"].lstrip("+-") == rows[begin].values["1221"], "the trade that did it"
    assert (rows[end].values["9068"], rows[end].values["1224"]) == ("2", told_at[end])
    assert rows[end + 1].values["20"] >= rows[end].values["1224"]


def test_at_the_limit_the_book_ends_and_trading_goes_on() -> None:
    market = Market(start=NOON, rate=200)
    wanted = [("0B", ITEM), ("0D", ITEM)]
    market.rows(0, 0.1, wanted)
    stock = market.stock(ITEM)
    instrument = stock.instrument
    rows = []
    for tenth, limit in enumerate([instrument.upper] * 250 + [instrument.lower] * 450, 1):
        instrument.value, instrument.static_reference = limit, stock.last  # no interruptions on the way
        rows += market.rows(tenth / 10, (tenth + 1) / 10, wanted)
    trades, books = values(rows, "0B"), values(rows, "0D")
    signs = [trade["25"] for trade in trades]
    assert signs.count("1") > 10
    assert signs.count("4") > 10
    assert signs.index("1") < signs.index("4")
    assert (trades[-1]["567"] > "120000", trades[-1]["568"] > trades[-1]["567"]) == (True, True)
    for trade in trades:
        assert (trade["25"] == "1") == (trade["10"] == f"+{instrument.upper}")
        assert (trade["25"] == "4") == (trade["10"] == f"-{instrument.lower}")
    empty = [book for book in books if book["50"] == "-0"]
    assert empty, "beyond the limit there is nothing"
    assert {book["70"] for book in empty} == {"0"}
    assert_moves_by_its_changes(books)


def test_the_book_goes_on_while_a_stock_is_interrupted() -> None:
    market = Market(start=NOON, rate=20)
    market.rows(0, 1, [("0D", ITEM)])
    stock = market.stock(ITEM)
    assert stock.instrument.interrupt(stock.instrument.reference * 12 // 10, market.moment(1).stamp) is not None
    rows = market.rows(1, 119, [("0D", ITEM), ("0B", ITEM)])
    assert {row.type for row in rows} == {"0D"}
    assert {row.type for row in market.rows(119, 200, [("0D", ITEM), ("0B", ITEM)])} == {"0B", "0D"}


def test_interruptions_come_without_anybody_looking_and_are_told_twice() -> None:
    rows = feed([("1h", "")], 600, rate=2)
    told = [(row.item, row.values["1223"], row.values["1224"]) for row in rows]
    begun = [item for item, _, released in told if released == "000000"]
    assert len(begun) > 20
    assert len(told) > len(begun), "releases"
    assert begun[1::2] == [item.removesuffix("_AL") for item in begun[::2]]
    assert all(item.endswith("_AL") for item in begun[::2])


def test_1h_of_one_item_tells_of_that_item_alone() -> None:
    everything = feed([("1h", "")], 300)
    one = everything[-1].item
    assert feed([("1h", one)], 300) == [row for row in everything if row.item == one]


# The other types.


def test_program_amounts_add_up(busy: list[Row]) -> None:
    rows = values(busy, "0w")
    assert len(rows) > 500
    for row in rows:
        assert int(row["210"]) == int(row["206"]) - int(row["202"])
        assert int(row["212"]) == int(row["208"]) - int(row["204"])
    for before, after in pairwise(rows):
        assert int(after["210"]) == int(before["210"]) + int(after["211"])
        assert int(after["212"]) == int(before["212"]) + int(after["213"])
        for fid in ("202", "204", "206", "208"):
            assert int(after[fid]) >= int(before[fid])
        assert int(after["202"]) + int(after["206"]) <= int(after["13"])


def test_brokers_grow_by_their_stated_change(busy: list[Row]) -> None:
    rows = values(busy, "0F")
    assert len(rows) > 300
    followed = 0
    for before, after in pairwise(rows):
        for names, quantities, changes in ((141, 161, 166), (151, 171, 176)):
            held = {before[str(names + rank)]: int(before[str(quantities + rank)]) for rank in range(5)}
            told = [int(after[str(quantities + rank)]) for rank in range(5)]
            assert told == sorted(told, reverse=True)
            for rank in range(5):
                if (name := after[str(names + rank)]) in held:
                    followed += 1
                    assert told[rank] == held[name] + int(after[str(changes + rank)])
        for total, change in (("261", "262"), ("263", "264"), ("267", "268")):
            assert int(after[total]) == int(before[total]) + int(after[change])
        assert int(after["267"]) == int(after["263"]) - int(after["261"])
    assert followed > 2_000


def test_an_auction_moves_by_its_stated_quantity_and_comes_before_the_opening() -> None:
    market = Market(start=datetime.time(8, 59), rate=20)
    rows = market.rows(0, 120, [("0H", ITEM), ("0B", ITEM), ("0g", ITEM)])
    auction = values(rows, "0H")
    assert len(auction) > 500
    for before, after in pairwise(auction):
        assert int(after["13"]) == int(before["13"]) + int(after["15"]) > 0
    reference = int(values(rows, "0g")[0]["307"])
    for row in auction:
        assert number(row["10"]) - int(row["11"]) == reference
        assert Decimal(row["12"]) == percent(int(row["11"]), reference)
    opening = number(values(rows, "0B")[0]["10"])
    expected = number(auction[-1]["10"])
    assert abs(opening - expected) <= 5 * tick_size(expected)


def test_the_closing_auction_is_told_by_0h_and_0d_and_nothing_trades() -> None:
    rows = feed([("0H", ITEM), ("0D", ITEM), ("0B", ITEM)], 30, start=datetime.time(15, 20))
    assert {row.type for row in rows} == {"0H", "0D"}
    expected = ""
    for row in rows:
        if row.type == "0H":
            expected = row.values["10"]
        else:
            assert row.values["23"] == row.values["291"] == expected
            assert int(row.values["24"]) > 0


def test_index_and_breadth_agree() -> None:
    rows = feed([("0J", "001"), ("0U", "001")], 100)
    index, breadth = values(rows, "0J", "001"), values(rows, "0U", "001")
    assert len(index) == len(breadth) > 1_000
    for level, counts in zip(index, breadth, strict=True):
        for fid in ("10", "11", "12", "13", "14", "25"):
            assert level[fid] == counts[fid]
        rising, unchanged, falling = (int(counts[fid]) for fid in ("252", "253", "255"))
        assert rising + unchanged + falling == int(counts["256"])
        assert 0 <= int(counts["251"]) <= rising
        assert 0 <= int(counts["254"]) <= falling
        assert 0 < Decimal(counts["257"]) <= 100
    for before, after in pairwise(index):
        assert int(after["13"]) == int(before["13"]) + int(after["15"])
        price, high, low = (Decimal(after[fid]).copy_abs() for fid in ("10", "17", "18"))
        assert low <= price <= high
        assert after["10"].startswith(after["11"][0]) or after["11"] == "0.00"


def test_changes_of_gold_nav_and_the_rest_agree_with_their_prices() -> None:
    rows = feed([("0I", "MGD"), ("0G", "069500"), ("0w", "069500")], 60)
    gold, nav = values(rows, "0I", "MGU"), values(rows, "0G", "069500")
    assert len({number(row["10"]) - int(row["11"]) for row in gold}) == 1
    assert len({number(row["10"]) - int(row["11"]) for row in nav}) == 1
    for row in nav:
        change = Decimal(row["37"])
        before = Decimal(row["36"]).copy_abs() - change
        assert Decimal(row["38"]) == percent(int(change * 100), int(before * 100))


# US stocks.


def test_us_trades_add_up() -> None:
    rows = feed([("FE", "NVDA:ND"), ("FT", "NVDA:ND")], 300, start=datetime.time(22, 30))
    trades = values(rows, "FE", "NVDA")
    assert len(trades) > 2_000
    for trade in trades:
        for fid in ("10", "16", "17", "18", "27", "28"):
            assert re.fullmatch(r"[+-]?\d+\.\d{4}", trade[fid])
        assert trade["10"] == trade["27" if trade["15"].startswith("+") else "28"]
        assert trade["51020"] == f"{int(trade['20'][:2]) - 13:02}{trade['20'][2:]}"
        assert trade["22"] == "20260629"
    assert len({Decimal(trade["10"]).copy_abs() - Decimal(trade["11"]) for trade in trades}) == 1
    for before, after in pairwise(trades):
        assert int(after["13"]) == int(before["13"]) + number(after["15"])
        worth = Decimal(after["10"]).copy_abs() * number(after["15"]) / 1000
        assert abs(Decimal(after["14"]) - Decimal(before["14"]) - worth) <= Decimal("0.000001")
    book: Values = {}
    for row in rows:
        if row.type == "FT":
            book = dict(row.values)
        elif book:
            assert (row.values["27"], row.values["28"]) == (book["41"], book["51"])


def test_a_us_day_goes_on_over_midnight() -> None:
    trades = values(feed([("FE", "NVDA:ND")], 60, start=datetime.time(23, 59, 30)), "FE", "NVDA")
    assert {trade["20"][:4] for trade in trades} == {"2359", "0000"}
    assert {trade["22"] for trade in trades} == {"20260629"}
    for before, after in pairwise(trades):
        assert int(after["13"]) == int(before["13"]) + number(after["15"])


# Orders.


def account_rows(client: RawClient) -> Iterator[dict[str, Any]]:
    for message in client.take():
        if message["trnm"] == "REAL":
            yield from message["data"]


def trader(**exchange: Any) -> tuple[Sim, RawClient]:
    """A client that hears of its account."""
    sim = Sim(rate=20, start=NOON, **exchange)
    client = sim.raw()
    client.login()
    client.register("", type="00")
    client.register("", type="04")
    return sim, client


def test_a_market_order_is_taken_and_filled_to_its_quantity() -> None:
    sim, client = trader()
    order = sim.exchange.place_order("key", ITEM, "buy", 5_000)
    sim.advance(30)
    rows = list(account_rows(client))
    assert not order.is_open
    assert {(row["item"], tuple(row["values"])) for row in rows if row["type"] == "00"} == {(ITEM, MEASURED["00"])}
    assert {row["item"] for row in rows} == {ITEM}
    taken, *fills = [row["values"] for row in rows if row["type"] == "00"]
    assert (taken["913"], taken["902"], taken["911"], taken["906"]) == ("접수", "5000", "", "시장가")
    assert {fill["913"] for fill in fills} == {"체결"}
    filled = amount = 0
    for fill in fills:
        filled += int(fill["915"])
        amount += int(fill["915"]) * int(fill["914"])
        assert int(fill["911"]) == filled
        assert int(fill["902"]) == 5_000 - filled
        assert int(fill["903"]) == amount
        assert fill["9203"] == order.number == taken["9203"]
        assert fill["9201"] == order.account
    assert filled == 5_000
    assert len(fills) > 1
    balances = [row["values"] for row in rows if row["type"] == "04"]
    assert [tuple(row) for row in balances] == [FIDS["04"]] * len(fills)
    assert (balances[-1]["930"], balances[-1]["932"]) == ("5000", str(amount))
    assert balances[-1]["931"] == str(amount // 5_000)


def test_fills_are_trades_of_the_market() -> None:
    sim, client = trader()
    client.register(ITEM, type="0B")
    sim.exchange.place_order("key", ITEM, "buy", 3_000)
    sim.advance(30)
    rows = list(account_rows(client))
    filled = 0
    for before, row in pairwise(rows):
        if row["type"] == "00" and row["values"]["913"] == "체결":
            assert before["type"] == "0B"
            assert before["values"]["15"] == f"+{row['values']['915']}"
            assert before["values"]["10"].lstrip("+-") == row["values"]["914"]
            filled += int(row["values"]["915"])
    assert filled == 3_000


def test_a_resting_order_waits_for_the_market_to_come_to_it() -> None:
    sim, client = trader()
    client.register(ITEM, type="0D")
    sim.advance(1)
    best_bid = number([row for row in account_rows(client) if row["type"] == "0D"][-1]["values"]["51"])
    far = sim.exchange.place_order("key", ITEM, "buy", 10, best_bid - 4_000)
    near = sim.exchange.place_order("key", ITEM, "buy", 10, best_bid)
    sim.until(lambda: not near.is_open)
    assert (far.status, far.filled) == ("접수", 0)
    for row in account_rows(client):
        if row["type"] == "00" and row["values"]["913"] == "체결":
            assert int(row["values"]["914"]) <= best_bid


def test_a_round_trip_ends_with_nothing_and_its_profit() -> None:
    sim, client = trader()
    sim.exchange.place_order("key", ITEM, "buy", 500)
    sim.advance(10)
    sim.exchange.place_order("key", ITEM, "sell", 500)
    sim.advance(10)
    rows = list(account_rows(client))
    bought, sold = (
        sum(
            int(row["values"]["914"]) * int(row["values"]["915"])
            for row in rows
            if row["type"] == "00" and row["values"]["913"] == "체결" and row["values"]["907"] == side
        )
        for side in ("2", "1")
    )
    last = [row["values"] for row in rows if row["type"] == "04"][-1]
    assert (last["930"], last["932"], last["933"]) == ("0", "0", "0")
    assert int(last["990"]) == sold - bought


def test_selling_what_is_not_held_is_refused() -> None:
    sim, client = trader()
    order = sim.exchange.place_order("key", ITEM, "sell", 1)
    sim.advance(5)
    (row,) = account_rows(client)
    assert (row["values"]["913"], row["values"]["902"]) == ("거부", "0")
    assert row["values"]["919"] != "0"
    assert not order.is_open


@pytest.mark.parametrize("price", [71_333, 9_999_900, 100])
def test_a_price_off_the_tick_or_beyond_the_limits_is_refused(price: int) -> None:
    sim, client = trader()
    order = sim.exchange.place_order("key", ITEM, "buy", 1, price)
    sim.advance(5)
    (row,) = account_rows(client)
    assert row["values"]["913"] == "거부"
    assert not order.is_open


def test_an_account_hears_of_its_own_orders_alone() -> None:
    sim, mine = trader(tokens={"key": "mine", "other": "other"})
    other = sim.raw()
    other.login("other")
    other.register("", type="00")
    sim.exchange.place_order("other", ITEM, "buy", 1)
    sim.advance(5)
    assert list(account_rows(mine)) == []
    assert {row["values"]["913"] for row in account_rows(other)} == {"접수", "체결"}


def test_an_order_placed_after_hours_waits_for_the_morning() -> None:
    sim = Sim(rate=20, start=datetime.time(17, 59, 50))
    client = sim.raw()
    client.login()
    client.register("", type="00")
    client.register(ITEM, type="0E")
    order: Order = sim.exchange.place_order("key", ITEM, "buy", 1)
    sim.advance(5)
    assert order.status == ""
    sim.advance(620)  # the rest of 0E's session, and the one of the next morning
    times = [row["values"]["908"] for row in account_rows(client) if row["type"] == "00"]
    assert order.status == "체결"
    assert all("090000" <= time < "091000" for time in times)


def test_orders_go_on_when_nobody_is_connected() -> None:
    sim = Sim(rate=20)
    order = sim.exchange.place_order("key", ITEM, "buy", 1)
    sim.advance(5)
    assert order.status == "체결"
    assert sim.exchange.next_timeout() is None


def test_a_us_order_is_told_by_f4_and_f5() -> None:
    sim = Sim(rate=20, start=datetime.time(23))
    client = sim.raw(us=True)
    client.login()
    for type in ("F4", "F5"):
        item = {"jmcode": "NVDA", "stex_tp": "ND"}
        client.say({"trnm": "REG", "grp_no": "1", "refresh": "1", "data": [{"item": [item], "type": [type]}]})
    sim.advance(0.1)
    client.take()
    order = sim.exchange.place_order("key", "NVDA", "buy", 200, Decimal("250.1234"))
    assert order.item == "NVDA:ND"
    sim.advance(20)
    rows = list(account_rows(client))
    assert {row["type"]: tuple(row["values"]) for row in rows} == {type: EXAMPLES[type] for type in ("F4", "F5")}
    sent, taken, *fills = [row["values"] for row in rows]
    assert (sent["913"], sent["901"]) == ("주문전송", "250.1234")
    assert (taken["913"], taken["910"], taken["901"]) == ("접수", "000000000000", "0000250.1234")
    assert [int(fill["902"]) for fill in fills] == [200 - int(fill["911"]) for fill in fills]
    assert (fills[-1]["911"], fills[-1]["930"]) == ("200", "200")
    assert {row["item"] for row in rows} == {"NVDA"}
    assert re.fullmatch(r"\d{7}\.\d{4}", fills[-1]["931"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": "hold"},
        {"quantity": 0},
        {"price": -1},
        {"item": ""},
        {"price": Decimal("0.5")},
        {"item": "5930"},
        {"item": "NVDA:NY"},
        {"item": "NVDA:ND", "price": Decimal("0.00001")},
    ],
    ids=str,
)
def test_what_can_be_no_order_is_refused(wrong: dict[str, Any]) -> None:
    exchange = Exchange(clock=ManualClock())
    with pytest.raises(LocalProtocolError):
        exchange.place_order(**{"key": "key", "item": ITEM, "side": "buy", "quantity": 1, "price": 0, **wrong})


# Over the wire.


def test_us_items_are_registered_as_objects() -> None:
    sim = Sim(rate=20)
    client = sim.raw(us=True)
    client.login()
    item = {"jmcode": "AAPL", "stex_tp": "ND"}
    client.say({"trnm": "REG", "grp_no": "1", "refresh": "1", "data": [{"item": [item], "type": ["FE", "FT"]}]})
    sim.advance(2)
    rows = list(account_rows(client))
    assert {(row["type"], row["item"], row["stexTp"]) for row in rows} == {("FE", "AAPL", "ND"), ("FT", "AAPL", "ND")}


def test_rows_of_several_types_come_mixed_in_one_message() -> None:
    sim = Sim(rate=50, start=NOON)
    client = sim.raw()
    client.login()
    client.register(ITEM, type="0B")
    client.register(ITEM, type="0D")
    client.register("", type="1h")
    sim.advance(3)
    messages = [{row["type"] for row in message["data"]} for message in client.take() if message["trnm"] == "REAL"]
    assert {"0B", "0D"} in messages
    assert "1h" in set().union(*messages)
