"""The Kiwoom Securities (키움증권) real-time feed, as a sans-I/O protocol core.

Nothing here opens a socket, starts a task, sleeps or reads a clock: see `kiwoom_trio` and `kiwoom_asyncio` for
connections that do.
"""

# What lasts: a session, which makes connections as long as it is wanted.
from .session.session import LinkNeeded, Need, Session, SessionState, TokenNeeded
from .session.subscriptions import Subscription, SubscriptionState

# Connections: bytes (or messages) in and out, and one deadline.
from .connection.client import ClientConnection, MessageConnection
from .connection.conversation import ConnectionState
from .connection.server import ClientOpened, PingAnswered, RequestReceived, ServerConnection, ServerRequest

# What they are told.
from .auth import AppKey, Token, TokenCall
from .config import ClientConfig, ServerConfig
from .endpoint import MOCK, PRODUCTION, US_MOCK, US_PRODUCTION, Endpoint
from .headers import RequestHeader, ResponseHeader
from .wire.messages import ConditionRequest, Element, Ping, Reg, Remove, Reply, Row, UsItem
from .connection.requests import Request
from .secrets import Secret
from .symbol import Symbol, Venue

# What they report.
from .realtime.conditions import Condition, ConditionRow, UsConditionRow
from .events import (
    Closed,
    ConditionList,
    ConditionResult,
    Connecting,
    Disconnected,
    Event,
    Gap,
    LoggedIn,
    LoginRejected,
    Opened,
    RequestAccepted,
    RequestRejected,
    RequestUnanswered,
    Stale,
    SystemNotice,
    UnknownMessage,
)
from .client.inbox import Stats

# Real-time rows.
from .wire.decoder import MessageDecoder
from .realtime.fields import Direction, Field
from .realtime.record import KST, Record

# The catalogue of their types, what their codes mean, and the steps of their ladders.
from .realtime import (
    REALTIME,
    AfterHoursQuote,
    Balance,
    BestQuote,
    ConditionHit,
    ElwIndicator,
    ElwTheoreticalPrice,
    EtfNav,
    ExpectedTrade,
    InternationalGoldPrice,
    MarketPhase,
    NominalPrice,
    OrderBook,
    OrderExecution,
    ProgramTrading,
    SectorBreadth,
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
from .realtime.codes import (
    ChangeSign,
    Code,
    ConditionEvent,
    MarketPhaseCode,
    OrderStatus,
    Side,
    TradingSession,
    UsOrderKind,
    VenueCode,
    ViKind,
)
from .realtime.levels import Broker, Level

# What can go wrong.
from .codes import RETURN_CODES, ReturnCode, explain_code
from .errors import (
    BufferOverflow,
    ClosedByPeer,
    ConnectionLost,
    DeadlineExceeded,
    FieldError,
    HandshakeError,
    KiwoomError,
    LocalProtocolError,
    LoginRefused,
    QuotaExceeded,
    RemoteProtocolError,
    RequestRefused,
    RequestTimeout,
    TakenOver,
    TokenError,
    TokenRefused,
    TransportError,
)

__all__ = (
    # what lasts
    "LinkNeeded",
    "Need",
    "Session",
    "SessionState",
    "Subscription",
    "SubscriptionState",
    "TokenNeeded",
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
    "AppKey",
    "ClientConfig",
    "ConditionRequest",
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
    "Secret",
    "ServerConfig",
    "Symbol",
    "Token",
    "TokenCall",
    "US_MOCK",
    "US_PRODUCTION",
    "UsItem",
    "Venue",
    # what they report
    "Closed",
    "Condition",
    "ConditionList",
    "ConditionResult",
    "Connecting",
    "Disconnected",
    "ConditionRow",
    "Event",
    "Gap",
    "LoggedIn",
    "LoginRejected",
    "Opened",
    "RequestAccepted",
    "RequestRejected",
    "RequestUnanswered",
    "Stale",
    "Stats",
    "SystemNotice",
    "UnknownMessage",
    "UsConditionRow",
    # real-time rows
    "Direction",
    "Field",
    "KST",
    "MessageDecoder",
    "Record",
    # the catalogue of their types
    "AfterHoursQuote",
    "Balance",
    "BestQuote",
    "ConditionHit",
    "ElwIndicator",
    "ElwTheoreticalPrice",
    "EtfNav",
    "ExpectedTrade",
    "InternationalGoldPrice",
    "MarketPhase",
    "NominalPrice",
    "OrderBook",
    "OrderExecution",
    "ProgramTrading",
    "REALTIME",
    "SectorBreadth",
    "SectorIndex",
    "StockInfo",
    "TopBrokers",
    "Trade",
    "UsConditionHit",
    "UsExecution",
    "UsOrder",
    "UsOrderBook",
    "UsTrade",
    "VolatilityInterruption",
    # what their codes mean
    "ChangeSign",
    "Code",
    "ConditionEvent",
    "MarketPhaseCode",
    "OrderStatus",
    "Side",
    "TradingSession",
    "UsOrderKind",
    "VenueCode",
    "ViKind",
    # the steps of their ladders
    "Broker",
    "Level",
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
    "QuotaExceeded",
    "RETURN_CODES",
    "RemoteProtocolError",
    "RequestRefused",
    "RequestTimeout",
    "ReturnCode",
    "TakenOver",
    "TokenError",
    "TokenRefused",
    "TransportError",
    "explain_code",
)
