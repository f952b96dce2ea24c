"""PageCursor: which page to ask for next, and why there is none.

Facts [measured]: the next page is asked for with the `next-key` of the last one and the same body. The end is "cont-yn
N", or an empty next-key, or a page without rows. Some TRs never say that they are at the end, and a refusal for coming
too fast between two pages looks like the end to those who read the return code alone.

A list therefore ends in one of five ways, and the cursor says which:

    COMPLETE   the server says that there is no more
    LIMIT      as many pages as the caller wanted
    REFUSED    a page could not be had: the rows so far are good, the rest is missing; `error` says why
    REPEATED   the server names a page that was there before: `error` says so
    None       it has not ended

A cursor keeps two keys, however many pages there are. A key that names the page it came with is noticed at once. A
longer circle is noticed when one of its keys comes again that was kept: the cursor keeps the first, the second, the
fourth, the eighth ... key until the next of these, so before the circle has been run through three times.
"""

from __future__ import annotations

import enum
from typing import Any, Generic, TypeVar

from ..display import quoted
from ..errors import KiwoomError, LocalProtocolError
from ..secrets import redact
from .call import Asked, Page, check_cursor
from .errors import RepeatedCursor, UnreadableReply

__all__ = ("PageCursor", "PagesEnd")

R = TypeVar("R")


class PagesEnd(enum.Enum):
    """Why a list of pages has ended."""

    COMPLETE = "complete"
    """The server says that there is no more."""
    LIMIT = "limit"
    """As many pages as the caller wanted. `PageCursor.next_key` continues."""
    REFUSED = "refused"
    """A page could not be had. The rest is missing; `PageCursor.next_key` asks for it again."""
    REPEATED = "repeated"
    """The server names a page that was there before."""


class PageCursor(Generic[R]):
    """Where the pages of one request have come to. Call with `cont_yn` and `next_key`, then `add` the page.

    Args:
        request: the request, the same for all pages.
        limit: maximum number of pages; None: as many as there are.
        cont_yn: "Y" to begin in the middle, with `next_key`.
        next_key: where to begin.

    Attributes:
        request: the request.
        cont_yn: what to ask the next page with, and after the end what would continue; "" for the first page.
        next_key: likewise.
        pages: how many pages there were.
        end: why there is no next page; None: there may be one.
        error: what went wrong, if it ended in REFUSED or REPEATED; else None.

    Raises:
        LocalProtocolError: the limit is not a whole number above 0, or the cursor cannot be sent.
    """

    def __init__(self, request: Asked[R], *, limit: int | None = None, cont_yn: str = "", next_key: str = "") -> None:
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit <= 0):
            raise LocalProtocolError(f"limit: must be a whole number above 0, or None, not {limit!r}")
        check_cursor(cont_yn, next_key)
        self.request = request
        self.cont_yn = cont_yn
        self.next_key = next_key
        self.pages = 0
        self.end: PagesEnd | None = None
        self.error: KiwoomError | None = None
        self._limit = limit
        self._kept = next_key
        self._keep_at = 1  # the number of the page whose key is kept next

    def add(self, page: Page[R]) -> PagesEnd | None:
        """Note a page. Returns why it is the last, or None."""
        self._check_open()
        self.pages += 1
        asked, self.cont_yn, self.next_key = self.next_key, "", ""
        rows: Any = getattr(page.reply, "rows", None)
        if page.is_last or (rows is not None and not len(rows)):
            self.end = PagesEnd.COMPLETE
            return self.end
        try:
            check_cursor(page.cont_yn, page.next_key)
        except LocalProtocolError as error:
            self.error = UnreadableReply(
                f"the server's cursor cannot be sent back: {error}", api_id=self.request.api_id
            )
            self.end = PagesEnd.REFUSED
            return self.end
        if page.next_key in (asked, self._kept):
            words = f"page {self.pages} names a next page that was there before: {quoted(redact(page.next_key))}"
            self.error = RepeatedCursor(words, api_id=self.request.api_id)
            self.end = PagesEnd.REPEATED
            return self.end
        self.cont_yn, self.next_key = page.cont_yn, page.next_key
        if self.pages >= self._keep_at:
            self._kept = page.next_key
            self._keep_at *= 2
        if self._limit is not None and self.pages >= self._limit:
            self.end = PagesEnd.LIMIT
        return self.end

    def failed(self, error: KiwoomError) -> PagesEnd:
        """Note that the page could not be had. `cont_yn` and `next_key` still name it."""
        self._check_open()
        self.error = error
        self.end = PagesEnd.REFUSED
        return self.end

    def _check_open(self) -> None:
        if self.end is not None:
            raise LocalProtocolError(f"the pages have ended: {self.end.value}")

    def __repr__(self) -> str:
        state = "not at the end" if self.end is None else self.end.value
        return f"<PageCursor {self.request.api_id}, {self.pages} pages, {state}>"
