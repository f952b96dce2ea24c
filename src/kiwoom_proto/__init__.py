"""The real-time feed and the REST API of Kiwoom Securities (키움증권), as a sans-I/O protocol core.

Nothing here opens a socket, starts a task, sleeps or reads a clock: see `kiwoom_trio` and `kiwoom_asyncio` for
connections that do.

The names that nearly every program needs are here. The others are in the module that owns them:

    kiwoom_proto.errors       every exception
    kiwoom_proto.events       everything that sessions and connections report
    kiwoom_proto.codes        what Kiwoom's return codes mean
    kiwoom_proto.auth         tokens
    kiwoom_proto.hours        trading hours, special days
    kiwoom_proto.realtime     the types, the codes of their fields (Side, ViKind ...), Level and Broker; `fields` to
                              declare a type of your own
    kiwoom_proto.wire         messages, the decoder, the WebSocket
    kiwoom_proto.connection   one connection, both ends
    kiwoom_proto.session      what outlives a connection
    kiwoom_proto.client       what the adapters' clients share
    kiwoom_proto.rest         the REST API: 306 TRs, and how they are called
    kiwoom_proto.recording    what is received, kept in files: Recorder, read_recording
    kiwoom_proto.tables       recordings as tables, in SQL
    kiwoom_proto.simulator    a simulated exchange
    kiwoom_proto.testing      virtual time, and a network that fails on demand
"""

# What lasts: a session, which makes connections as long as it is wanted.
from .session.connector import LinkNeeded, TokenNeeded
from .session.session import Session

# Connections: bytes (or messages) in and out, and one deadline.
from .connection.client import ClientConnection
from .connection.conversation import Conversation
from .connection.server import ServerConnection

# What they are told.
from .auth import AppKey
from .config import ClientConfig
from .endpoint import MOCK, PRODUCTION, US_MOCK, US_PRODUCTION, Endpoint
from .request import Request
from .secrets import Secret
from .symbol import Symbol, Venue

# What they report.
from .events import (
    Closed,
    Disconnected,
    Event,
    Gap,
    Stale,
    SystemNotice,
    UnknownMessage,
)

# Real-time rows.
from .wire.decoder import MessageDecoder
from .realtime.record import Record

# The catalogue of their types.
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

# What can go wrong.
from .errors import (
    KiwoomError,
    LocalProtocolError,
)
from .client.errors import ConnectionLost, RequestRefused

__all__ = (
    # what lasts
    "LinkNeeded",
    "Session",
    "TokenNeeded",
    # connections
    "ClientConnection",
    "Conversation",
    "ServerConnection",
    # what they are told
    "AppKey",
    "ClientConfig",
    "Endpoint",
    "MOCK",
    "PRODUCTION",
    "Request",
    "Secret",
    "Symbol",
    "US_MOCK",
    "US_PRODUCTION",
    "Venue",
    # what they report
    "Closed",
    "Disconnected",
    "Event",
    "Gap",
    "Stale",
    "SystemNotice",
    "UnknownMessage",
    # real-time rows
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
    # what can go wrong
    "ConnectionLost",
    "KiwoomError",
    "LocalProtocolError",
    "RequestRefused",
)
