"""Call: one request of a TR and its answer, as bytes out and in.

What travels: a POST whose `api-id` names the TR and whose body holds the elements. The answer is JSON; `cont-yn` and
`next-key` of its head say whether there is another page. To get that, the same body is sent again, with both as headers
[measured].

* Nothing is followed, unpacked or waited for that was not asked for: a redirection, a compressed answer, an answer
  without an end are `UnreadableReply`.
* Nothing in an answer raises. `Call.outcome` is a `Page`, or an error.
* A token is a `Secret` until the bytes of the request are made.

`dry_run` shows what would be sent.
"""

from __future__ import annotations

import functools
from typing import Any, Generic, Protocol, TypeVar

import attrs
import msgspec

from ..display import MESSAGE_LIMIT, displayed, quoted
from ..endpoint import Endpoint
from ..errors import KiwoomError, LocalProtocolError, TransportError
from ..headers import MAX_SHOWN, describe_page, read_words
from ..secrets import MASK, Redaction, Secret, conceal, redact
from ..wire.http import HttpAnswer, HttpConnection, request_bytes
from ..wire.members import read_members
from ..wire.outcome import read_outcome
from .errors import RestError, UnreadableReply, read_failure
from .reply import Reply

__all__ = ("Asked", "Call", "DryRun", "Page", "check_cursor", "dry_run", "is_order")

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

USER_AGENT = "kiwoom-proto"
"""A firewall in front of the server was seen to refuse the default of an HTTP library."""
MAX_KEY = 1000
"""Characters of a next-key that are sent back. The documented length is 50."""
QUERIES = frozenset({"read", "account_read"})
"""What may be sent again without harm. Everything else is an order, or changes something as an order does."""


