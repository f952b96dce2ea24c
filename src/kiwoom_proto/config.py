"""Configuration: every deadline, limit and policy, with its unit and its default.

Times are in seconds, sizes in bytes. The classes are frozen, so one object can serve many connections.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

import attrs

from .errors import LocalProtocolError
from .hours import MarketHours

__all__ = ("ClientConfig", "Overflow", "RecoveryPolicy", "RestConfig", "ServerConfig", "Takeover")

Overflow = Literal["raise", "drop_oldest", "conflate"]
"""What happens when a consumer is too slow: `ClientConfig.overflow`."""
Takeover = Literal["stop", "wait", "reconnect"]
"""What happens when the same app key logs in elsewhere: `ClientConfig.takeover`."""


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


def _hours(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, MarketHours):
        raise LocalProtocolError(f"ClientConfig.hours: must be a MarketHours or None, not {value!r}")


def _types(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not (isinstance(value, frozenset) and all(isinstance(code, str) for code in value)):
        raise LocalProtocolError(f"RecoveryPolicy.types: must be type codes such as '0D', not {value!r}")


def _policy(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool | RecoveryPolicy):
        raise LocalProtocolError(f"ClientConfig.recover: must be True, False or a RecoveryPolicy, not {value!r}")


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


def _frozen(types: Iterable[str] | None) -> frozenset[str] | None:
    if types is None or isinstance(types, str):
        return types  # type: ignore[return-value]  # a str is refused by the validator
    return frozenset(types)


@attrs.frozen(kw_only=True)
class RecoveryPolicy:
    """What state a session asks for after a gap.

    Attributes:
        types: the real-time types whose state is asked for: "0D", "00"; None: every type that a TR has the state of.
        at_start: whether the state is asked for when something is registered first, too.
        missed_trades: whether the trades (0B) that were missed are asked for.
        max_pages: maximum number of pages of one list: of missed trades, orders, holdings.
    """

    types: frozenset[str] | None = attrs.field(default=None, converter=_frozen, validator=_types)
    at_start: bool = attrs.field(default=True, validator=_flag)
    missed_trades: bool = attrs.field(default=True, validator=_flag)
    max_pages: int = attrs.field(default=20, validator=_count)


@attrs.frozen(kw_only=True)
class ClientConfig:
    """Configuration of a client connection, and of a session, which makes one connection after the other.

    Attributes:
        open_timeout: seconds for the TCP connection, TLS and the opening handshake together.
        login_timeout: seconds from sending LOGIN to its reply (10 to 30 ms were measured).
        ack_timeout: seconds from sending a request to its reply (about 10 ms were measured). A late reply to a REG or
            REMOVE cannot be told from the next one's, so the connection ends when this expires. A condition request
            fails alone (30 s and more without a reply were measured).
        idle_timeout: seconds without a byte from the server after which the connection counts as dead. The server
            sends PING when it has heard nothing for 10 s. After a third of this time without a byte, and after two
            thirds, the client sends an RFC 6455 ping; its pong counts too.
        close_timeout: seconds for the closing handshake.
        max_message_size: maximum size of a message from the server, bytes.
        request_interval: minimum interval between two requests, seconds. The server accepts about 5 a second and
            refuses the rest with 105110; 0.35 was measured to work.
        items_per_request: maximum number of items in one REG or REMOVE. `subscribe` splits longer lists, and what would
            exceed 65,536 bytes.
        item_limit: maximum number of items (종목) that a session wants at once; None: the limit of the endpoint,
            `Endpoint.item_limit`. A stock counts once for each venue it is wanted at; types and account-wide
            registrations do not count.
        buffer_size: maximum number of events queued for a slow consumer (adapters).
        buffer_bytes: maximum number of received bytes queued with them. A read that finds at most half of both limits
            in use is always taken whole, so a consumer that keeps up never meets `BufferOverflow`. At most the limit is
            queued, or half of it and one read: 256 KiB and one message of `max_message_size`.
        overflow: what happens when either limit is reached: "raise" ends the connection with `BufferOverflow`,
            "drop_oldest" drops the oldest market-data row, "conflate" keeps only the newest row of each type and item.
            Rows of orders, balances and conditions, replies and notices are never dropped. Rows that name no item never
            replace each other.
        token_timeout: seconds for getting an access token (sessions).
        reconnect: whether a session reconnects after a loss.
        connect_timeout: seconds for a session's first login, from `connect` on, over as many attempts as fit. After the
            first login a session does not give up: somebody is there to see the first login fail, and nobody at four in
            the morning. If `reconnect` is False there is one attempt.
        backoff_min: maximum delay before the first attempt to reconnect, seconds. The delay is random ("full jitter"),
            and its maximum doubles after each failure.
        backoff_max: upper limit of every delay, seconds, whatever the server asks for (Retry-After). A connection that
            stayed logged in for this long counts as stable: after its loss the delays start at `backoff_min` again.
        takeover: what to do when the same app key logs in elsewhere (R10001): "stop" ends the session with `TakenOver`,
            "wait" reconnects after `takeover_wait`, "reconnect" as after any other loss.
        takeover_wait: seconds to wait before reconnecting if `takeover` is "wait".
        move_after: seconds without a connection after which the items of one of several tokens move to the others
            (pools). Those of a token that is lost for good move at once.
        takeover_limit: maximum number of takeovers in a row after which "wait" and "reconnect" reconnect; one more
            stops the session.
        recover: whether a session asks for the state after a gap (`Snapshot`, `Recovered`), or which.
        hours: trading days and hours: while a market is closed, silence is not `Stale`. None: silence counts round the
            clock.
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
    move_after: float = attrs.field(default=10.0, validator=_positive)
    takeover_limit: int = attrs.field(default=3, validator=_count)
    recover: bool | RecoveryPolicy = attrs.field(default=False, validator=_policy)
    hours: MarketHours | None = attrs.field(factory=MarketHours, validator=_hours)


