"""Bars over trades as table macros, and their check against the exchange's own totals. The SQL is written by hand.

    FROM time_bars(INTERVAL '1 minute')
    FROM volume_bars(10000) WHERE item = '005930'
    FROM tick_bars(100)
    FROM bar_check(INTERVAL '1 minute') WHERE missing_volume <> 0
    FROM time_bars(INTERVAL '1 minute', sessions := ['00112233aabbccdd'])

A bar is of one item and one trading session: regular hours, after-hours trading and NXT are never mixed, since NXT has
items of its own. Times are those of the exchange. A trade's quantity has the sign of its aggressor; `volume` has none,
and `buy_volume` and `sell_volume` part it.

The feed counts volume and turnover itself, in every trade. `bar_check` compares the two: what the exchange counted
between the last trade before a bar and the last in it, and what the trades in it add up to. A trade that is missing, in
a `gap` or elsewhere, shows as `missing_volume`, in the bar of the first trade after it. What came before the first
trade of a day is unknown: there `volume_before` is NULL. The feed rounds turnover to million won, so
`turnover_before`, `turnover_after` and `missing_turnover` are in million won, and the last is a whole number.

Two recordings of the same feed have each trade twice, and nothing in a trade tells it from another just like it. So
nothing is taken for a copy: `sessions` says which recordings count, by their `session_id`. Without it all do.
"""

from __future__ import annotations

__all__ = ("BAR_MACROS", "macro_name")


def _above(parameter: str, zero: str = "0") -> str:
    """Return the SQL of a parameter that must be above zero."""
    return f"CASE WHEN {parameter} > {zero} THEN {parameter} ELSE error('{parameter}: must be above 0') END"


_KEYS = "item, symbol, symbol_venue, session"
_MOMENT = "coalesce(exchange_time, received_at)"
_DAY = f"CAST({_MOMENT} AS DATE)"

_TAKEN = "quantity <> 0 AND price IS NOT NULL AND (sessions IS NULL OR list_contains(sessions, session_id))"

# `place` puts trades in the order in which they came: those of one read have the same time. A row without a quantity or
# a price is no trade; it only carries statistics.
_TRADES = f"""(
    SELECT {_KEYS}, {_MOMENT} AS moment, {_DAY} AS day, price, quantity, abs(quantity) AS size,
        CAST(received_ns AS HUGEINT) * 1099511627776 + sequence AS place
    FROM trade WHERE {_TAKEN}
)"""

_BAR = """
    min(moment) AS first_at, max(moment) AS last_at,
    arg_min(price, place) AS open, max(price) AS high, min(price) AS low, arg_max(price, place) AS close,
    CAST(sum(size) AS BIGINT) AS volume, CAST(sum(CAST(price AS HUGEINT) * size) AS BIGINT) AS turnover,
    CAST(sum(CAST(price AS HUGEINT) * size) AS DOUBLE) / sum(size) AS vwap, count(*) AS trades,
    count(*) FILTER (WHERE quantity > 0) AS buy_trades, count(*) FILTER (WHERE quantity < 0) AS sell_trades,
    CAST(coalesce(sum(size) FILTER (WHERE quantity > 0), 0) AS BIGINT) AS buy_volume,
    CAST(coalesce(sum(size) FILTER (WHERE quantity < 0), 0) AS BIGINT) AS sell_volume
"""

# Midnight in Korea, from which bars of any length are counted.
_START = f"time_bucket({_above('width', 'INTERVAL 0 SECOND')}, moment, TIMESTAMPTZ '2000-01-03 00:00:00+09')"

_TIME_BARS = f"""
    CREATE MACRO time_bars(width, sessions := NULL) AS TABLE
    SELECT {_KEYS}, {_START} AS start_at, {_BAR} FROM {_TRADES} GROUP BY {_KEYS}, start_at ORDER BY {_KEYS}, start_at
"""


def _counted(name: str, parameter: str, number: str) -> str:
    """Return a macro of bars that end by what is in them. A trade belongs to the bar that it begins in, undivided."""
    return f"""
        CREATE MACRO {name}({parameter}, sessions := NULL) AS TABLE
        SELECT {_KEYS}, day, bar, {_BAR} FROM (SELECT *, {number} AS bar FROM {_TRADES} WINDOW before AS (
            PARTITION BY {_KEYS}, day ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )) GROUP BY {_KEYS}, day, bar ORDER BY {_KEYS}, day, bar
    """


_VOLUME_BARS = _counted(
    "volume_bars", "shares", f"CAST(sum(size) OVER before - size AS BIGINT) // ({_above('shares')}) + 1"
)
_TICK_BARS = _counted("tick_bars", "ticks", f"(row_number() OVER before - 1) // ({_above('ticks')}) + 1")

# What the exchange counts is of the whole day, whatever the trading session.
_CHECK = f"""
    CREATE MACRO bar_check(width, sessions := NULL) AS TABLE
    SELECT {_KEYS}, {_START} AS start_at, count(*) AS trades,
        CAST(sum(size) AS BIGINT) AS volume, arg_min_null(total_before, place) AS volume_before,
        arg_max(total, place) AS volume_after, CAST(sum(total - total_before - size) AS BIGINT) AS missing_volume,
        CAST(sum(CAST(price AS HUGEINT) * size) AS BIGINT) AS turnover,
        arg_min_null(money_before, place) AS turnover_before, arg_max(money, place) AS turnover_after,
        CAST(((arg_max(money, place) - arg_min_null(money_before, place)) * 1000000
            - sum(CAST(price AS HUGEINT) * size)) // 1000000 AS BIGINT) AS missing_turnover
    FROM (
        SELECT *, lag(total) OVER before AS total_before, lag(money) OVER before AS money_before FROM (
            SELECT {_KEYS}, {_MOMENT} AS moment, {_DAY} AS day, price, abs(quantity) AS size, volume AS total,
                turnover AS money, CAST(received_ns AS HUGEINT) * 1099511627776 + sequence AS place
            FROM trade WHERE {_TAKEN}
        ) WINDOW before AS (PARTITION BY item, day ORDER BY place)
    ) GROUP BY {_KEYS}, start_at ORDER BY {_KEYS}, start_at
"""

BAR_MACROS = (_TIME_BARS, _VOLUME_BARS, _TICK_BARS, _CHECK)
"""The statements that make the macros."""


def macro_name(statement: str) -> str:
    """Return the name of the macro that a statement makes."""
    return statement.split(maxsplit=2)[2].partition("(")[0]
