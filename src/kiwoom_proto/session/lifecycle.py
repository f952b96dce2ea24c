"""The states of a session and of its subscriptions, and what moves a session from one state to the next.

THE RULES

* A session starts in WAITING, and ends in CLOSED. CLOSED is final: a session is used once.
* It makes one attempt after the other. An attempt begins in WAITING and goes through AUTHORIZING when there is no
  token yet, then through CONNECTING to READY. When it fails, and when a connection is lost, the session is WAITING
  again.
* The state changes only through `TRANSITIONS`, by a trigger that the table names for the present state. Any other
  trigger is a bug of the session and raises KeyError.

HOW TO READ THE TABLE

CONNECTING covers dialling, the opening handshake and LOGIN. A session does not distinguish them: its `ClientConnection`
does, with a table of its own (connection/). WAITING covers two situations, which differ by the deadline only: before
`connect` there is none, between two attempts there is.

WHAT DOES NOT FIT THE TABLE

* Which of LOST and ENDED follows a lost connection is a verdict of recovery.py. The table says what each of them does.
* `close` in WAITING or AUTHORIZING is ENDED, not CLOSE_ASKED: there is no connection to close.
* Renewing a refused token is two moves in one step, LOST and then TOKEN_NEEDED: the session is WAITING for no time.

A subscription has no such table. Its state says how far the server's answers have brought it on the present connection;
subscriptions.py and searches.py own the rules.
"""

from __future__ import annotations

import enum

__all__ = (
    "AUTHORIZING",
    "CLOSED",
    "CLOSING",
    "CONNECTING",
    "READY",
    "TRANSITIONS",
    "WAITING",
    "SessionState",
    "SubscriptionState",
    "Trigger",
)


class SessionState(enum.Enum):
    """The state of a session."""

    WAITING = "waiting"
    """Waits for `connect`, or for the time of the next attempt."""
    AUTHORIZING = "getting a token"
    """Waits for an access token."""
    CONNECTING = "connecting"
    """Dials, opens the WebSocket, logs in."""
    READY = "ready"
    """Logged in."""
    CLOSING = "closing"
    """The caller has asked to close; the closing handshake is under way."""
    CLOSED = "closed"
    """Ended."""


WAITING, AUTHORIZING, CONNECTING, READY, CLOSING, CLOSED = SessionState


class Trigger(enum.Enum):
    """What moves a session from one state to the next."""

    TOKEN_NEEDED = "token needed"
    TOKEN_KNOWN = "token known"
    LOGGED_IN = "logged in"
    LOST = "lost"
    CLOSE_ASKED = "close asked"
    ENDED = "ended"


TRANSITIONS: dict[SessionState, dict[Trigger, SessionState]] = {
    WAITING: {Trigger.TOKEN_NEEDED: AUTHORIZING, Trigger.TOKEN_KNOWN: CONNECTING, Trigger.ENDED: CLOSED},
    AUTHORIZING: {Trigger.TOKEN_KNOWN: CONNECTING, Trigger.LOST: WAITING, Trigger.ENDED: CLOSED},
    CONNECTING: {
        Trigger.LOGGED_IN: READY,
        Trigger.LOST: WAITING,
        Trigger.CLOSE_ASKED: CLOSING,
        Trigger.ENDED: CLOSED,
    },
    READY: {Trigger.LOST: WAITING, Trigger.CLOSE_ASKED: CLOSING, Trigger.ENDED: CLOSED},
    CLOSING: {Trigger.ENDED: CLOSED},
    CLOSED: {},
}


class SubscriptionState(enum.Enum):
    """How far a subscription has come on the present connection."""

    WANTED = "wanted"
    """Not sent yet: there is no connection, or other messages go first."""
    SENT = "sent"
    """Sent, not acknowledged yet."""
    CONFIRMED = "confirmed"
    """Acknowledged. The server acknowledges nonsense too, so only a row proves that the item exists."""
    RECEIVING = "receiving"
    """A row has arrived."""
    REFUSED = "refused"
    """Refused by the server, or not answered. It is asked for again on the next connection, not before."""
    LEAVING = "leaving"
    """No longer wanted, not removed yet."""
