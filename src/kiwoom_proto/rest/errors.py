"""What can go wrong with a call, told apart by what helps.

    RestError                   the server refused, for a reason that has no class of its own
    ├── RateLimited             too many calls (1700, 1701, 1702, HTTP 429): wait, then go on
    ├── TooManyCodes            too many codes in one call (1634): it never passes
    ├── TokenRejected           the token is not good (8005, 8030, 8031 ...)
    ├── AddressRejected         the IP address or the device is not (8010, 8040, 8050, 8103)
    ├── AccountRefused          the account or order system refused (return_code 20, RC4058 ...)
    ├── InputRejected           the request is wrong (1511, 1504 ...)
    ├── NotInMock               not in mock trading (8104, RC9000)
    ├── RequestBlocked          a firewall in front of the server refused: an HTML page with HTTP 4xx
    ├── MaintenancePage         an HTML page where JSON belongs, with a status of success, or of maintenance
    ├── UnreadableReply         the answer is not what an answer should be
    ├── ServerFailed            HTTP 5xx, or "unexpected server error" (1999)
    ├── RepeatedCursor          the key of the next page was there before
    └── OrderOutcomeUnknown     nobody knows whether the order was processed
    CallCancelled               the caller took the call back

`read_failure` decides. The code inside the server's words goes before `return_code`, which is too coarse: 5 stands for
"too fast" (1700) and for "too many codes" (1634), and only the bracket tells them apart [measured]. The code goes
before the HTTP status too, which is 200 for every refusal of the business systems [measured].

An order is not processed if, and only if, `was_not_processed` says so of its error. Everything else is an
`OrderOutcomeUnknown`: see dispatcher.py.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Any, Protocol

from ..codes import Remedy, explain_code, reason_in, remedy_of
from ..display import displayed
from ..errors import KiwoomError
from ..headers import MAX_PAGE, MAX_SHOWN, describe_page, describe_redirect, read_retry_after, read_words
from ..secrets import Redaction
from ..wire.outcome import is_success, read_code, read_outcome

__all__ = (
    "AccountRefused",
    "AddressRejected",
    "AskedOrder",
    "CallCancelled",
    "InputRejected",
    "MaintenancePage",
    "NotInMock",
    "OrderOutcomeUnknown",
    "RateLimited",
    "RepeatedCursor",
    "RequestBlocked",
    "RestError",
    "ServerFailed",
    "TokenRejected",
    "TooManyCodes",
    "UnreadableReply",
    "read_failure",
    "was_not_processed",
)


class RestError(KiwoomError):
    """The server refused a call, or did not answer it as it should.

    Attributes:
        message: the server's words, masked, at most 200 characters; or what is wrong with the answer.
        code: the code inside the words, "1700" or "RC4058"; "" if there is none.
        return_code: the return code of the answer; None if it has none.
        status: the HTTP status; None if there was no answer.
        api_id: the TR that was called, "ka10004".
        retry_after: seconds to wait, as the server asks (Retry-After); None if it does not.
    """

    def __init__(
        self,
        message: str = "",
        code: str = "",
        return_code: int | None = None,
        status: int | None = None,
        api_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code, return_code, status, api_id, retry_after)
        self.message = message
        self.code = code
        self.return_code = return_code
        self.status = status
        self.api_id = api_id
        self.retry_after = retry_after

    @property
    def remedy(self) -> Remedy | None:
        """What to do: get another token, try again later, or give up; None if nobody knows."""
        return remedy_of(self.code)

    def _text(self) -> str:
        text = f"{displayed(self.api_id)}: " if self.api_id else ""
        if self.status not in (None, 200):
            text += f"HTTP {self.status}, "
        if self.code:
            text += f"code {explain_code(self.code, self.message)}"
        else:
            text += f"return_code {self.return_code}, " if self.return_code else ""
            text += displayed(self.message) or "refused without a reason"
        if self.api_id not in _SIDES or not was_not_processed(self):
            return text
        cure = ": place it again" if self.remedy in (Remedy.RENEW, Remedy.RETRY) else ""
        return f"{text}; the order was not processed{cure}"


class RateLimited(RestError):
    """Too many calls in a short time (1700, 1701, 1702, HTTP 429). The call was not processed. Wait, then go on."""

    @property
    def remedy(self) -> Remedy | None:
        """Try again later."""
        return Remedy.RETRY


class TooManyCodes(RestError):
    """Too many codes in one call (1634). It never passes: ask for fewer."""

    @property
    def remedy(self) -> Remedy | None:
        """Change the request."""
        return Remedy.STOP


class TokenRejected(RestError):
    """The server does not accept the token (8005, 8030, 8031 ...). With one of these codes it did not process the call.

    The next call gets another token, unless that is no cure: 8030 and 8031 name the wrong environment.
    """


class AddressRejected(RestError):
    """The server does not accept the IP address, or the device, that the call comes from (8010, 8040, 8050, 8103)."""


class AccountRefused(RestError):
    """The account or order system refused (return_code 20): the market is closed, the price is not on the tick ..."""


class InputRejected(RestError):
    """The request is not one that the server serves (1511, 1504 ...). The message names the parameter."""

    @property
    def remedy(self) -> Remedy | None:
        """Change the request."""
        return Remedy.STOP


class NotInMock(RestError):
    """Mock trading does not have this TR (8104, RC9000)."""

    @property
    def remedy(self) -> Remedy | None:
        """Use the production endpoint."""
        return Remedy.STOP


class RequestBlocked(RestError):
    """Something in front of the server refused: an HTML page with HTTP 4xx. The User-Agent was measured to matter."""

    @property
    def remedy(self) -> Remedy | None:
        """Nothing that a program can do."""
        return Remedy.STOP


class MaintenancePage(RestError):
    """An HTML page where JSON belongs, as during maintenance. The message is its title.

    With status 2xx that is any page [measured: 200]. With another status it is one that speaks of maintenance (점검).
    """

    @property
    def remedy(self) -> Remedy | None:
        """Try again later."""
        return Remedy.RETRY


class UnreadableReply(RestError):
    """The answer is not a JSON object, or one without any element of the TR, too long, compressed, or a redirection."""


class ServerFailed(RestError):
    """The server failed (HTTP 5xx, 1999). An order may have been processed all the same."""

    @property
    def remedy(self) -> Remedy | None:
        """Try again later."""
        return Remedy.RETRY


class RepeatedCursor(RestError):
    """The server names a next page that was there before. To go on would never end."""


class CallCancelled(KiwoomError):
    """The call was taken back by its caller, or its dispatcher was closed. It was not sent, or is a query."""


class AskedOrder(Protocol):
    """The interface that `OrderOutcomeUnknown` needs of a request. Every request of an order TR has it."""

    @property
    def api_id(self) -> str: ...
    def to_dict(self) -> dict[str, Any]: ...


_SIDES = {
    **dict.fromkeys(("kt10000", "kt10006", "kt50000", "ust20000"), "buy"),
    **dict.fromkeys(("kt10001", "kt10007", "kt50001", "ust20001"), "sell"),
    **dict.fromkeys(("kt10002", "kt10008", "kt50002", "ust20002"), "amend"),
    **dict.fromkeys(("kt10003", "kt10009", "kt50003", "ust20003"), "cancel"),
    "ust31302": "exchange",
}
_LOOK_UPS = (
    ("kt1000[0-3]", ("ka10075", "ka10076")),
    ("kt1000[6-9]", ("ka10075", "ka10076", "kt00007")),  # the last one says which orders are on credit
    ("kt5000[0-3]", ("kt50075", "kt50031")),
    ("ust2000[0-3]", ("ust21050", "ust21510")),
    ("ust31302", ("ust21100",)),
)
"""Which TRs list the open orders, and then the executions, by what an order TR is."""


class OrderOutcomeUnknown(RestError):
    """Nobody knows whether an order was processed: look it up before you send it again.

    The answer did not come, or does not say. This library never sends such an order again.

    Attributes:
        request: the order.
        window: the time, in KST, at which it was sent, and the time at which its answer was given up. It may have
            arrived a little later than that, and the clock of the server may differ from yours.
        side: "buy", "sell", "amend", "cancel" or "exchange" (of currencies); "" for a TR that is not known.
        stock_code: the stock, as the order names it; "" if it names none.
        quantity: the quantity, as the order names it; "" if it names none.
        price: the price, as the order names it; "" if it names none, as an order at market.
        original: the number of the order to amend or cancel (원주문번호); "" if it names none.
        look_up: the TRs that tell: of open orders and of executions, ("ka10075", "ka10076"), or those of gold, of US
            stocks, of exchanged currencies; () for a TR that is not known.
        __cause__: why there is no answer, or the answer that does not say.
    """

    def __init__(
        self, request: AskedOrder, window: tuple[datetime.datetime, datetime.datetime], cause: KiwoomError
    ) -> None:
        elements = request.to_dict()

        def first(*names: str) -> str:
            return next((str(elements[name]) for name in names if elements.get(name) not in (None, "")), "")

        super().__init__(str(cause), api_id=request.api_id)
        self.args = (request, window, cause)
        self.request = request
        self.window = window
        self.side = _SIDES.get(request.api_id, "")
        self.stock_code = first("stk_cd")
        self.quantity = first("ord_qty", "mdfy_qty", "cncl_qty", "fc_exmn_amt")
        self.price = first("ord_uv", "mdfy_uv")
        self.original = first("orig_ord_no")
        self.look_up = next((trs for order, trs in _LOOK_UPS if re.fullmatch(order, request.api_id)), ())
        self.__cause__ = cause

    @property
    def remedy(self) -> Remedy | None:
        """Nothing that a program can do without looking."""
        return Remedy.STOP

    def _text(self) -> str:
        terms = (
            self.side,
            self.stock_code,
            self.quantity and f"quantity {self.quantity}",
            self.price and f"price {self.price}",
            self.original and f"of order {self.original}",
        )
        order = displayed(" ".join(filter(None, terms)))
        begin, end = (f"{time:%H:%M:%S.%f}"[:-3] for time in self.window)
        look_up = f"Look it up ({', '.join(self.look_up)})" if self.look_up else "Look it up"
        return (
            f"{self.api_id}: nobody knows whether this order was processed: {order}. "
            f"{look_up} from {begin} to a little after {end} KST before you send it again. "
            f"Why: {displayed(self.message)}"
        )


_CLASSES: dict[str, type[RestError]] = {
    **dict.fromkeys(("1700", "1701", "1702"), RateLimited),
    "1634": TooManyCodes,
    **dict.fromkeys(("1501", "1504", "1505", "1511", "1512", "1513", "1514", "1515", "1516", "1517"), InputRejected),
    **dict.fromkeys(("1687", "1901", "1902", "1903"), InputRejected),
    "1999": ServerFailed,
    **dict.fromkeys(("8001", "8002", "8003", "8005", "8006", "8009", "8020", "8030", "8031"), TokenRejected),
    **dict.fromkeys(("8010", "8040", "8050", "8103"), AddressRejected),
    **dict.fromkeys(("8104", "RC9000"), NotInMock),
    "8200": AccountRefused,
}
"""By the code inside the words. Other codes with RC are AccountRefused."""
_COARSE: dict[int, type[RestError]] = {
    1: InputRejected,
    2: InputRejected,
    3: TokenRejected,
    5: RateLimited,
    7: InputRejected,
    20: AccountRefused,
}
"""By `return_code`, where the words hold no known code. 7 was seen by one source only."""
_NOT_PROCESSED = (
    RateLimited,
    TooManyCodes,
    TokenRejected,
    AddressRejected,
    AccountRefused,
    InputRejected,
    NotInMock,
)
_MAINTENANCE = re.compile("점검|maintenance", re.IGNORECASE)


def was_not_processed(error: KiwoomError) -> bool:
    """Return whether this refusal says that the call was not processed.

    A known code says so, and so do HTTP 429 and an HTML page with HTTP 4xx: the request went no further than the front
    of the server. A bare `return_code` or HTTP 4xx, or a code that nobody knows, says too little: business answers have
    HTTP 200, and no other 4xx was measured. HTTP 5xx never says so.
    """
    status = (error.status if isinstance(error, RestError) else None) or 200
    if isinstance(error, RequestBlocked | MaintenancePage):
        return status // 100 == 4
    if not isinstance(error, _NOT_PROCESSED) or status >= 500:
        return False
    return status == 429 or error.code in _CLASSES or error.code.startswith("RC")


def read_failure(
    api_id: str,
    status: int,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    redaction: Redaction | None = None,
) -> RestError | None:
    """Return what is wrong with an answer; None if it is a JSON object that says success. Raises nothing.

    What counts as success is in `outcome`.

    Args:
        api_id: the TR that was called.
        status: the HTTP status.
        headers: names and values.
        body: the body.
        redaction: what to mask in the server's words, beside account numbers and opaque words.
    """
    headers = list(headers)
    outcome = read_outcome(body)
    if outcome is None:
        cls, words = _describe_other(status, headers, body)
        number, code = None, ""
    else:
        number = read_code(outcome.return_code)
        succeeded = is_success(outcome.return_code)
        if succeeded and status // 100 == 2:
            return None
        words = outcome.return_msg if isinstance(outcome.return_msg, str) else ""
        code = reason_in(words) or (str(number) if str(number) in _CLASSES else "")
        cls = _class_of(status, number, code)
        if number is None and not succeeded:
            cls, words, code = UnreadableReply, "the return_code is not a number", ""
        words = words or read_words(body)
    if status // 100 == 3 and not code:
        words = describe_redirect(headers)
    masked = (Redaction() if redaction is None else redaction).words(words)[:MAX_SHOWN]
    return cls(masked, code, number, status, api_id, read_retry_after(headers))


def _class_of(status: int, number: int | None, code: str) -> type[RestError]:
    """Return the class of a refusal in JSON."""
    cls = _CLASSES.get(code) or (AccountRefused if code.startswith("RC") else None)
    if cls is None and status < 500 and status != 429:
        cls = _COARSE.get(number or 0)
    return cls or _class_of_status(status)


def _describe_other(status: int, headers: list[tuple[str, str]], body: bytes) -> tuple[type[RestError], str]:
    """Return the class, and the words, for an answer that is not a JSON object."""
    page = None if status // 100 == 3 else describe_page(headers, body)
    if page is not None:
        title = f"an HTML page where JSON belongs: {page}" if page else "an HTML page where JSON belongs"
        if status not in (408, 429) and (status // 100 == 2 or _tells_maintenance(body)):
            return MaintenancePage, title
        if status // 100 == 4 and status not in (408, 429):
            return RequestBlocked, title
        return _class_of_status(status), title
    if status // 100 == 2:
        return UnreadableReply, "the answer is not a JSON object"
    return _class_of_status(status), read_words(body)


def _tells_maintenance(page: bytes) -> bool:
    """Return whether the beginning of a page speaks of maintenance, in either encoding that Korean pages have."""
    begin = page[:MAX_PAGE]
    return any(_MAINTENANCE.search(begin.decode(encoding, errors="replace")) for encoding in ("utf-8", "cp949"))


def _class_of_status(status: int) -> type[RestError]:
    if status == 429:
        return RateLimited
    if status == 401:
        return TokenRejected
    if status >= 500 or status == 408:  # the server did not wait for the request
        return ServerFailed
    if status // 100 == 4:
        return InputRejected
    return RestError if status // 100 == 2 else UnreadableReply
