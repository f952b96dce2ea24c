"""The life of a connection, as tables.

Rules
* A connection is in one state of `ConnectionState`. Only a `Trigger` moves it, and only as `TRANSITIONS` says.
* Each state but CLOSED has one deadline, `PHASE`. Expiry of any of them ends the connection.
* Each reply is legal in the states that `LEGAL` lists. Out of place it is reported as `UnknownMessage` and otherwise
  ignored.

    CONNECTING --opened--> LOGGING_IN --logged in--> READY
         \\                      |                      |
          \\                     +----close started-----+
           \\                    v
            +----ended--->    CLOSED  <---ended---  CLOSING

How to think of it: a state says who may speak. While CONNECTING nobody does. While LOGGING_IN the client has sent its
LOGIN, and only the server speaks. When READY both do. When CLOSING both are still heard, until the stream ends.

What does not fit the tables
* The server answers messages that came too early before it answers the LOGIN [measured]. So a reply to a REG while
  LOGGING_IN does not end the connection, although it is illegal there.
* A reply to a REG or REMOVE that nobody asked for, in the state where it is legal, does end it: replies carry no id, so
  every later one would be credited to the wrong request. See `requests`.
* The deadline of READY moves with every sign of life, and pings of ours divide it. See `conversation`.
* `close` in CONNECTING skips CLOSING: no WebSocket is open that could be closed.

The server's end obeys the same tables, but for LEGAL.
"""

from __future__ import annotations

import enum

from ..wire.messages import KIND_OF

__all__ = (
    "CLOSED",
    "CLOSING",
    "CONNECTING",
    "LEGAL",
    "LOGGING_IN",
    "PHASE",
    "READY",
    "TRANSITIONS",
    "ConnectionState",
    "Trigger",
)


class ConnectionState(enum.Enum):
    """The states of a connection."""

    CONNECTING = "connecting"
    """Until the WebSocket is open."""
    LOGGING_IN = "logging in"
    """LOGIN was sent and has not been answered."""
    READY = "ready"
    """Logged in."""
    CLOSING = "closing"
    """The closing handshake has begun."""
    CLOSED = "closed"
    """Ended."""


CONNECTING, LOGGING_IN, READY, CLOSING, CLOSED = ConnectionState


class Trigger(enum.Enum):
    """What moves a connection from one state to the next."""

    OPENED = "opened"
    LOGGED_IN = "logged in"
    CLOSE_STARTED = "close started"
    ENDED = "ended"


TRANSITIONS: dict[ConnectionState, dict[Trigger, ConnectionState]] = {
    CONNECTING: {Trigger.OPENED: LOGGING_IN, Trigger.ENDED: CLOSED},
    LOGGING_IN: {Trigger.LOGGED_IN: READY, Trigger.CLOSE_STARTED: CLOSING, Trigger.ENDED: CLOSED},
    READY: {Trigger.CLOSE_STARTED: CLOSING, Trigger.ENDED: CLOSED},
    CLOSING: {Trigger.ENDED: CLOSED},
    CLOSED: {},
}

PHASE = {CONNECTING: "open", LOGGING_IN: "login", READY: "idle", CLOSING: "close"}
"""The deadline that runs in each state: `ClientConfig.<phase>_timeout`."""

LEGAL = {"LOGIN": {LOGGING_IN}} | {trnm: {READY, CLOSING} for trnm in KIND_OF}
"""The states in which each reply is expected."""
