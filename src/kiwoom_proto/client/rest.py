"""Calls of the REST interface, on any event loop: what a program does with `rest(...)`, and how its calls wait.

    async with kiwoom_asyncio.rest(PRODUCTION, token=AppKey.from_env()) as api:
        reply = await api.call(rest.StockQuote(stk_cd="005930"))
        async for row in api.rows(rest.StockTrades(stk_cd="005930"), limit=900):
            ...

When and on which connection a call leaves, whether it is sent again, and what a refusal means is decided in
`rest.dispatcher`. Here:

* A call waits for its outcome. Errors are raised as they are.
* If the caller is cancelled, its call is taken back. A query is gone. An order that has been sent may have been
  processed: the call then raises `OrderOutcomeUnknown` instead of ending silently, or returns the reply if it is there.
* Pages are asked for when they are iterated, one at a time: memory does not grow with their number. Every iteration
  says at its end why it ended (`Pages.end`). If a page cannot be had, the error is raised after all rows before it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, Self, TypeVar

from ..config import RestConfig
from ..endpoint import Endpoint
from ..errors import KiwoomError, LocalProtocolError
from ..rest.call import Asked, DryRun, Page, dry_run
from ..rest.errors import CallCancelled
from ..rest.pages import PageCursor, PagesEnd
from ..rest.reply import ListReply, Reply, Row
from ..rest.ticket import Ticket
from .errors import Failure
from .own_loop import AnyEvent, Place
from .rest_pump import BaseRestPump

__all__ = ("BaseRestClient", "Pages", "Rows")

R = TypeVar("R", bound=Reply)
RowT = TypeVar("RowT", bound=Row)

WITHOUT_ASYNC = "without async, use kiwoom_asyncio.blocking.rest(...)"
AFTER_THE_BLOCK = (
    "the REST client is closed: its block was left, or aclose() was called; use it before, or make another one"
)


class _Source(Protocol):
    """What pages are asked from."""

    async def page(self, request: Asked[R], *, cont_yn: str = "", next_key: str = "") -> Page[R]: ...


class Pages(Generic[R]):
    """The pages of one request, asked for as they are iterated. Made by `pages`."""

    def __init__(self, source: _Source, cursor: PageCursor[R]) -> None:
        self._source = source
        self._cursor = cursor
        self._is_asking = False
        self._has_raised = False

    @property
    def end(self) -> PagesEnd | None:
        """Why there is no further page: complete, limit, refused, repeated; None: there may be one."""
        return self._cursor.end

    @property
    def error(self) -> KiwoomError | None:
        """What went wrong, if it did."""
        return self._cursor.error

    @property
    def count(self) -> int:
        """How many pages there were."""
        return self._cursor.pages

    @property
    def next_key(self) -> str:
        """The key of the next page. After a limit or a refusal, `pages(..., next_key=...)` continues there."""
        return self._cursor.next_key

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page[R]:
        cursor = self._cursor
        if cursor.end is not None:
            if cursor.error is not None and not self._has_raised:
                self._has_raised = True
                raise cursor.error
            raise StopAsyncIteration
        if self._is_asking:
            raise LocalProtocolError(
                "another task is iterating these pages: each is asked for with the key of the last one"
            )
        self._is_asking = True
        try:
            page = await self._source.page(cursor.request, cont_yn=cursor.cont_yn, next_key=cursor.next_key)
        except LocalProtocolError:
            raise  # nothing was asked
        except KiwoomError as error:
            cursor.failed(error)
            self._has_raised = True
            raise
        finally:
            self._is_asking = False
        cursor.add(page)
        return page

    def __repr__(self) -> str:
        return f"<Pages {self._cursor!r}>"

    if not TYPE_CHECKING:  # type checkers find this mistake because the method is missing

        def __iter__(self) -> NoReturn:
            raise TypeError(f"write `async for page in api.pages(...)`; {WITHOUT_ASYNC}")


class Rows(Generic[RowT]):
    """The rows of one request, page after page. Made by `rows`."""

    def __init__(self, pages: Pages[ListReply[RowT]], limit: int | None) -> None:
        self._pages = pages
        self._limit = limit
        self._waiting: list[RowT] = []  # last first
        self._count = 0

    @property
    def end(self) -> PagesEnd | None:
        """Why there is no further row: complete, limit, refused, repeated; None: there may be one."""
        if self._pages.end is PagesEnd.COMPLETE and not self._waiting:
            return PagesEnd.COMPLETE
        if self._count == self._limit:
            return PagesEnd.LIMIT
        return None if self._waiting else self._pages.end

    @property
    def error(self) -> KiwoomError | None:
        """What went wrong, if it did."""
        return self._pages.error

    @property
    def count(self) -> int:
        """How many rows there were."""
        return self._count

    @property
    def next_key(self) -> str:
        """The key of the page behind the rows so far. After a refusal, `rows(..., next_key=...)` continues there.

        "" if there is no further page, or if rows of the last one are left, as a limit may leave them.
        """
        return "" if self._waiting else self._pages.next_key

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RowT:
        while (row := self._pop()) is None:
            await self._refill()
        return row

    def _pop(self) -> RowT | None:
        """Return the next row that is at hand; None: `_refill` first. Other threads may call this."""
        if self._count == self._limit or not self._waiting:
            return None
        self._count += 1
        return self._waiting.pop()

    async def _refill(self) -> None:
        if self._count == self._limit:
            raise StopAsyncIteration
        page = await anext(self._pages)
        self._waiting = [*reversed(page.reply.rows), *self._waiting]

    def __repr__(self) -> str:
        return f"<Rows {self._count}, of {self._pages!r}>"

    if not TYPE_CHECKING:  # type checkers find this mistake because the method is missing

        def __iter__(self) -> NoReturn:
            raise TypeError(f"write `async for row in api.rows(...)`; {WITHOUT_ASYNC}")


class BaseRestClient(abc.ABC):
    """What the REST clients of all event loops share.

    Args:
        make_pump: makes the pump, given what to tell of outcomes.
    """

    def __init__(self, make_pump: Callable[[Callable[[list[Ticket[Any]]], None]], BaseRestPump]) -> None:
        self._place = self._here()
        self._waiting: dict[Ticket[Any], AnyEvent] = {}
        self._failure: Failure | None = None  # of the client's own task: a bug of this library
        self._pump = make_pump(self._settle)
        self._dispatcher = self._pump.dispatcher

    @property
    def endpoint(self) -> Endpoint:
        """Whose REST interface."""
        return self._dispatcher.endpoint

    @property
    def config(self) -> RestConfig:
        """Deadlines and limits."""
        return self._dispatcher.config

    async def call(self, request: Asked[R]) -> R:
        """Call a TR, and return its reply: of a list, the first page.

        A query is sent again where that may help, and waits its turn where the server limits the rate. An order is sent
        once. If the caller is cancelled, a query is given up; an order that has been sent raises `OrderOutcomeUnknown`.

        Args:
            request: a request of the catalogue: `rest.StockQuote(stk_cd="005930")`.

        Raises:
            RestError: the server refused, or its answer is not what it should be; see `kiwoom_proto.rest.errors`.
            OrderOutcomeUnknown: nobody knows whether the order was processed. Look it up before you send it again.
            TransportError: the network failed.
            TokenError: no access token could be obtained.
            DeadlineExceeded: no answer came in time.
            CallCancelled: the client was closed meanwhile.
            LocalProtocolError: the client is closed, or the call comes from another thread or event loop.
        """
        return (await self.page(request)).reply

    async def page(self, request: Asked[R], *, cont_yn: str = "", next_key: str = "") -> Page[R]:
        """Call a TR, and return its reply with the key of the next page. Args and errors as for `call`.

        Args:
            request: the request, the same for all pages.
            cont_yn: "Y" to continue, from `Page.cont_yn`.
            next_key: where to continue, from `Page.next_key`.
        """
        self._check_open()
        if isinstance(request, type) or not hasattr(request, "to_json"):
            shown = request.__name__ if isinstance(request, type) else type(request).__name__
            raise LocalProtocolError(
                f"request: must be a request of the catalogue, such as rest.StockQuote(stk_cd=...), not {shown}"
            )
        ticket = self._dispatcher.submit(request, cont_yn=cont_yn, next_key=next_key)
        event = self._waiting[ticket] = self._new_event()
        self._pump.pump()
        try:
            await event.wait()
        except BaseException as cancelled:
            self._waiting.pop(ticket, None)
            self._dispatcher.cancel(ticket)
            self._pump.pump()
            was_sent = ticket.is_order and not isinstance(ticket.outcome, CallCancelled)
            if not was_sent or isinstance(cancelled, GeneratorExit):
                raise
            # Whoever is cancelled must know what became of an order.
        if ticket.outcome is None:
            assert self._failure is not None
            raise self._failure.error
        return ticket.result()

    def pages(self, request: Asked[R], *, limit: int | None = None, next_key: str = "") -> Pages[R]:
        """Return the pages of a request, to iterate: `async for page in api.pages(request):`.

        Its `end` says why it ended. A page that cannot be had raises, after all pages before it; errors as for `call`.

        Args:
            request: the request.
            limit: maximum number of pages; None: as many as there are.
            next_key: where to begin, from `Page.next_key` or `Pages.next_key`; "" for the first page.

        Raises:
            LocalProtocolError: the limit is not a whole number above 0, or the key cannot be sent.
            RepeatedCursor: in the iteration: the server names a page that was there before.
        """
        self._check_open()
        return Pages(self, PageCursor(request, limit=limit, cont_yn="Y" if next_key else "", next_key=next_key))

    def rows(self, request: Asked[ListReply[RowT]], *, limit: int | None = None, next_key: str = "") -> Rows[RowT]:
        """Return the rows of a request with a list, page after page: `async for row in api.rows(request, limit=900):`.

        Args:
            request: the request.
            limit: maximum number of rows; None: as many as there are. No page is asked for without need.
            next_key: where to begin, from `Rows.next_key`; "" for the first page.

        Raises:
            LocalProtocolError: the TR has no list, the limit is not a whole number above 0, or the key cannot be sent.
            KiwoomError: in the iteration: as for `pages`.
        """
        self._check_open()
        if getattr(request, "list_element", "") is None:
            raise LocalProtocolError(f"{request.api_id}: its reply has no list; use call, or pages")
        PageCursor(request, limit=limit)  # which refuses a wrong limit
        return Rows(self.pages(request, next_key=next_key), limit)

    def dry_run(self, request: Asked[Any], *, cont_yn: str = "", next_key: str = "") -> DryRun:
        """Return what `call` would send, without sending it. Secrets and account numbers are masked."""
        return dry_run(request, self.endpoint, cont_yn=cont_yn, next_key=next_key)

    async def aclose(self) -> None:
        """Take back all calls, and close the connections. An order under way raises `OrderOutcomeUnknown`."""
        self._place.check(self._here(), self._hand_over)
        self._close()

    if not TYPE_CHECKING:  # type checkers find these mistakes because the methods are missing

        @property
        def close(self) -> NoReturn:
            # No `__getattr__`: with one, Python reads every attribute of a client the slow way.
            problem = f"{type(self).__name__!r} object has no attribute 'close'"
            raise AttributeError(f"{problem}: write `await api.aclose()`, or leave its block", name="close", obj=self)

        def __aenter__(self) -> NoReturn:
            raise TypeError(
                "the REST client is open already: use it as it is, and write `await api.aclose()` in the end; a block "
                "is `async with rest(...) as api:`"
            )

        def __aexit__(self, *error: object) -> None:
            """Never called: `__aenter__` raises."""

        def __enter__(self) -> NoReturn:
            raise TypeError(f"write `async with rest(...) as api:`; {WITHOUT_ASYNC}")

        def __exit__(self, *error: object) -> None:
            """Never called: `__enter__` raises."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.endpoint.rest_url('')}{', closed' if self._dispatcher.is_closed else ''}>"

    # What the subclasses provide.

    @abc.abstractmethod
    def _here(self) -> Place:
        """Return where the caller runs."""

    @property
    @abc.abstractmethod
    def _hand_over(self) -> str:
        """How another thread hands a call over to the loop."""

    @abc.abstractmethod
    def _new_event(self) -> AnyEvent:
        """Return an event that is not set."""

    # Inside.

    def _check_open(self) -> None:
        self._place.check(self._here(), self._hand_over)
        if self._failure is not None:
            raise self._failure.error
        if self._dispatcher.is_closed:
            raise LocalProtocolError(AFTER_THE_BLOCK)

    def _close(self) -> None:
        self._dispatcher.close()
        self._pump.pump()

    def _held_up(self) -> KiwoomError | None:
        """Return why a call is to be sent again, and waits for that; None if none does."""
        return next((ticket.held_up for ticket in self._waiting if ticket.held_up is not None), None)

    def _settle(self, tickets: list[Ticket[Any]]) -> None:
        for ticket in tickets:
            event = self._waiting.pop(ticket, None)
            if event is not None:
                event.set()

    def _fail(self, failure: BaseException) -> None:
        """Wake whoever waits: the client's own task has failed."""
        self._failure = Failure(failure)
        waiting, self._waiting = self._waiting, {}
        for event in waiting.values():
            event.set()