@attrs.frozen(kw_only=True)
class RestConfig:
    """Configuration of calls of the REST interface.

    Attributes:
        answer_timeout: seconds from sending a call to the end of its answer; and how long a query waits for a server
            that cannot be reached. A query that waits for its turn has no deadline: the caller may cancel it. An order
            that cannot be sent within this time of its turn fails, and is not sent.
        open_timeout: seconds for a TCP connection, TLS included.
        token_timeout: seconds for getting an access token.
        idle_timeout: seconds after which a connection without a call is closed: before the server does, and before
            somebody on the way forgets it.
        max_connections: maximum number of connections. One more is opened for an order, if all of them are in use.
        max_answer_size: maximum size of an answer, head and body, bytes. Pages of charts were measured to have about
            1 MB.
        tries: how often a query is sent in all, if connections break or the server fails (HTTP 5xx); and how many
            attempts in a row may fail before calls that wait for them fail: to get a token for all of them, to connect
            for orders. An order is sent once. 1: no attempt to connect is repeated.
        rate_limit_tries: how often a query is sent in all, if the server says that it comes too fast (1700, HTTP 429).
        calls_per_second: calls of one TR in a second, and orders of all TRs; None: 5 in production, 1 in mock trading.
    """

    answer_timeout: float = attrs.field(default=15.0, validator=_positive)
    open_timeout: float = attrs.field(default=10.0, validator=_positive)
    token_timeout: float = attrs.field(default=10.0, validator=_positive)
    idle_timeout: float = attrs.field(default=20.0, validator=_positive)
    max_connections: int = attrs.field(default=4, validator=_count)
    max_answer_size: int = attrs.field(default=8 * 1024 * 1024, validator=_count)
    tries: int = attrs.field(default=3, validator=_count)
    rate_limit_tries: int = attrs.field(default=10, validator=_count)
    calls_per_second: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))


@attrs.frozen(kw_only=True)
class ServerConfig:
    """Configuration of the server's end of a connection.

    Attributes:
        open_timeout: seconds for the opening handshake.
        close_timeout: seconds for the closing handshake.
        max_message_size: maximum size of a message from the client, bytes: 65,536 was measured. A larger one is
            answered with close code 1009.
    """

    open_timeout: float = attrs.field(default=10.0, validator=_positive)
    close_timeout: float = attrs.field(default=5.0, validator=_positive)
    max_message_size: int = attrs.field(default=65_536, validator=_count)
