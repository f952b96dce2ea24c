"""A client that is driven by hand, on virtual time, against a server's end that answers when it is told to.

It is the client of every loop without a loop: what waits is a coroutine that is sent on, step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

import pytest

from kiwoom_proto import PRODUCTION, ClientConfig, Endpoint, LinkNeeded, ServerConnection, Session
from kiwoom_proto.client.feeds import Feeds
from kiwoom_proto.client.own_loop import Place
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.connection.server import RequestReceived, ServerRequest
from kiwoom_proto.request import RequestKind
from kiwoom_proto.session.connector import Need
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.testing import ManualClock
from kiwoom_proto.wire.messages import Row

T = TypeVar("T")
Refuse = Callable[[ServerRequest], bool]


class Event:
    """An event whose waiters are sent on by hand."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    async def wait(self) -> None:
        while not self._is_set:
            await _step()


class _Step:
    def __await__(self) -> Generator[None]:
        yield


async def _step() -> None:
    await _Step()


class HandClient(Feeds):
    """The client.

    Attributes:
        clock: its clock, and the server's.
        server: the server's end of the present connection; None: there is none.
        answers: whether the server answers requests. Those that wait are answered by `answer`.
        refuses: which requests it refuses.
        conditions: number -> name of the saved conditions.
        found: the codes that meet any condition now.
        reported: what `_report_failure` was told.
    """

    _session: Session

    def __init__(self, config: ClientConfig | None = None, endpoint: Endpoint = PRODUCTION) -> None:
        self.clock = ManualClock()
        config = ClientConfig(request_interval=0, backoff_max=1) if config is None else config
        session = Session(endpoint, config, clock=self.clock, random=lambda: 0.5)
        self._driven = session
        super().__init__(session, lambda: self.now)
        self.server: ServerConnection | None = None
        self.answers = True
        self.refuses: Refuse = lambda request: False
        self.conditions = {"2": "골든크로스"}
        self.found: list[str] = []
        self.reported: list[tuple[str, Exception]] = []
        self.requests: list[ServerRequest] = []
        self._need: Need | None = None
        session.connect("token")
        self.settle()
        assert self.state is SessionState.READY

    @property
    def now(self) -> int:
        """Nanoseconds on its clock."""
        return 1 + int(self.clock.now * 1e9)

    # What it lacks of a client.

    def _here(self) -> Place:
        return Place(0, 0, None)

    @property
    def _hand_over(self) -> str:
        return "by hand"

    def _new_event(self) -> Event:
        return Event()

    async def _checkpoint(self) -> None:
        await _step()

    async def _wait_events(self) -> None:
        await self._wait_change()

    def _report_failure(self, message: str, error: Exception) -> None:
        self.reported.append((message, error))

    def _pump(self) -> None:
        self._inbox.collect()
        self._wake()
        if self._due:
            self._make_calls()

    # What drives it.

    def settle(self) -> None:
        """Carry bytes both ways until there is nothing more to do at this time."""
        while self._serve_need() or self._carry():
            pass

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.settle()
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self._session.handle_timeout()
            self._pump()
            self.settle()

    def cut(self) -> None:
        """Cut the connection. The next one comes with time."""
        self._lose_server()
        self._driven.receive_eof("connection reset by peer")
        self._pump()

    def send(self, *rows: Row) -> None:
        """Have the server send rows, in one message and one read."""
        assert self.server is not None
        self.server.send_records(rows)
        self.settle()

    def answer(self) -> None:
        """Have the server answer what waits."""
        requests, self.requests = self.requests, []
        for request in requests:
            self._answer(request)
        self.settle()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
        """Start a task, and let it go on until it waits."""
        task = Task(coroutine)
        task.go_on()
        return task

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; at most some seconds of virtual time."""
        task = self.start(coroutine)
        for _ in range(100):
            self.settle()
            if task.go_on():
                return task.result()
            self.advance(0.1)
        raise AssertionError("it waits for ever")

    def _serve_need(self) -> bool:
        need = self._driven.needs
        if need is self._need:
            return False
        self._need = need
        self._lose_server()
        if isinstance(need, LinkNeeded):
            self.server = ServerConnection(clock=self.clock)
        return True

    def _carry(self) -> bool:
        server = self.server
        if server is None:
            return False
        self._inbox.collect()
        data = bytes(self._inbox.unsent[0].data)
        self._inbox.unsent[0].data.clear()
        if data:
            server.receive_data(data)
            self.requests += [event.request for event in server.events() if isinstance(event, RequestReceived)]
            if self.answers:
                requests, self.requests = self.requests, []
                for request in requests:
                    self._answer(request)
        answer = server.data_to_send()
        if answer:
            self._driven.receive_data(answer, self.now)
            self._pump()
        elif not data and server.state is ConnectionState.CLOSED:
            self._lose_server()
            self._driven.receive_eof()
            self._pump()
            return True
        return bool(data or answer)

    def _answer(self, request: ServerRequest) -> None:
        assert self.server is not None
        if self.refuses(request):
            self.server.refuse(request, 105111, "no")
        elif request.kind is RequestKind.CONDITION_LIST:
            self.server.accept(request, data=[[seq, name] for seq, name in self.conditions.items()])
        elif request.kind is RequestKind.CONDITION_SEARCH:
            found = [{"jmcode": f"A{code}"} for code in self.found]
            self.server.answer(request, seq=request.members["seq"], return_code=0, data=found)
        elif request.kind is RequestKind.CONDITION_CLEAR:
            self.server.answer(request, seq=request.members["seq"], return_code=0, return_msg="")
        else:
            self.server.accept(request)

    def _lose_server(self) -> None:
        self.server = None
        self.requests.clear()


class Task(Generic[T]):
    """A coroutine that is sent on by hand."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._result: list[T] = []
        self._error: BaseException | None = None
        self.is_done = False

    def go_on(self) -> bool:
        """Let it go on until it waits for something that has not happened; return whether it is done."""
        for _ in range(20):
            if self.is_done:
                break
            try:
                self._coroutine.send(None)
            except StopIteration as end:
                self._result.append(end.value)
                self.is_done = True
            except BaseException as error:
                self._error = error
                self.is_done = True
        return self.is_done

    def cancel(self) -> None:
        """Cancel it."""
        with pytest.raises(Cancelled):
            self._coroutine.throw(Cancelled())
        self.is_done = True

    def result(self) -> T:
        """Return or raise what it came to."""
        assert self.is_done
        if self._error is not None:
            raise self._error
        return self._result[0]


class Cancelled(BaseException):
    """A task is cancelled."""
