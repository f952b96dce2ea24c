"""A dispatcher, a network that fails on demand and a server that counts, on virtual time and in memory."""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Callable
from typing import Any

import attrs

from kiwoom_proto import AppKey, Endpoint, KiwoomError, Secret
from kiwoom_proto.auth import Token, TokenNeeded
from kiwoom_proto.config import RestConfig
from kiwoom_proto.rest.dispatcher import Dispatcher
from kiwoom_proto.rest.links import Link
from kiwoom_proto.rest.pacing import Count
from kiwoom_proto.rest.ticket import Ticket
from kiwoom_proto.testing import ManualClock

__all__ = ("ENDPOINT", "EPOCH", "Answer", "Network", "Seen", "http", "refusal")

ENDPOINT = Endpoint("ws://127.0.0.1:9/api/dostk/websocket")
EPOCH = 1_795_651_200.0  # 2026-11-26 09:00:00 KST
GOOD = b'{"return_code":0,"return_msg":"OK"}'


def http(body: bytes = GOOD, status: str = "200 OK", *lines: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines])
    return f"{head}\r\n\r\n".encode() + body


def refusal(return_code: int, words: str, status: str = "200 OK") -> bytes:
    return http(json.dumps({"return_code": return_code, "return_msg": words}).encode(), status)


@attrs.frozen
class Seen:
    """A request that has arrived."""

    at: float
    link: Link
    api_id: str
    token: str
    next_key: str
    body: dict[str, Any]


@attrs.frozen
class Answer:
    """What the server does with a request.

    Attributes:
        data: what it sends.
        after: seconds until then.
        processed: whether it does what was asked.
        then: "keep" the connection, "close" it after the answer, or after some `idle` time.
        idle: seconds.
    """

    data: bytes = http()
    after: float = 0.0
    processed: bool = True
    then: str = "keep"
    idle: float = 0.0


