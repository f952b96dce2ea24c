"""The Kiwoom Securities (키움증권) real-time feed, as a sans-I/O protocol core.

Nothing here opens a socket, starts a task, sleeps or reads a clock: see `kiwoom_trio` and `kiwoom_asyncio` for
connections that do.
"""

# Connections: bytes (or messages) in and out, and one deadline.
from .connection import ClientConnection, MessageConnection
from .conversation import ConnectionState
from .server import (
    ClientOpened,
    PingAnswered,
    RequestReceived,
    ServerConnection,
    ServerRequest,
)

# What they are told.
from .config import ClientConfig, ServerConfig
from .endpoint import MOCK, PRODUCTION, US_MOCK, US_PRODUCTION, Endpoint
from .headers import RequestHeader, ResponseHeader
from .messages import Element, Ping, Reg, Remove, Reply, Row
from .requests import Request
from .symbol import Symbol, Venue

# What they report.
from .events import (
    Closed,
    Event,
    LoggedIn,
    LoginRejected,
    Opened,
    RequestAccepted,
    RequestRejected,
    SystemNotice,
    UnknownMessage,
)

# Real-time rows.
from .decoder import MessageDecoder
from .fields import Direction, Field
from .realtime import REALTIME, AfterHoursQuote
from .record import KST, Record

# What can go wrong.
from .errors import (
    RETURN_CODES,
    BufferOverflow,
    ClosedByPeer,
    ConnectionLost,
    DeadlineExceeded,
    FieldError,
    HandshakeError,
    KiwoomError,
    LocalProtocolError,
    LoginRefused,
    RemoteProtocolError,
    RequestRefused,
    ReturnCode,
    TransportError,
    explain_code,
)

__all__ = (
    # connections
    "ClientConnection",
    "ClientOpened",
    "ConnectionState",
    "MessageConnection",
    "PingAnswered",
    "RequestReceived",
    "ServerConnection",
    "ServerRequest",
    # what they are told
    "ClientConfig",
    "Element",
    "Endpoint",
    "MOCK",
    "PRODUCTION",
    "Ping",
    "Reg",
    "Remove",
    "Reply",
    "Request",
    "RequestHeader",
    "ResponseHeader",
    "Row",
    "ServerConfig",
    "Symbol",
    "US_MOCK",
    "US_PRODUCTION",
    "Venue",
    # what they report
    "Closed",
    "Event",
    "LoggedIn",
    "LoginRejected",
    "Opened",
    "RequestAccepted",
    "RequestRejected",
    "SystemNotice",
    "UnknownMessage",
    # real-time rows
    "AfterHoursQuote",
    "Direction",
    "Field",
    "KST",
    "MessageDecoder",
    "REALTIME",
    "Record",
    # what can go wrong
    "BufferOverflow",
    "ClosedByPeer",
    "ConnectionLost",
    "DeadlineExceeded",
    "FieldError",
    "HandshakeError",
    "KiwoomError",
    "LocalProtocolError",
    "LoginRefused",
    "RETURN_CODES",
    "RemoteProtocolError",
    "RequestRefused",
    "ReturnCode",
    "TransportError",
    "explain_code",
)
