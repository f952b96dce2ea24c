"""The REST API of Kiwoom Securities: 306 TRs, a class for the request and one for the reply of each. No I/O.

    from kiwoom_proto import rest

    request = rest.StockQuote(stk_cd="005930")      # checked at once; rest.CATALOGUE["ka10004"] is the same class
    request.api_id, request.path, request.to_json()  # what is posted
    reply = request.decode(body)                    # the answer's body
    reply.buy_fpr_bid, reply.direction("buy_fpr_bid"), reply.element("buy_fpr_bid")

Names of elements are those of Kiwoom's documents. The class of a TR is loaded when it is first used, so importing this
package costs nothing for the TRs that a program does not use. The rules: `request` (what is checked), `kinds` (how a
text becomes a value) and `reply` (what is decoded when).
"""

# Type checkers read __init__.pyi, which is generated: the names of the TRs exist when they are first used.

from __future__ import annotations

from typing import Any

from . import tr
from .catalogue import CATALOGUE
from .elements import Element
from .errors import (
    AccountRefused,
    AddressRejected,
    CallCancelled,
    InputRejected,
    MaintenancePage,
    NotInMock,
    OrderOutcomeUnknown,
    RateLimited,
    RepeatedCursor,
    RequestBlocked,
    RestError,
    ServerFailed,
    TokenRejected,
    TooManyCodes,
    UnreadableReply,
)
from .reply import ListReply, Reply, Row
from .request import Parameter, Request

__all__ = (
    # Requests and replies.
    "CATALOGUE",
    "Element",
    "ListReply",
    "Parameter",
    "Reply",
    "Request",
    "Row",
    # What can go wrong with a call.
    "AccountRefused",
    "AddressRejected",
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
)


def __getattr__(name: str) -> Any:
    value = getattr(tr, name, None)
    if value is None:
        from .catalogue import nearest  # not at the top, where it would be a name of this package

        hint = "" if name.startswith("_") else nearest(name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *tr.CLASSES.values()})