class Network:
    """Drives a dispatcher. Attributes: everything that was seen, by whom."""

    def __init__(
        self,
        answer: Callable[[Seen], Answer] = lambda seen: Answer(),
        token: AppKey | str | None = "token-of-the-test",
        config: RestConfig | None = None,
        *,
        latency: Callable[[], float] = lambda: 0.01,
        piece: Callable[[], int] = lambda: 1 << 20,
        obtain: Callable[[TokenNeeded], str | KiwoomError] = lambda need: "another-token",
        dial: Callable[[Link], str | None] = lambda link: None,
        endpoint: Endpoint = ENDPOINT,
        clock: ManualClock | None = None,
        count: Count | None = None,
    ) -> None:
        self.clock = ManualClock(1000.0) if clock is None else clock
        self.key = token if isinstance(token, AppKey) else None
        self.dispatcher = Dispatcher(endpoint, token, config, clock=self.clock, wall_clock=self.wall_time, count=count)
        self.answer = answer
        self.seen: list[Seen] = []
        self.processed: list[Seen] = []
        self.sent: list[tuple[float, Ticket[Any]]] = []
        self.done: list[Ticket[Any]] = []
        self.dialled: list[float] = []
        self.tokens: list[float] = []
        self.hung_up: list[Link] = []
        self._latency = latency
        self._piece = piece
        self._obtain = obtain
        self._dial = dial
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._links: dict[Link, bytearray] = {}
        self._open: set[Link] = set()  # for the server
        self._buffers: dict[Link, bytearray] = {}  # of the server
        self._to_client: dict[Link, float] = {}
        self._to_server: dict[Link, float] = {}
        self._asked: TokenNeeded | None = None

    def wall_time(self) -> float:
        return EPOCH + self.clock.now - 1000.0

    # Time.

    def advance(self, seconds: float) -> None:
        """Move the clock, and stop at every deadline and arrival on the way."""
        end = self.clock.now + seconds
        self.settle()
        while True:
            due = [self._queue[0][0]] if self._queue else []
            timeout = self.dispatcher.next_timeout()
            due += [] if timeout is None else [timeout]
            if not due or min(due) > end:
                break
            self.clock.now = max(self.clock.now, min(due))
            while self._queue and self._queue[0][0] <= self.clock.now:
                heapq.heappop(self._queue)[2]()
                self.settle()
            self.dispatcher.handle_timeout()
            self.settle()
        self.clock.now = max(self.clock.now, end)  # a clock may move by itself
        self.settle()

    def later(self, after: float, action: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._queue, (self.clock.now + after, next(self._number), action))

    # The driver.

    def settle(self) -> None:
        """Serve every need, carry what there is to send, and fetch the outcomes."""
        dispatcher = self.dispatcher
        needs = dispatcher.needs
        for link in [link for link in self._links if link not in needs]:
            del self._links[link]
            self.hung_up.append(link)
            self.later(self._latency(), lambda link=link: self._open.discard(link))  # type: ignore[misc]
        for need in needs:
            if isinstance(need, TokenNeeded):
                if need is not self._asked:
                    self._asked = need
                    self.tokens.append(self.clock.now)
                    self.later(self._latency(), lambda need=need: self._token(need))  # type: ignore[misc]
            elif need not in self._links:
                self._links[need] = bytearray()
                self.dialled.append(self.clock.now)
                self.later(self._latency(), lambda link=need: self._made(link))  # type: ignore[misc]
        for link in self._links:
            asked_at = self.clock.now
            if data := dispatcher.data_to_send(link):
                assert link.ticket is not None
                self.sent.append((asked_at, link.ticket))
                self._deliver(self._to_server, link, data, self._arrive)
        self.done += dispatcher.outcomes()

    def _token(self, need: TokenNeeded) -> None:
        if need not in self.dispatcher.needs:
            return
        token = self._obtain(need)
        if isinstance(token, KiwoomError):
            self.dispatcher.token_failed(token)
            return
        if self.key is not None:
            self.key.store(self.dispatcher.endpoint, Token(Secret(token), None), self.wall_time())
        self.dispatcher.receive_token(token)

    def _made(self, link: Link) -> None:
        error = self._dial(link)
        if error is not None:
            if error:
                self.dispatcher.receive_eof(link, error)
            return  # "": nobody answers
        self._open.add(link)
        self.dispatcher.connection_made(link)

    def _deliver(
        self, times: dict[Link, float], link: Link, data: bytes, receive: Callable[[Link, bytes], None]
    ) -> None:
        """Carry bytes in order."""
        at = 0
        while at < len(data):
            size = max(1, self._piece())
            piece = data[at : at + size]
            at += size
            time = times[link] = max(times.get(link, 0.0), self.clock.now + self._latency())
            action = lambda piece=piece: receive(link, piece)  # noqa: E731
            heapq.heappush(self._queue, (time, next(self._number), action))

    def _end(self, link: Link, error: str | None = None) -> None:
        """The server ends the connection."""
        self._open.discard(link)
        time = max(self._to_client.get(link, 0.0), self.clock.now + self._latency())
        action = lambda: self.dispatcher.receive_eof(link, error)  # noqa: E731
        heapq.heappush(self._queue, (time, next(self._number), action))

    # The server.

    def _arrive(self, link: Link, data: bytes) -> None:
        if link not in self._open:
            self._end(link, "connection reset by peer")
            return
        buffer = self._buffers.setdefault(link, bytearray())
        buffer += data
        head, found, body = bytes(buffer).partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line)
        if not found or len(body) < int(headers["Content-Length"]):
            return
        assert len(body) == int(headers["Content-Length"]), "no pipelining"
        buffer.clear()
        token = headers["authorization"].removeprefix("Bearer ")
        seen = Seen(self.clock.now, link, headers["api-id"], token, headers.get("next-key", ""), json.loads(body))
        self.seen.append(seen)
        answer = self.answer(seen)
        if answer.processed:
            self.processed.append(seen)
        self.later(answer.after, lambda: self._reply(link, answer))

    def _reply(self, link: Link, answer: Answer) -> None:
        if link not in self._open:
            return
        if answer.data:
            self._deliver(self._to_client, link, answer.data, self.dispatcher.receive_data)
        if answer.then == "close":
            self._end(link)
        elif answer.then == "idle":
            self.later(answer.idle, lambda: self._end(link))