class Asked(Protocol[R_co]):
    """The interface that a call needs of a request. The requests of the catalogue have it."""

    # Properties, since pyright takes what a generated class assigns without annotation for no class variable.
    @property
    def api_id(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def safety(self) -> str: ...
    def to_json(self) -> bytes: ...
    def to_dict(self) -> dict[str, Any]: ...
    def decode(self, body: bytes) -> R_co: ...


def is_order(request: Asked[Any]) -> bool:
    """Return whether sending this request twice could do something twice."""
    return request.safety not in QUERIES


@attrs.frozen
class Page(Generic[R]):
    """A reply, and where it continues.

    Attributes:
        reply: the reply.
        cont_yn: "Y" if the server says that there is more (연속조회여부), as received.
        next_key: the key to ask for it with (연속조회키), as received.
    """

    reply: R = attrs.field()
    cont_yn: str = attrs.field(default="", repr=quoted)
    next_key: str = attrs.field(default="", repr=lambda key: quoted(redact(key)))

    @property
    def is_last(self) -> bool:
        """Whether the server names no further page. "Y" without a key names none either [measured]."""
        return self.cont_yn.strip().upper() != "Y" or not self.next_key.strip()


def check_cursor(cont_yn: object, next_key: object) -> None:
    """Raise LocalProtocolError if these cannot be sent as cont-yn and next-key. Both may be empty."""
    for name, value, limit in (("cont-yn", cont_yn, 1), ("next-key", next_key, MAX_KEY)):
        if not isinstance(value, str) or len(value) > limit:
            raise LocalProtocolError(f"{name}: must be a str of at most {limit} characters")
        if not (value.isascii() and value.isprintable()):
            raise LocalProtocolError(f"{name}: must be printable ASCII, not {quoted(redact(value))}")


@functools.lru_cache(maxsize=16)
def _usual_headers(endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    """Return the headers that every request to an endpoint has."""
    return (
        ("Host", endpoint.rest_url("").partition("//")[2]),
        ("User-Agent", USER_AGENT),
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),
        ("Content-Type", "application/json;charset=UTF-8"),
    )


def _headers(
    request: Asked[Any], endpoint: Endpoint, token: Secret, cont_yn: str, next_key: str
) -> list[tuple[str, str | Secret]]:
    headers: list[tuple[str, str | Secret]] = [
        *_usual_headers(endpoint),
        ("authorization", Secret(f"Bearer {token.reveal()}")),
        ("api-id", request.api_id),
    ]
    if cont_yn or next_key:
        check_cursor(cont_yn, next_key)
        headers += [("cont-yn", cont_yn or "Y"), ("next-key", next_key)]
    return headers


class Call(Generic[R]):
    """One call without I/O: write `data_to_send`, read until `outcome` is there.

    Args:
        request: the request.
        endpoint: whose REST interface.
        token: the access token, without "Bearer".
        cont_yn: "Y" to continue an earlier answer.
        next_key: where to continue, from `Page.next_key`.
        connection: a connection that may carry a request; None: one of its own.
        redaction: what to mask in the server's words; None: the token.
        max_size: maximum size of the answer, if the call has a connection of its own.

    Attributes:
        request: the request.
        outcome: the page, or what went wrong; None until one of them is there. Of an order, an error does not mean that
            it was not processed: see `was_not_processed`.

    Raises:
        LocalProtocolError: `cont_yn` or `next_key` cannot be sent.
    """

    def __init__(
        self,
        request: Asked[R],
        endpoint: Endpoint,
        token: str | Secret,
        *,
        cont_yn: str = "",
        next_key: str = "",
        connection: HttpConnection | None = None,
        redaction: Redaction | None = None,
        max_size: int = 8 * 1024 * 1024,
    ) -> None:
        token = conceal(token)
        self.request = request
        self.outcome: Page[R] | KiwoomError | None = None
        self._redaction = Redaction([token]) if redaction is None else redaction
        self._http = HttpConnection(max_size) if connection is None else connection
        headers = _headers(request, endpoint, token, cont_yn, next_key)
        self._http.send(request_bytes(request.path, headers, memoryview(request.to_json())))

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and forget them; empty if there are none."""
        return self._http.data_to_send()

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Receive bytes from the network. Never raises for their content. Ignored once there is an outcome."""
        view, data = memoryview(data), b""
        if self.outcome is None:
            self._http.receive_data(view)
            self._finish()

    def receive_eof(self, error: str | None = None) -> None:
        """Receive the end of the stream; `error` says why, if it is not EOF. Repeating it does nothing."""
        if self.outcome is None:
            self._http.receive_eof(error)
            self._finish()

    def result(self) -> Page[R]:
        """Return the page.

        Raises:
            RestError: the server refused, or its answer is not what it should be.
            RemoteProtocolError: the answer is not HTTP.
            TransportError: the network failed.
            LocalProtocolError: there is no outcome yet.
        """
        if self.outcome is None:
            raise LocalProtocolError("result: the call is not finished")
        if isinstance(self.outcome, KiwoomError):
            raise self.outcome
        return self.outcome

    def __repr__(self) -> str:
        return f"<Call {displayed(self.request.api_id)}, {'under way' if self.outcome is None else 'finished'}>"

    # Inside.

    def _finish(self) -> None:
        """Read the outcome of the HTTP request, once it is there."""
        answer = self._http.outcome
        if isinstance(answer, HttpAnswer):
            self.outcome = self._judge(answer)
        elif isinstance(answer, TransportError):
            self.outcome = type(answer)(f"{self.request.api_id}: {answer}")
        elif answer is not None:
            self.outcome = UnreadableReply(str(answer), api_id=self.request.api_id)

    def _judge(self, answer: HttpAnswer) -> Page[R] | RestError:
        coding = answer.header("content-encoding").lower()
        body = answer.body if coding in ("", "identity") else b""
        failure = read_failure(self.request.api_id, answer.status, answer.headers, body, self._redaction)
        if answer.ok and not answer.is_whole and describe_page(answer.headers, body) is None:
            limit = self._http.max_size
            failure = self._unreadable(f"the answer has more than {limit:,} bytes (max_answer_size)", answer)
        elif answer.ok and body is not answer.body:
            failure = self._unreadable(f"the answer is compressed ({coding}), which was not asked for", answer)
        if failure is not None:
            return failure
        if is_order(self.request) and (outcome := read_outcome(body)) is not None and outcome.says_nothing_of_an_order:
            return self._unreadable("the answer has neither a return_code nor the number of an order", answer)
        try:
            reply = self.request.decode(body)
        except RestError as error:
            return error
        except KiwoomError as error:
            return self._unreadable(str(error), answer)
        if isinstance(reply, Reply) and reply.return_code is None and not reply.names_any(read_members(body) or ()):
            words = f"the answer has neither a return_code nor any element of {self.request.api_id}"
            return self._unreadable(": ".join(filter(None, (words, read_words(body)))), answer)
        return Page(reply, answer.header("cont-yn"), answer.header("next-key"))

    def _unreadable(self, reason: str, answer: HttpAnswer) -> UnreadableReply:
        words = self._redaction.words(reason)[:MAX_SHOWN]
        return UnreadableReply(words, status=answer.status, api_id=self.request.api_id)


@attrs.frozen
class DryRun:
    """What a call would send. Tokens, keys and account numbers are masked.

    Attributes:
        method: "POST".
        url: the URL.
        headers: names and values.
        body: the elements, as JSON.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str

    def __str__(self) -> str:
        lines = [f"{self.method} {self.url}", *(f"{name}: {value}" for name, value in self.headers), "", self.body]
        return "\n".join(displayed(line, MESSAGE_LIMIT) for line in lines)


def dry_run(request: Asked[Any], endpoint: Endpoint, *, cont_yn: str = "", next_key: str = "") -> DryRun:
    """Return what would be sent for a request, without sending it.

    Raises:
        LocalProtocolError: `cont_yn` or `next_key` cannot be sent.
    """
    headers = _headers(request, endpoint, Secret(MASK), cont_yn, next_key)
    shown = tuple((name, f"Bearer {MASK}" if isinstance(value, Secret) else redact(value)) for name, value in headers)
    body = msgspec.json.encode(Redaction().reply(request.to_dict())).decode()
    return DryRun("POST", endpoint.rest_url(request.path), shown, body)
