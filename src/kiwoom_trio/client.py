"""connect and Client on trio: a socket, three small tasks, and no decision of the protocol's.

Whatever happened (bytes, a deadline, a call), `_pump` does the same: take what the connection has to say and to send,
wake whoever waits for it, and wake the timer if its deadline moved nearer. Reading never waits for the consumer or for
writing, so neither can keep a PING from being answered.
"""

from __future__ import annotations

import math
import os
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from kiwoom_proto import (
    ClientConfig,
    ClientConnection,
    Condition,
    ConditionList,
    ConditionResult,
    ConditionRow,
    ConnectionState,
    Endpoint,
    Event,
    LocalProtocolError,
    Record,
    Reg,
    Remove,
    Request,
    RequestHeader,
    ResponseHeader,
    Symbol,
    UsConditionRow,
)
from kiwoom_proto.buffer import BufferStats
from kiwoom_proto.feed import Feed

from .tasks import background_tasks

__all__ = ("Client", "connect")

READ_SIZE = 65_536


@asynccontextmanager
async def connect(
    endpoint: Endpoint,
    *,
    token: str | Callable[[], Awaitable[str]],
    config: ClientConfig | None = None,
    header: RequestHeader | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncGenerator[Client]:
    """Connect, log in, and yield a `Client`; leaving the block closes.

    Arguments:
        endpoint: PRODUCTION, MOCK, or one of your own.
        token: the access token, without "Bearer", or an async callable that returns it.
        config: deadlines, limits, and what to do when the consumer is slow.
        header: header elements for the opening handshake; none are needed.
        ssl_context: for TLS; None verifies against the system's trust store.

    Raises:
        LoginRefused: the server refused the token.
        ConnectionLost: the connection could not be made, or ended before the login was done; its `closed` tells why.
        LocalProtocolError: an argument cannot be right.
    """
    connection = ClientConnection(endpoint, config, clock=trio.current_time)
    connection.connect(await _token(token), header)
    client = Client(connection)
    async with background_tasks() as nursery:
        nursery.start_soon(client._run, ssl_context)
        await client._logged_in()
        yield client
        await client.aclose()


class Client:
    """A connection that is logged in. Made by `connect`.

    Iterate it for the rows (`Record` and subclasses), notices, and whatever could not be understood, in order. The
    iteration ends after `aclose`; it raises ConnectionLost when the connection is lost and BufferOverflow when the
    consumer was too slow for its policy, both after everything received before was delivered, `Closed` last.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._feed = Feed(connection)
        self._batch: list[Event] = []  # newest first, so that the oldest is cheap to take
        self._changed = trio.Event()  # something happened that a waiting call may be waiting for
        self._has_outgoing = trio.Event()
        self._deadline_moved = trio.Event()
        self._armed = math.inf
        self._dialling = trio.CancelScope()

    @property
    def endpoint(self) -> Endpoint:
        """Where it is connected to."""
        return self._connection.endpoint

    @property
    def header(self) -> ResponseHeader | None:
        """The documented header elements of the server's answer to the opening handshake."""
        return self._connection.header

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self._connection.state

    def stats(self) -> BufferStats:
        """Return what became of the events so far."""
        return self._feed.stats()

    async def subscribe(
        self, type: str | type[Record], *items: str | Symbol, group: str = "1", replace: bool = False
    ) -> Request:
        """Register items for one real-time type and wait until the server has acknowledged it.

        Cancelled while it waits, the request goes on: its reply is then iterated like any other event.

        Arguments:
            type: a class of the catalogue, or a type code: "0E".
            items: "005930", "005930_NX" or a `Symbol`; none for account-wide and market-wide types.
            group: group number (grp_no), at most 4 characters.
            replace: drop earlier registrations (refresh "0").

        Raises:
            RequestRefused: the server refused it.
            ConnectionLost: the connection ended first.
            LocalProtocolError: an argument cannot be right; nothing was sent.
        """
        await self._open()
        return await self._replied(self._connection.subscribe(type, *items, group=group, replace=replace))

    async def unsubscribe(self, type: str | type[Record], *items: str | Symbol, group: str = "1") -> Request:
        """Remove registrations and wait until the server has acknowledged it. As `subscribe`."""
        await self._open()
        return await self._replied(self._connection.unsubscribe(type, *items, group=group))

    async def request(self, message: Reg | Remove) -> Request:
        """Send a REG or REMOVE of your own making and wait for its acknowledgement. Errors as `subscribe`."""
        await self._open()
        return await self._replied(self._connection.request(message))

    async def list_conditions(self) -> tuple[Condition, ...]:
        """Return the saved conditions (조건검색 목록조회). Errors as `subscribe`."""
        await self._open()
        answer = await self._answered(self._connection.list_conditions())
        assert isinstance(answer, ConditionList)
        return answer.conditions

    async def search_condition(self, seq: str, *, realtime: bool = False, next_key: str = "") -> ConditionResult:
        """Ask which stocks meet a condition (조건검색 요청).

        With `realtime` the server goes on telling which stocks enter and leave, until `clear_condition`: such rows come
        with all others, as `ConditionHit` (US: `UsConditionHit`); `ConditionResult.matches` tells whose they are.

        Arguments:
            seq: the condition's number, from `list_conditions`.
            realtime: go on telling.
            next_key: `ConditionResult.next_key`, for the next page; `search_condition_rows` follows them by itself.

        Raises:
            RequestRefused: the server refused it.
            ConnectionLost: the connection ended first.
            LocalProtocolError: an argument cannot be right; nothing was sent.
        """
        await self._open()
        answer = await self._answered(self._connection.search_condition(seq, realtime=realtime, next_key=next_key))
        assert isinstance(answer, ConditionResult)
        return answer

    async def search_condition_rows(self, seq: str) -> AsyncGenerator[ConditionRow | UsConditionRow]:
        """Iterate all rows of a condition, page by page. Errors as `search_condition`."""
        next_key: str | None = ""
        while next_key is not None:
            result = await self.search_condition(seq, next_key=next_key)
            for row in result.rows:
                yield row
            next_key = result.next_key

    async def clear_condition(self, seq: str) -> Request:
        """End a live search (조건검색 실시간 해제). Errors as `search_condition`."""
        await self._open()
        return await self._replied(self._connection.clear_condition(seq))

    async def aclose(self) -> None:
        """Close, and wait until it is done: at most `close_timeout`. What was received can still be iterated."""
        self._feed.close()
        self._pump()
        while self._feed.closed is None:
            await self._changed.wait()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._batch:
            await self._refill()
        return self._batch.pop()

    def __repr__(self) -> str:
        return f"<Client {self.endpoint}, {self.state.value}>"

    # Waiting.

    async def _refill(self) -> None:
        await trio.lowlevel.checkpoint()  # once a batch, so that a busy feed cannot starve the rest of the program
        if self._batch:
            return  # another task is iterating too, and was faster
        events = self._feed.take()
        if events:
            events.reverse()
            self._batch = events
            self._wake()  # whoever else is iterating
        elif self._feed.closed is None:
            await self._changed.wait()
        else:
            error = self._feed.end()
            if error is not None:
                raise error
            raise StopAsyncIteration

    async def _open(self) -> None:
        """Wait for the end where it has begun, to say why."""
        while self._feed.closed is None and self.state is ConnectionState.CLOSING:
            await self._changed.wait()
        self._feed.check_open()

    async def _replied(self, request: Request) -> Request:
        self._feed.expect(request)
        try:
            await self._reply(request)
        finally:
            self._feed.forget(request)
        return request

    async def _answered(self, request: Request) -> ConditionList | ConditionResult:
        self._feed.expect(request)
        try:
            await self._reply(request)
            return self._feed.answer(request)
        finally:
            self._feed.forget(request)

    async def _reply(self, request: Request) -> None:
        self._pump()
        while not self._feed.reply(request):
            await self._changed.wait()

    async def _logged_in(self) -> None:
        while not self._feed.check_login():
            await self._changed.wait()

    # The pump and its three tasks.

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _pump(self) -> None:
        self._feed.collect()
        self._wake()
        if self._feed.outgoing or self._feed.closed is not None:
            self._has_outgoing.set()
        if self._feed.closed is not None:
            self._dialling.cancel()
        timeout = self._connection.next_timeout()
        if timeout is not None and timeout < self._armed:
            self._deadline_moved.set()

    async def _run(self, ssl_context: ssl.SSLContext | None) -> None:
        """Dial, then read, write and watch the clock until the connection is over."""
        self._pump()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_clock)
            stream = None
            try:
                with self._dialling:
                    stream = await _dial(self.endpoint, ssl_context)
            except (OSError, UnicodeError, trio.BrokenResourceError) as error:  # UnicodeError: no host name at all
                self._connection.receive_eof(f"could not connect to {self.endpoint}: {_describe(error)}")
                self._pump()
            if stream is not None:
                try:
                    nursery.start_soon(self._read, stream)
                    await self._write(stream)
                finally:
                    await trio.aclose_forcefully(stream)
            nursery.cancel_scope.cancel()

    async def _read(self, stream: trio.abc.Stream) -> None:
        connection = self._connection
        while self._feed.closed is None:
            try:
                data = await stream.receive_some(READ_SIZE)
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                connection.receive_eof(_describe(error))
            else:
                if data:
                    connection.receive_data(data, time.time_ns())
                else:
                    connection.receive_eof()
            self._pump()

    async def _write(self, stream: trio.abc.Stream) -> None:
        outgoing = self._feed.outgoing
        while True:
            if outgoing:
                await trio.lowlevel.checkpoint()  # a write that fails would lose what has arrived: let it be read first
                data = bytes(outgoing)
                outgoing.clear()
                try:
                    await stream.send_all(data)
                except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                    # What the server said before may still wait to be read: the reader finds the end, and why.
                    while self._feed.closed is None:
                        await self._changed.wait()
                    return
            elif self._feed.closed is not None:
                return
            else:
                self._has_outgoing = trio.Event()
                await self._has_outgoing.wait()

    async def _watch_clock(self) -> None:
        while self._feed.closed is None:
            timeout = self._connection.next_timeout()
            self._armed = math.inf if timeout is None else timeout
            self._deadline_moved = trio.Event()
            with trio.CancelScope(deadline=self._armed):
                await self._deadline_moved.wait()
                continue
            self._connection.handle_timeout()
            self._pump()


async def _dial(endpoint: Endpoint, ssl_context: ssl.SSLContext | None) -> trio.abc.Stream:
    stream: trio.abc.Stream = await trio.open_tcp_stream(endpoint.host, endpoint.port)
    if not endpoint.secure:
        return stream
    context = ssl.create_default_context() if ssl_context is None else ssl_context
    tls = trio.SSLStream(stream, context, server_hostname=endpoint.host, https_compatible=True)
    try:
        await tls.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return tls


async def _token(token: str | Callable[[], Awaitable[str]]) -> str:
    if isinstance(token, str):
        return token
    answer = token() if callable(token) else None
    if not isinstance(answer, Awaitable):
        raise LocalProtocolError("token: must be a text, or an async callable that returns one")
    return await answer


def _describe(error: BaseException) -> str:
    """The cause that tells something: trio wraps what the system said."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, ExceptionGroup):
        return _describe(error.exceptions[0])
    if os.name == "posix" and isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error)  # the loops have texts of their own
    return str(error) or type(error).__name__
