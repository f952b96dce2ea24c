"""The REST client of threads that block: every call of the async one as a plain function."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

from kiwoom_proto import Endpoint, KiwoomError
from kiwoom_proto.client.rest import Pages as AsyncPages
from kiwoom_proto.client.rest import Rows as AsyncRows
from kiwoom_proto.config import RestConfig
from kiwoom_proto.rest.call import Asked, DryRun, Page
from kiwoom_proto.rest.pages import PagesEnd
from kiwoom_proto.rest.reply import ListReply, Reply, Row

from ..rest import RestClient as AsyncRestClient
from .bridge import Bridge
from .not_async import NotAsync

__all__ = ("Pages", "RestClient", "Rows")

R = TypeVar("R", bound=Reply)
RowT = TypeVar("RowT", bound=Row)


class Pages(NotAsync, Generic[R]):
    """The pages of one request, asked for as they are iterated: `for page in api.pages(request):`."""

    def __init__(self, bridge: Bridge[AsyncRestClient], source: AsyncPages[R]) -> None:
        self._bridge = bridge
        self._source = source

    @property
    def end(self) -> PagesEnd | None:
        """Why there is no further page: complete, limit, refused, repeated; None: there may be one."""
        return self._source.end

    @property
    def error(self) -> KiwoomError | None:
        """What went wrong, if it did."""
        return self._source.error

    @property
    def count(self) -> int:
        """How many pages there were."""
        return self._source.count

    @property
    def next_key(self) -> str:
        """The key of the next page. After a limit or a refusal, `pages(..., next_key=...)` continues there."""
        return self._source.next_key

    def __iter__(self) -> Iterator[Page[R]]:
        return self

    def __next__(self) -> Page[R]:
        try:
            return self._bridge.wait(self._source.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None

    def __repr__(self) -> str:
        return repr(self._source)


class Rows(NotAsync, Generic[RowT]):
    """The rows of one request, page after page: `for row in api.rows(request):`."""

    def __init__(self, bridge: Bridge[AsyncRestClient], source: AsyncRows[RowT]) -> None:
        self._bridge = bridge
        self._source = source

    @property
    def end(self) -> PagesEnd | None:
        """Why there is no further row: complete, limit, refused, repeated; None: there may be one."""
        return self._source.end

    @property
    def error(self) -> KiwoomError | None:
        """What went wrong, if it did."""
        return self._source.error

    @property
    def count(self) -> int:
        """How many rows there were."""
        return self._source.count

    @property
    def next_key(self) -> str:
        """The key of the page behind the rows so far. After a refusal, `rows(..., next_key=...)` continues there.

        "" if there is no further page, or if rows of the last one are left, as a limit may leave them.
        """
        return self._source.next_key

    def __iter__(self) -> Iterator[RowT]:
        return self

    def __next__(self) -> RowT:
        while (row := self._source._pop()) is None:
            try:
                self._bridge.wait(self._source._refill)
            except StopAsyncIteration:
                raise StopIteration from None
        return row

    def __repr__(self) -> str:
        return repr(self._source)


class RestClient(NotAsync):
    """Calls TRs of the REST interface, for threads that block. Made by `rest` and `open_rest`.

    Any thread may call, several at once: they share the connections, the token, and the rate that the server allows. An
    async function may not: it would hold up its event loop. Ctrl-C ends every wait. If it ends that of an order which
    has been sent, the `KeyboardInterrupt` is raised from `OrderOutcomeUnknown`, its `__cause__`: look the order up.
    """

    def __init__(self, bridge: Bridge[AsyncRestClient]) -> None:
        self._bridge = bridge
        self._source = bridge.source
        self._finalizer = bridge.close_at_exit(self)

    @property
    def endpoint(self) -> Endpoint:
        """Whose REST interface."""
        return self._source.endpoint

    @property
    def config(self) -> RestConfig:
        """Deadlines and limits."""
        return self._source.config

    def call(self, request: Asked[R]) -> R:
        """Call a TR, and return its reply: of a list, the first page. Args and errors as for the async client."""
        return self._bridge.wait(functools.partial(self._source.call, request))

    def page(self, request: Asked[R], *, cont_yn: str = "", next_key: str = "") -> Page[R]:
        """Call a TR, and return its reply with the key of the next page. Args and errors as for the async client."""
        return self._bridge.wait(functools.partial(self._source.page, request, cont_yn=cont_yn, next_key=next_key))

    def pages(self, request: Asked[R], *, limit: int | None = None, next_key: str = "") -> Pages[R]:
        """Return the pages of a request, to iterate. Args and errors as for the async client."""
        make: Any = functools.partial(self._source.pages, request, limit=limit, next_key=next_key)
        return Pages(self._bridge, self._bridge.call(make))

    def rows(self, request: Asked[ListReply[RowT]], *, limit: int | None = None, next_key: str = "") -> Rows[RowT]:
        """Return the rows of a request with a list, page after page. Args and errors as for the async client."""
        make: Any = functools.partial(self._source.rows, request, limit=limit, next_key=next_key)
        return Rows(self._bridge, self._bridge.call(make))

    def dry_run(self, request: Asked[Any], *, cont_yn: str = "", next_key: str = "") -> DryRun:
        """Return what `call` would send, without sending it. Secrets and account numbers are masked."""
        return self._source.dry_run(request, cont_yn=cont_yn, next_key=next_key)

    def close(self) -> None:
        """Take back all calls, close the connections, and end the thread. Again, it does nothing."""
        self._end(None)

    def __enter__(self) -> Self:
        self._bridge.check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        self._bridge.close(error)
        self._finalizer.detach()

    if not TYPE_CHECKING:  # type checkers find this mistake because there is no such attribute

        @property
        def aclose(self) -> NoReturn:
            problem = f"{type(self).__name__!r} object has no attribute 'aclose'"
            raise AttributeError(f"{problem}: write `api.close()`, or leave its block", name="aclose", obj=self)

    def __repr__(self) -> str:
        return repr(self._source)
