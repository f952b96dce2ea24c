"""Conversation: what a client and Kiwoom say to each other over one WebSocket, as whole messages in and out.

THEORY OF OPERATION

Three inputs drive it and nothing else: calls, what is received, and one deadline. It owns no socket, task, clock or
WebSocket. Whoever has the WebSocket reports what it does (`receive_opened`, `receive_message`, `receive_close`) and
sends what comes out (`messages_to_send`). `ClientConnection` is one that has a WebSocket of its own.

* Its life is in the tables of `lifecycle`. LOGIN is queued as soon as the WebSocket is open, the echo of a PING as soon
  as that is read: before any consumer of events can be slow.
* Requests wait in a `RequestQueue` until READY. It paces them and credits the replies; `Answers` says what these mean.
  A REG or REMOVE whose reply is overdue ends the connection; a condition request is given up alone.
* The `IdleTimer` restarts with everything that is received.
* What the connection was lost for (`ended_by`): a ping follows a REG or REMOVE. If its pong comes and the reply does
  not, the message is to blame, and so it is if the server closes with a code of `BLAMING_CODES`.
* The end is one `Closed` event, the last one, which says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

from ..codes import TAKEN_OVER, reason_in
from ..config import ClientConfig
from ..endpoint import Endpoint, checked_config
from ..errors import ClosedByPeer, DeadlineExceeded, KiwoomError, LocalProtocolError, LoginRefused, RemoteProtocolError
from ..events import Batch, Closed, Event, LoggedIn, LoginRefusal, Numbering, Opened, SystemNotice, UnknownMessage
from ..headers import RequestHeader, ResponseHeader, header_secrets
from ..realtime.catalogue import extended_catalogue
from ..realtime.record import Record
from ..request import Request
from ..secrets import Redaction, Secret, conceal
from ..symbol import Symbol
from ..wire import messages as wire
from ..wire.decoder import MessageDecoder
from ..wire.messages import Login, Message, Ping, Reg, Remove, Reply
from ..wire.registration import checked, registration, removal
from ..wire.rfc6455 import check_close
from ..wire.tolerant import Message as Decoded
from .answers import Answer, Answers, unexpected
from .capture import Capture
from .idle import IdleTimer
from .lifecycle import (
    CLOSED,
    CLOSING,
    CONNECTING,
    LEGAL,
    LOGGING_IN,
    PHASE,
    READY,
    TRANSITIONS,
    ConnectionState,
    Trigger,
)
from .outbox import Outbox
from .request_queue import RequestQueue

__all__ = ("ConnectionState", "Conversation")

PING = {"trnm": "PING"}
BLAMING_CODES = frozenset({1002, 1003, 1007, 1008, 1009, 1010, 1011})
"""Close codes with which a server says that it could not take what it was sent (RFC 6455, 7.4.1)."""

ROWLESS_MESSAGES, ROWLESS_SIZE = 1024, 128
"""Messages without rows accepted from one read: this many, and one more for each so many bytes."""


class Conversation:
    """One login to Kiwoom over one WebSocket, without I/O. Single use.

    Args:
        endpoint: where the WebSocket connects to; items that it does not serve are refused here.
        config: deadlines and limits. `max_message_size` is for the WebSocket to enforce.
        clock: returns seconds, monotonic.
        numbering: where events get their numbers; defaults to one of its own.
        types: classes of rows beside those of the catalogue, or in place of one with the same type code.
        sends_pings: whether the WebSocket sends what `pings_to_send` returns and sets `pong`.
        capture: a tap on what is received and sent; None costs nothing.

    Attributes:
        endpoint, config: as given, or the defaults.
        state: the state of the connection. Read only.
        header: the documented header elements of the server's answer, once the WebSocket is open.
        ended_by: the request that the connection was lost for, once it has ended; None if for anything else.
        close_code, close_reason: what to close the WebSocket with, once `state` is CLOSING or CLOSED; None: cut it.
        redaction: what is masked in the server's words.
        outbox: what waits to be sent; the closing handshake is in `close_code`.
        pong: payload of the last pong of RFC 6455 received, set by whoever has the WebSocket; None if not known.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        config: ClientConfig | None = None,
        *,
        clock: Callable[[], float],
        numbering: Numbering | None = None,
        types: Iterable[type[Record]] = (),
        sends_pings: bool = False,
        capture: Capture | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.config = checked_config(endpoint, config)
        self.state: ConnectionState = CONNECTING
        self.header: ResponseHeader | None = None
        self.ended_by: Request | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        self.redaction = Redaction()
        self.outbox = Outbox(sends_pings=sends_pings, capture=capture)
        self.pong: bytes | None = None
        self._types = extended_catalogue(types)
        self._clock = clock
        self._sends_pings = sends_pings
        self._token: Secret | None = None
        self._connect_called = False
        self._deadline: float | None = None  # of every state but READY
        self._idle = IdleTimer(self.config.idle_timeout, sends_pings=sends_pings)
        self._probes = 0  # pings that asked whether a server that does not acknowledge hears us
        self._requests = RequestQueue(self.config.request_interval, self.config.ack_timeout)
        self._answers = Answers(self._requests, us=endpoint.us, ack_timeout=self.config.ack_timeout)
        self._numbering = Numbering() if numbering is None else numbering
        self._capture = capture
        if capture is not None:
            capture.bind(self._numbering, self._types)
        self._decoder = MessageDecoder(self._types, self._numbering, self.redaction)
        self._rowless_left = 0  # in this read
        self._events: list[Event] = []  # not a Batch yet: appending to a plain list is faster
        self._rows_only = True
        self._error: KiwoomError | None = None
        self._close_asked = False
        self._close_received: tuple[int, str] | None = None
        self._system: SystemNotice | None = None

    # What the caller asks for.

    def connect(
        self, token: str | Secret, header: RequestHeader | None = None, *, secrets: Iterable[Secret] = ()
    ) -> None:
        """Start. LOGIN with `token` follows by itself. See `ClientConnection.connect`."""
        token = conceal(token)
        wire.check_token(token)
        if self._connect_called or self.state is CLOSED:
            raise LocalProtocolError("connect: a connection is for single use; make a new one")
        secrets = (*secrets, *header_secrets(header, token))
        self._connect_called, self._token = True, token
        self.redaction.add(token, *secrets)
        if self._capture is not None:
            self._capture.add_secrets((token, *secrets))
        self._start_phase(self._clock())

    def subscribe(
        self, type: str | type[Record], *items: str | Symbol, group: str = "1", replace: bool = False
    ) -> Request:
        """Register items for one real-time type (REG). See `ClientConnection.subscribe`."""
        size = self.config.items_per_request
        return self._add(*registration(self.endpoint, self._types, size, type, items, group, replace))

    def unsubscribe(self, type: str | type[Record], *items: str | Symbol, group: str = "1") -> Request:
        """Remove registrations (REMOVE). See `ClientConnection.unsubscribe`."""
        size = self.config.items_per_request
        return self._add(*removal(self.endpoint, self._types, size, type, items, group))

    def request(self, message: Reg | Remove) -> Request:
        """Send a hand-built REG or REMOVE. See `ClientConnection.request`."""
        return self._add(checked(self.endpoint, message))

    def list_conditions(self) -> Request:
        """Request the saved conditions (CNSRLST). See `ClientConnection.list_conditions`."""
        return self._add(wire.condition_list(us=self.endpoint.us))

    def search_condition(self, seq: str, *, realtime: bool = False, next_key: str = "") -> Request:
        """Search by a condition (CNSRREQ). See `ClientConnection.search_condition`."""
        return self._add(wire.condition_search(seq, live=realtime, next_key=next_key, us=self.endpoint.us))

    def clear_condition(self, seq: str) -> Request:
        """End a live search (CNSRCLR). See `ClientConnection.clear_condition`."""
        return self._add(wire.condition_clear(seq, us=self.endpoint.us))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start closing. See `ClientConnection.close`."""
        check_close(code, reason)
        if self.state in (CLOSING, CLOSED):
            return
        self._close_asked = True
        if self.state is CONNECTING:
            self._end()
        else:
            self._start_closing(code, reason, self._clock())

    def abort(self, error: KiwoomError) -> None:
        """End at once, without a closing handshake. `Closed` says why: `error`, or what had gone wrong before."""
        self._error = self._error or error
        self._end_here()

    # What the driver does.

    def receive_opened(self, header: ResponseHeader | None = None) -> None:
        """Receive that the WebSocket is open, and the documented header elements of the server's answer, if known.

        Raises:
            LocalProtocolError: `connect` was not called, or the WebSocket was opened before.
        """
        if not self._connect_called or self.state is not CONNECTING:
            raise LocalProtocolError(f"receive_opened: the connection is {self.state.value}")
        assert self._token is not None
        self._move(Trigger.OPENED)
        self._start_phase(self._clock())
        self.header = ResponseHeader() if header is None else header
        self._report(Opened(self.header))
        # "LOGIN never sent: SYSTEM R10004 and close" [measured by several]. The token is not needed again.
        self.outbox.add(memoryview(wire.encode(Login(self._token))))
        self._token = None

    def receive_message(self, payload: bytes | str, received_at: int = 0) -> None:
        """Receive one whole message. Never raises for its content. Ignored after the end.

        After calling this method, send `messages_to_send`, and call `events` and `next_timeout`.

        Args:
            payload: the text, as it came.
            received_at: when, in nanoseconds since the epoch, for the records in it; 0 if unknown.

        Raises:
            LocalProtocolError: `receive_opened` was not called.
        """
        if self.state is CLOSED:
            return
        if self.state is CONNECTING:
            raise LocalProtocolError("receive_opened: must be called first")
        data = payload.encode(errors="surrogatepass") if isinstance(payload, str) else payload
        if self.receive_run((data,), received_at, now := self.start_read(len(data))):
            self.finish_read(now)

    def start_read(self, size: int) -> float:
        """Start a read of so many bytes and return its time. `receive_run`, repeatedly, and `finish_read` complete it.

        Raises:
            LocalProtocolError: `connect` was not called.
        """
        if not self._connect_called:
            raise LocalProtocolError("connect: must be called first")
        self._decoder.start_read()
        self._rowless_left = ROWLESS_MESSAGES + size // ROWLESS_SIZE
        return self._clock()

    def receive_run(
        self, payloads: Sequence[bytes], received_at: int, now: float, is_text: Callable[[bytes], bool] | None = None
    ) -> bool:
        """Receive whole messages: the hot path.

        Args:
            payloads: the messages.
            received_at: when they were received, in nanoseconds since the epoch; 0 if unknown.
            now: what `start_read` returned.
            is_text: whether a payload is valid UTF-8; called for those not recognised at a glance. What follows one
                that is not is ignored. None: no check is needed.

        Returns:
            Whether to go on. False: the connection has ended, and the rest of the read is to be ignored.
        """
        rest, decoder, capture = iter(payloads), self._decoder, self._capture
        if capture is not None:
            capture.start_run(payloads, rest, received_at)
        while (payload := decoder.take_rows(rest, received_at, self._events)) is not None:
            rows = decoder.decode_rows(payload, received_at) if is_text is None or is_text(payload) else None
            if capture is not None and (rows is None or len(rows) != 1):
                capture.note_other(payload, len(rows or ()))
            if rows is not None:
                self._events += rows
                continue
            if is_text is not None and not is_text(payload):
                return True
            self._rowless_left -= 1
            if self._rowless_left < 0:
                # Anything else must have its turn, too: the server does not decide how long the program stands still.
                if self.state in (LOGGING_IN, READY):
                    self._fail(RemoteProtocolError("far too many messages without rows at once"), 1008, now)
                    self._end()
                return False
            for message in decoder.decode_other(payload, received_at):
                self._handle_message(message, payload, received_at, now)
        if capture is not None:
            capture.end_run()
        return True

    def finish_read(self, now: float) -> None:
        """Complete a read: restart the idle timer, and send what may be sent now."""
        self._idle.heard_at = now
        if self._requests.waiting:
            self._send_requests(now)

    def note_alive(self) -> None:
        """Note a sign of life of the server that is not a message: a ping came, or a pong.

        Under a library that sends pings more often than every 10 s, there may be no other: call it for each.
        """
        self.finish_read(self._clock())

    def receive_closing(
        self, code: int | None, reason: str = "", *, sent_code: int | None = None, error: KiwoomError | None = None
    ) -> None:
        """Receive that the WebSocket is closing, before the stream ends. Optional. Arguments as for `receive_close`.

        Args:
            sent_code: the code of the close frame sent; None if there was none.
            error: what the server did wrong, if that is why.
        """
        if self.state is CLOSED:
            return
        self._close_received = self._close_received if code is None else (code, reason)
        if self.state is not CLOSING:
            self._error = self._error or error
            self._move(Trigger.CLOSE_STARTED)
            self._start_phase(self._clock())
        self.close_code = sent_code if sent_code is not None else self.close_code

    def receive_close(self, code: int | None = None, reason: str = "", *, error: KiwoomError | None = None) -> None:
        """Receive that the WebSocket is closed. Repeating it does nothing.

        Args:
            code: the code of the close frame received; None if the connection was cut without one.
            reason: its reason.
            error: what went wrong, if known. Ignored if closing was asked for, or a close frame came.
        """
        if code is None and self._close_received is not None:
            code, reason = self._close_received
        if self._error is None and not self._close_asked and code is None:
            self._error = error
        self._end(code, reason)

    def next_timeout(self) -> float | None:
        """Return when to call `handle_timeout`, in seconds on the clock; None if nothing is due by itself.

        Ask again after every other call: it may move either way.
        """
        if self.state is not READY:
            return self._deadline
        probe_at = self._requests.next_probe() if self._sends_pings else None
        times = (self._idle.next_timeout(), self._requests.next_timeout(), probe_at)
        return min(time for time in times if time is not None)

    def handle_timeout(self) -> None:
        """Do what is due by the clock. Harmless if nothing is."""
        now = self._clock()
        if self._deadline is not None and now >= self._deadline:
            self._expire(PHASE[self.state])
        elif self.state is READY and (overdue := self._requests.overdue(now)) is not None:
            # "A late ack cannot be told apart, so an ack timeout means dropping the connection" [measured by several].
            if self._probes and self.pong == b"%d" % self._probes:
                self.ended_by = overdue  # the line is well, and the server has read it
            self._expire("ack")
        elif self.state is READY and now >= self._idle.next_timeout():
            if self._idle.handle_timeout(now):
                self.outbox.add_ping()
            else:
                self._expire(PHASE[READY])
        if self.state is READY:
            if answers := self._answers.give_up(now):
                self._report(*answers)
            if self._requests.needs_probe(now):
                self._probes += 1
                self.outbox.add_ping(b"%d" % self._probes)
        self._send_requests(now)

    def messages_to_send(self) -> list[bytes]:
        """Return the messages to send as text, in order, and forget them."""
        return [bytes(payload) for payload in self.outbox.pop_messages()]

    def pings_to_send(self) -> list[bytes]:
        """Return the payloads of the pings of RFC 6455 to send, and forget them. Empty without `sends_pings`."""
        return self.outbox.pop_pings()

    def events(self) -> Batch:
        """Return what has happened since the last call, in order, and forget it."""
        batch, self._events = Batch(self._events), []
        if not self._rows_only:
            batch.rows_only, self._rows_only = False, True
        return batch

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.endpoint}, {self.state.value}>"

    # Inside.

    def _add(self, *messages: Message) -> Request:
        if self.state in (CLOSING, CLOSED):
            raise LocalProtocolError(f"the connection is {self.state.value}")
        request = self._answers.add(*messages)
        if self.state is READY:
            self._send_requests(self._clock())
        return request

    def _send_requests(self, now: float) -> None:
        # "Anything sent before the LOGIN reply is answered 100013 and dropped" [measured by several].
        if self.state is READY:
            while (message := self._requests.pop(now)) is not None:
                self.outbox.add(message)

    def _report(self, *events: Opened | LoggedIn | LoginRefusal | UnknownMessage | Closed | Answer) -> None:
        self._rows_only = False
        self._events += map(self._numbering.stamp, events)

    def _handle_message(self, message: Decoded, payload: bytes, received_at: int, now: float) -> None:
        if isinstance(message, Record):
            self._events.append(message)
            return
        self._rows_only = False
        match message:
            case Ping():
                # "Send the same bytes back" [measured]; but not more of them than the server accepts.
                if self.state in (LOGGING_IN, READY):
                    fits = len(message.payload) <= wire.MAX_MESSAGE_SIZE
                    self.outbox.add(message.payload if fits else wire.encode(PING))
            case SystemNotice():
                # "Only the SYSTEM frame before the close says why" [measured by several]; a takeover says most.
                if self._system is None or self._system.code != TAKEN_OVER:
                    self._system = message
                self._events.append(message)
            case Reply():
                if self.state not in LEGAL.get(message.trnm, ()):
                    self._report(unexpected(message, payload))
                elif message.trnm == "LOGIN":
                    self._handle_login(message, now)
                else:
                    self._handle_reply(message, payload, received_at, now)
            case UnknownMessage():
                self._events.append(message)
            case _:
                assert_never(message)

    def _handle_login(self, reply: Reply, now: float) -> None:
        if reply.ok:
            self._move(Trigger.LOGGED_IN)
            self._start_phase(now)
            self._report(LoggedIn(reply.members))
            return
        # "Any non-zero is a refusal; the reason is the code inside the text" [measured].
        reason = reason_in(reply.message)
        self._report(LoginRefusal(reply.code, reply.message, reason))
        self._error = LoginRefused(reply.code, reply.message, reason)
        self._start_closing(1000, "", now)

    def _handle_reply(self, reply: Reply, payload: bytes, received_at: int, now: float) -> None:
        answers = self._answers.handle_reply(reply, received_at, now)
        if answers is not None:
            self._report(*answers)
        elif reply.kind is None or reply.kind.is_condition:
            self._report(unexpected(reply, payload))
        elif self.state is READY:
            # "One per request, in order", with "no id, no group, no data" [measured by several].
            self._fail(RemoteProtocolError(f"a {reply.trnm} reply that nobody had asked for"), 1002, now)

    def _move(self, trigger: Trigger) -> None:
        self.state = TRANSITIONS[self.state][trigger]

    def _start_phase(self, now: float) -> None:
        """Arm the deadline of the state just entered."""
        if self.state is READY:
            self._deadline, self._idle.heard_at = None, now
        else:
            self._deadline = now + float(getattr(self.config, f"{PHASE[self.state]}_timeout"))

    def _fail(self, error: KiwoomError, code: int, now: float) -> None:
        """End the connection because of a fault of the server, with a closing handshake."""
        self._error = error
        self._start_closing(code, "", now)

    def _start_closing(self, code: int, reason: str, now: float) -> None:
        self._move(Trigger.CLOSE_STARTED)
        self._start_phase(now)
        self.close_code, self.close_reason = code, reason
        self.outbox.has_output = True

    def _expire(self, phase: str) -> None:
        """A deadline passed: the server cannot be expected to answer a closing handshake."""
        if self._error is None and self._close_received is None:
            self._error = DeadlineExceeded(phase, getattr(self.config, f"{phase}_timeout"))
        self._end_here()

    def _end_here(self) -> None:
        """End without waiting for the server. A close frame is still sent if the WebSocket is open."""
        if self.state in (LOGGING_IN, READY):
            self.close_code = 1001  # going away
        self._end(*(self._close_received or (None, "")))

    def _end(self, code: int | None = None, reason: str = "") -> None:
        """The one way to CLOSED."""
        if self.state is CLOSED:
            return
        if code in BLAMING_CODES and not self._close_asked:
            self.ended_by = self._requests.last_unanswered()
        if self._error is None and not self._close_asked:
            self._error = ClosedByPeer("the connection was cut" if code is None else "the server closed the connection")
        self._move(Trigger.ENDED)
        self._deadline, self._token, self.outbox.has_output = None, None, True
        code, reason = 1006 if code is None else code, self.redaction.words(reason)
        self._report(Closed(code, reason, self._error, self.close_code, self._system))
        self.redaction.forget()
