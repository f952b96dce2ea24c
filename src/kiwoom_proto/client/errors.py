"""What only a client raises, at the call or iteration that waits. Sessions and connections report it as events.

KiwoomError
├── RequestRefused         the server refused a request
├── DeadlineExceeded
│   └── RequestTimeout     a condition request was not answered
├── BufferOverflow         the consumer was too slow for the overflow policy
└── ConnectionLost         the session ended, and not by `aclose`
"""

from __future__ import annotations

from types import TracebackType

from ..codes import explain_code
from ..display import MESSAGE_LIMIT, displayed
from ..errors import DeadlineExceeded, KiwoomError
from ..events import Closed
from ..request import Request

__all__ = ("BufferOverflow", "ConnectionLost", "Failure", "RequestRefused", "RequestTimeout", "add_failure")


class RequestRefused(KiwoomError):
    """The server refused a request.

    Attributes:
        request: the `Request` that was refused.
        code: `return_code` of the reply, as a str; "" if the session refused it itself.
        message: `return_msg`, as received.
    """

    def __init__(self, request: Request, code: str, message: str) -> None:
        super().__init__(request, code, message)
        self.request = request
        self.code = code
        self.message = message

    def _text(self) -> str:
        if not self.code:  # the session's own refusal, not the server's
            return f"{self.request}: {displayed(self.message, MESSAGE_LIMIT)}"
        text = f"{self.request} refused with code {explain_code(self.code, self.message)}"
        if self.request.confirmed:
            text += f" ({self.request.confirmed} of its {self.request.parts} messages had been accepted)"
        return text


class RequestTimeout(DeadlineExceeded):
    """A condition request was not answered in time. The connection stays open, and everything else goes on.

    Attributes:
        request: the `Request`.
    """

    def __init__(self, request: Request, seconds: float) -> None:
        super().__init__("ack", seconds)
        self.args = (request, seconds)
        self.request = request

    def _text(self) -> str:
        return f"{self.request} was not answered within {self.seconds:g} s (ack_timeout)"


class BufferOverflow(KiwoomError):
    """More events are queued than `ClientConfig.buffer_size` or `buffer_bytes` allows, and none may be dropped."""


class ConnectionLost(KiwoomError):
    """The session ended, and the program had not asked for it.

    Attributes:
        closed: the `Closed` event, which says why.
        was_asked: whether the program has closed the client, and went on to use it.
    """

    def __init__(self, closed: Closed, was_asked: bool = False) -> None:
        super().__init__(closed, was_asked)
        self.closed = closed
        self.was_asked = was_asked

    def _text(self) -> str:
        if self.was_asked:
            return "the client is closed: its block was left, or aclose() was called; use it before, or connect again"
        return str(self.closed)


class Failure:
    """What a client's own task raised: a bug of this library, which every call from then on raises.

    Args:
        error: what it raised.
    """

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self._traceback: TracebackType | None = error.__traceback__
        self._context = error.__context__

    @property
    def error(self) -> BaseException:
        """The error, to raise. Its traceback shows where it came from, and not who has raised it since."""
        self._error.__context__ = self._context
        return self._error.with_traceback(self._traceback)


def add_failure(error: BaseException, failure: BaseException) -> None:
    """Have the traceback of a block's error show the failure of a client's own tasks too, if it does not yet.

    The block's error is the one that is raised: what the program does about it does not depend on a bug of ours.

    Args:
        error: what the block raised.
        failure: what the client's own tasks raised meanwhile.
    """
    shown = _chain(error)
    if all(each is not failure for each in shown) and all(each is not error for each in _chain(failure)):
        shown[-1].__context__ = failure


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error, what it was raised from or after, and so on."""
    chain = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None:
        if any(each is before for each in chain):
            break
        chain.append(before)
    return chain
