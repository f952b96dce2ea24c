"""Delays of the exchange's answers, and limits on what one client can make it do or store."""

from __future__ import annotations

__all__ = (
    "ACK_DELAY",
    "BACKLOG_LIMIT",
    "LOGIN_DELAY",
    "MAX_FRAMES",
    "MAX_PAIRS",
    "MAX_TEXT",
    "MAX_WAITING",
    "PIECE",
    "PINGS_MISSED",
    "REQUESTS_PER_SECOND",
    "SILENCE",
    "UNSENT_LIMIT",
)

LOGIN_DELAY = 0.020
ACK_DELAY = 0.010
SILENCE = 10.0
"""Seconds without data from the client before a PING is sent, or before the close if it has not logged in."""
PINGS_MISSED = 5
REQUESTS_PER_SECOND = 5
UNSENT_LIMIT = 4 * 1024 * 1024
"""Maximum bytes queued for a client that does not read; above it, rows are dropped."""
BACKLOG_LIMIT = 4 * UNSENT_LIMIT
"""Maximum bytes queued for a client, replies included; above it, the client is cut off."""
PIECE = 16_384
"""Bytes read at once from the data received during a stall."""
MAX_WAITING = 1_000
"""Maximum unanswered requests; above it, the client is cut off. Answers are sent after 10 ms unless a fault delays
them, and five requests per second are carried out."""
MAX_FRAMES = 1_000
"""Maximum WebSocket frames per second; above it, the client is cut off. Small frames cost more than their bytes."""
MAX_TEXT = 100
"""Maximum characters of a group, an item or a type: the length of an item on the official page. How the live server
answers longer ones is not known; here they are refused as `wrong_shape`."""
MAX_PAIRS = 10_000
"""Maximum (type, item) pairs that a connection may register, over all groups, and may name per second. Types are not
counted by Kiwoom, so 200 items with 25 types make 5,000 pairs. This limit was chosen."""
