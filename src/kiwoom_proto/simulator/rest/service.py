"""RestService: answers the requests of TRs over HTTP.

The checks come in this order: api-id, path, token, rate limit, parameters. A TR that exists and is not served here is
refused with the code of one that does not exist, on mock trading with 8104 if mock trading lacks it. Every business
answer has HTTP status 200, refusals too; the outcome is return_code in the body [measured]. Only a request that is too
fast has 429.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from ...errors import UNREADABLE
from ...rest import CATALOGUE
from ...wire.messages import encode
from ..faults import Faults, RestAnswer
from ..market.market import Market
from ..tokens import MAINTENANCE
from . import account, charts, market_wide, orders, quotes, stocks, summaries, us, us_account
from .call import Call, Reply, Tr
from .http import JSON, TEXT, HttpAnswer, HttpRequest
from .limits import RateLimits, Window
from .link import Outcome
from .texts import (
    BAD_AUTHORIZATION,
    BAD_TOKEN,
    NO_API_ID,
    NO_AUTHORIZATION,
    NO_TOKEN,
    NOT_IN_MOCK,
    NOT_JSON,
    PLAYBACK,
    Refused,
    not_served,
    too_fast,
    unknown_id,
    wrong_url,
)

__all__ = ("LIMIT", "MOCK_LIMIT", "TRS", "RestService")

LIMIT, MOCK_LIMIT = 5, 1
"""Requests per second of an app key and api-id [measured]."""
KEPT_FOR = 60.0
"""Seconds for which the market keeps going what was asked for."""

_STOCKS, _QUOTES, _CHARTS, _SECTORS, _ORDERS, _ACCOUNT = (
    f"/api/dostk/{name}" for name in ("stkinfo", "mrkcond", "chart", "sect", "ordr", "acnt")
)
_RANKS, _ETF, _ELW = (f"/api/dostk/{name}" for name in ("rkinfo", "etf", "elw"))
_US_QUOTES, _US_ACCOUNT = "/api/us/mrkcond", "/api/us/acnt"
_INTERRUPTIONS = ("mrkt_tp", "bf_mkrt_tp", "motn_tp", "skip_stk", "trde_qty_tp", "trde_prica_tp", "motn_drc", "stex_tp")
_PLACE = ("dmst_stex_tp", "stk_cd", "ord_qty", "trde_tp")
_WITHDRAW = ("dmst_stex_tp", "orig_ord_no", "stk_cd")

TRS: Mapping[str, Tr] = MappingProxyType(
    {
        "ka10001": Tr(_STOCKS, stocks.basics, ("stk_cd",)),
        "ka10003": Tr(_STOCKS, quotes.trades, ("stk_cd",)),
        "ka10004": Tr(_QUOTES, quotes.order_book, ("stk_cd",)),
        "ka10040": Tr(_RANKS, summaries.brokers, ("stk_cd",)),
        "ka10054": Tr(_STOCKS, market_wide.interruptions, _INTERRUPTIONS),
        "ka10079": Tr(_CHARTS, charts.ticks, ("stk_cd", "tic_scope", "upd_stkpc_tp")),
        "ka10080": Tr(_CHARTS, charts.minutes, ("stk_cd", "tic_scope", "upd_stkpc_tp")),
        "ka10081": Tr(_CHARTS, charts.days, ("stk_cd", "base_dt", "upd_stkpc_tp")),
        "ka10087": Tr(_QUOTES, quotes.after_hours, ("stk_cd",)),
        "ka10095": Tr(_STOCKS, stocks.several, ("stk_cd",)),
        "ka10099": Tr(_STOCKS, stocks.listing, ("mrkt_tp",)),
        "ka10100": Tr(_STOCKS, stocks.one_listing, ("stk_cd",)),
        "ka20001": Tr(_SECTORS, market_wide.index, ("mrkt_tp", "inds_cd")),
        "ka20003": Tr(_SECTORS, market_wide.indices, ("inds_cd",)),
        "ka30012": Tr(_ELW, summaries.elw, ("stk_cd",)),
        "ka40009": Tr(_ETF, summaries.etf, ("stk_cd",)),
        "ka90008": Tr(_QUOTES, summaries.programs, ("amt_qty_tp", "stk_cd", "date")),
        "usa20100": Tr(_US_QUOTES, us.state, ("stex_tp", "stk_cd")),
        "usa20101": Tr(_US_QUOTES, us.quote, ("stex_tp", "stk_cd")),
        "kt10000": Tr(_ORDERS, orders.buy, _PLACE, order=True),
        "kt10001": Tr(_ORDERS, orders.sell, _PLACE, order=True),
        "kt10002": Tr(_ORDERS, orders.amend, (*_WITHDRAW, "mdfy_qty", "mdfy_uv"), order=True),
        "kt10003": Tr(_ORDERS, orders.cancel, (*_WITHDRAW, "cncl_qty"), order=True),
        "ka00001": Tr(_ACCOUNT, account.account_number),
        "ka10075": Tr(_ACCOUNT, account.open_orders, ("all_stk_tp", "trde_tp", "stex_tp")),
        "ka10076": Tr(_ACCOUNT, account.fills, ("qry_tp", "sell_tp", "stex_tp")),
        "kt00001": Tr(_ACCOUNT, account.cash, ("qry_tp",)),
        "kt00004": Tr(_ACCOUNT, account.evaluation, ("qry_tp", "dmst_stex_tp")),
        "kt00007": Tr(_ACCOUNT, account.order_history, ("qry_tp", "stk_bond_tp", "sell_tp", "dmst_stex_tp")),
        "kt00018": Tr(_ACCOUNT, account.holdings, ("qry_tp", "dmst_stex_tp")),
        "ust21050": Tr(_US_ACCOUNT, us_account.open_orders),
        "ust21070": Tr(_US_ACCOUNT, us_account.holdings),
        "ust21510": Tr(_US_ACCOUNT, us_account.executions),
    }
)
"""api-id -> the TR, for each one that is served."""

FAILED = HttpAnswer(500, TEXT, b"")
NO_ANSWER = HttpAnswer(500, TEXT, b"")
"""Stands for the answer of a request that gets none."""
_any = msgspec.json.Decoder()


class RestService:
    """Answers requests.

    Args:
        market: the market.
        key_of: returns the app key of a token, or None.
        now: returns the time in seconds, for the limits.
        market_now: returns the seconds of market time since the exchange was opened.
        speed: how many times as fast as real time the market day passes.
        faults: the faults in effect.
        mock: whether it behaves as mock trading does.
        limit: requests per second of an app key and api-id.
        window: how they are counted.

    Attributes:
        limits: counts the requests.
        orders_processed: number of orders (amendments and cancellations included) that were carried out.
        is_on: whether there is a market to ask. Otherwise every TR is refused.
    """

    def __init__(
        self,
        market: Market,
        *,
        key_of: Callable[[object], str | None],
        now: Callable[[], float],
        market_now: Callable[[], float],
        speed: float,
        faults: Faults,
        mock: bool,
        limit: int,
        window: Window,
    ) -> None:
        self.limits = RateLimits(limit, window)
        self.orders_processed = 0
        self.is_on = True
        self._faults = faults
        self._mock = mock
        self._market = market
        self._key_of = key_of
        self._now = now
        self._market_now = market_now
        self._kept_for = KEPT_FOR * speed

    def respond(self, request: HttpRequest) -> Outcome:
        """Return what becomes of a request with the faults in effect, and carry it out."""
        faults = self._faults
        how, cut = faults.take_rest()
        if cut == "before":
            return Outcome(NO_ANSWER, faults.rest_delay, cut)
        answer = self._faulty(how, request) or self._answer(request)
        if how == "failed_after":
            answer = FAILED
        return Outcome(_compressed(answer) if faults.rest_gzip else answer, faults.rest_delay, cut)

    def _faulty(self, how: RestAnswer, request: HttpRequest) -> HttpAnswer | None:
        """Return the answer to a request that a fault keeps from being carried out, or None."""
        api_id = request.headers.get("api-id", "").strip()
        match how:
            case "html":
                return HttpAnswer(200, "text/html;charset=UTF-8", MAINTENANCE.encode())
            case "failed":
                return FAILED
            case "too_many":
                return _refusal(api_id, Refused(*too_fast(api_id, self.limits.limit), 429))
            case "token":
                return _refusal(api_id, Refused(*BAD_TOKEN))
        return None

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        api_id = request.headers.get("api-id", "").strip()
        try:
            reply = self._reply(api_id, request)
        except Refused as refused:
            return _refusal(api_id, refused)
        members = {**reply.members, "return_code": 0, "return_msg": reply.message}
        next_key = reply.next_key
        if self._faults.repeat_next_key and next_key:
            next_key = request.headers.get("next-key", "").strip() or next_key
        return HttpAnswer(200, JSON, encode(members), headers=_headers(api_id, next_key))

    def _reply(self, api_id: str, request: HttpRequest) -> Reply:
        if not api_id:
            raise Refused(*NO_API_ID)
        known = CATALOGUE.get(api_id)
        if known is None:
            raise Refused(*unknown_id(api_id[:20]))
        if request.path != known.path:
            raise Refused(*wrong_url(api_id))
        key = self._key(request.headers)
        tr = TRS.get(api_id)
        if tr is None:
            raise Refused(*(NOT_IN_MOCK if self._mock and known.mock is False else not_served(api_id)))
        if not self.is_on:
            raise Refused(*PLAYBACK)
        if not self.limits.take(key, api_id, self._now()):
            raise Refused(*too_fast(api_id, self.limits.limit), 429)
        now = self._market_now()
        call = Call(
            api_id,
            key,
            _members(request.body),
            request.headers.get("next-key", "").strip() if request.headers.get("cont-yn", "").strip() == "Y" else "",
            self._market,
            self._market.moment(now),
            lambda type, item: self._market.keep((type, item), now + self._kept_for),
        )
        call.need(tr.required)
        reply = tr.handle(call)
        self.orders_processed += tr.order
        return reply

    def _key(self, headers: Mapping[str, str]) -> str:
        text = headers.get("authorization")
        if text is None:
            raise Refused(*NO_AUTHORIZATION)
        scheme, _, token = text.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise Refused(*BAD_AUTHORIZATION)
        if not token.strip():
            raise Refused(*NO_TOKEN)
        key = self._key_of(token.strip())
        if key is None:
            raise Refused(*BAD_TOKEN)
        return key


def _refusal(api_id: str, refused: Refused) -> HttpAnswer:
    members = {"return_code": refused.code, "return_msg": refused.message}
    return HttpAnswer(refused.status, JSON, encode(members), headers=_headers(api_id, ""))


def _members(body: bytes) -> dict[str, Any]:
    try:
        members = _any.decode(body or b"{}")
    except UNREADABLE:
        members = None
    if not isinstance(members, dict):
        raise Refused(*NOT_JSON)
    return members


def _headers(api_id: str, next_key: str) -> tuple[tuple[str, str], ...]:
    shown = api_id if api_id in TRS else ""
    return ("api-id", shown), ("cont-yn", "Y" if next_key else "N"), ("next-key", next_key)


def _compressed(answer: HttpAnswer) -> HttpAnswer:
    """Return the answer with its body compressed."""
    headers = *answer.headers, ("Content-Encoding", "gzip")
    return answer._replace(body=gzip.compress(answer.body, mtime=0), headers=headers)
