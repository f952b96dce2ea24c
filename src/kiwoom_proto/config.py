"""Every deadline, limit and policy, with its unit and its default.

Times are seconds, sizes bytes, counts plain numbers. Both classes are frozen: share one between connections.
"""

from __future__ import annotations

from typing import Any, Literal

import attrs

from .errors import LocalProtocolError

__all__ = ("ClientConfig", "ServerConfig", "Overflow")

Overflow = Literal["raise", "drop_oldest", "conflate"]


def _positive(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise LocalProtocolError(f"{type(instance).__name__}.{attribute.name}: must be a number above 0, not {value!r}")


def _count(instance: object, attribute: attrs.Attribute[Any], value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not value > 0:
        raise LocalProtocolError(
            f"{type(instance).__name__}.{attribute.name}: must be a whole number above 0, not {value!r}"
        )


def _not_negative(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise LocalProtocolError(
            f"{type(instance).__name__}.{attribute.name}: must be a number of at least 0, not {value!r}"
        )


def _known_policy(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    policies = Overflow.__args__  # type: ignore[attr-defined]  # typing gives Literal no typed accessor
    if value not in policies:
        raise LocalProtocolError(f"ClientConfig.overflow: must be one of {', '.join(policies)}, not {value!r}")


@attrs.frozen(kw_only=True)
class ClientConfig:
    """Configuration of one client connection.

    Attributes:
        open_timeout: seconds for the TCP connection, TLS and the opening handshake together.
        login_timeout: seconds from sending LOGIN to its reply (10 to 30 ms were measured).
        ack_timeout: seconds from sending a request to its reply (about 10 ms were measured). A late reply cannot
            be told from the next one's, so when it expires the connection ends.
        idle_timeout: seconds without a byte from the server after which the connection counts as dead. The server
            sends PING every 10 s; whether it also does while data flows is unknown, so any byte counts.
        close_timeout: seconds for the closing handshake.
        max_message_size: largest message accepted, in bytes.
        request_interval: least seconds between two requests. The server takes about 5 a second and refuses the
            rest with 105110; 0.35 was measured to work.
        items_per_request: most items in one REG or REMOVE; `subscribe` splits longer lists.
        buffer_size: most events that wait for a slow consumer (adapters).
        buffer_bytes: most bytes received that may wait with them.
        overflow: what happens when either is reached: "raise" ends the connection with `BufferOverflow`,
            "drop_oldest" forgets the oldest market-data row, "conflate" keeps only the newest row of each type
            and item. Order, balance and condition rows, replies and notices are never dropped.
    """

    open_timeout: float = attrs.field(default=10.0, validator=_positive)
    login_timeout: float = attrs.field(default=10.0, validator=_positive)
    ack_timeout: float = attrs.field(default=5.0, validator=_positive)
    idle_timeout: float = attrs.field(default=60.0, validator=_positive)
    close_timeout: float = attrs.field(default=5.0, validator=_positive)
    max_message_size: int = attrs.field(default=4 * 1024 * 1024, validator=_count)
    request_interval: float = attrs.field(default=0.35, validator=_not_negative)
    items_per_request: int = attrs.field(default=100, validator=_count)
    buffer_size: int = attrs.field(default=65_536, validator=_count)
    buffer_bytes: int = attrs.field(default=256 * 1024 * 1024, validator=_count)
    overflow: Overflow = attrs.field(default="raise", validator=_known_policy)


@attrs.frozen(kw_only=True)
class ServerConfig:
    """Configuration of the server's end of a connection.

    Attributes:
        open_timeout: seconds for the opening handshake.
        close_timeout: seconds for the closing handshake.
        max_message_size: largest message accepted, in bytes.
    """

    open_timeout: float = attrs.field(default=10.0, validator=_positive)
    close_timeout: float = attrs.field(default=5.0, validator=_positive)
    max_message_size: int = attrs.field(default=4 * 1024 * 1024, validator=_count)
