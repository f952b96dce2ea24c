"""Every deadline, limit and policy, with its unit and its default.

Times are seconds, sizes bytes, counts plain numbers. Both classes are frozen: share one between connections.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import attrs

from .errors import LocalProtocolError

__all__ = ("ClientConfig", "Overflow", "ServerConfig", "Takeover")

Overflow = Literal["raise", "drop_oldest", "conflate"]
Takeover = Literal["stop", "wait", "reconnect"]


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


def _flag(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise LocalProtocolError(f"{type(instance).__name__}.{attribute.name}: must be True or False, not {value!r}")


def _one_of(policies: Any) -> Any:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in get_args(policies):
            names = ", ".join(get_args(policies))
            raise LocalProtocolError(
                f"{type(instance).__name__}.{attribute.name}: must be one of {names}, not {value!r}"
            )

    return check


def _not_below_backoff_min(instance: ClientConfig, attribute: attrs.Attribute[Any], value: float) -> None:
    _positive(instance, attribute, value)
    if value < instance.backoff_min:
        raise LocalProtocolError(f"ClientConfig.backoff_max: must not be below backoff_min, {instance.backoff_min:g}")


@attrs.frozen(kw_only=True)
class ClientConfig:
    """Configuration of one client connection, and of a session, which makes as many as it takes.

    Attributes:
        open_timeout: seconds for the TCP connection, TLS and the opening handshake together.
        login_timeout: seconds from sending LOGIN to its reply (10 to 30 ms were measured).
        ack_timeout: seconds from sending a request to its reply (about 10 ms were measured). A late reply to a REG or
            REMOVE cannot be told from the next one's, so when it expires the connection ends; a condition request is
            given up alone (30 s and more without a reply were measured).
        idle_timeout: seconds without a byte from the server after which the connection counts as dead. The server
            sends PING when it has heard nothing for 10 s. After a third of this time without a byte, and after two,
            the client sends a ping of RFC 6455, whose pong counts too.
        close_timeout: seconds for the closing handshake.
        max_message_size: largest message accepted, in bytes.
        request_interval: least seconds between two requests. The server takes about 5 a second and refuses the
            rest with 105110; 0.35 was measured to work.
        items_per_request: most items in one REG or REMOVE; `subscribe` splits longer lists, and what would be more than
            65,536 bytes.
        item_limit: most items a session wants at once (종목); None: what the endpoint takes, `Endpoint.item_limit`. A
            stock counts once for each venue it is wanted at, types and account-wide registrations count nothing.
        buffer_size: maximum number of events that wait for a slow consumer (adapters).
        buffer_bytes: maximum number of bytes received that wait with them. A read that finds at most half of both
            limits in use is always taken whole, so a consumer that keeps up never meets `BufferOverflow`. What waits is
            therefore at most the limit, or half of it and one read: 256 KiB and one message of `max_message_size`.
        overflow: what happens when either is reached: "raise" ends the connection with `BufferOverflow`,
            "drop_oldest" forgets the oldest market-data row, "conflate" keeps only the newest row of each type
            and item. Order, balance and condition rows, replies and notices are never dropped, and rows that name no
            item never taken for one another.
        token_timeout: seconds for getting an access token (sessions).
        reconnect: whether a session makes a connection that was lost again.
        connect_timeout: seconds for a session's first login, from `connect` on, over as many attempts as they take.
            After it the session does not give up: somebody is there to see the first fail, and nobody at four in the
            morning. With `reconnect` False there is one attempt.
        backoff_min: a lost connection is made again after a random time: at most so many seconds at first,
            twice as many after each failure ("full jitter").
        backoff_max: never more than so many, whatever the server asks for (Retry-After). A connection that held for so
            long counts as stable: the next loss begins at `backoff_min` again.
        takeover: what to do when the same app key logs in elsewhere (R10001): "stop" ends the session with `TakenOver`,
            "wait" tries again after `takeover_wait`, "reconnect" at once, as after any other loss.
        takeover_wait: seconds.
        takeover_limit: how many takeovers in a row "wait" and "reconnect" put up with before they stop.
    """

    open_timeout: float = attrs.field(default=10.0, validator=_positive)
    login_timeout: float = attrs.field(default=10.0, validator=_positive)
    ack_timeout: float = attrs.field(default=5.0, validator=_positive)
    idle_timeout: float = attrs.field(default=30.0, validator=_positive)
    close_timeout: float = attrs.field(default=5.0, validator=_positive)
    max_message_size: int = attrs.field(default=4 * 1024 * 1024, validator=_count)
    request_interval: float = attrs.field(default=0.35, validator=_not_negative)
    items_per_request: int = attrs.field(default=100, validator=_count)
    item_limit: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))
    buffer_size: int = attrs.field(default=65_536, validator=_count)
    buffer_bytes: int = attrs.field(default=256 * 1024 * 1024, validator=_count)
    overflow: Overflow = attrs.field(default="raise", validator=_one_of(Overflow))
    token_timeout: float = attrs.field(default=10.0, validator=_positive)
    reconnect: bool = attrs.field(default=True, validator=_flag)
    connect_timeout: float = attrs.field(default=30.0, validator=_positive)
    backoff_min: float = attrs.field(default=1.0, validator=_positive)
    backoff_max: float = attrs.field(default=60.0, validator=_not_below_backoff_min)
    takeover: Takeover = attrs.field(default="stop", validator=_one_of(Takeover))
    takeover_wait: float = attrs.field(default=300.0, validator=_positive)
    takeover_limit: int = attrs.field(default=3, validator=_count)


@attrs.frozen(kw_only=True)
class ServerConfig:
    """Configuration of the server's end of a connection.

    Attributes:
        open_timeout: seconds for the opening handshake.
        close_timeout: seconds for the closing handshake.
        max_message_size: largest message accepted, in bytes: 65,536 as measured. A larger one is answered close 1009.
    """

    open_timeout: float = attrs.field(default=10.0, validator=_positive)
    close_timeout: float = attrs.field(default=5.0, validator=_positive)
    max_message_size: int = attrs.field(default=65_536, validator=_count)
