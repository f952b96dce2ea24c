"""Ledger: what the server sent against what the session delivered, and whether its story of it is true.

Two accounts are kept:

* Of each connection: rows keep their order on it, so each row delivered must be the next that the server sent over that
  connection. Another one was delivered twice, or never sent, or belongs to something that nobody wants.
* Of the market: a witness, whose line never fails, sees every row of what is wanted. One that was not delivered is
  allowed only within a reported `Gap`; of a live search also before its `ConditionResult`. (Where answers come too
  late, that may be the answer to the request before, and the
  clear between them is still to take effect: then rows of searches do not count.)
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import TypeAlias

import attrs
import msgspec

from kiwoom_proto import Closed, Disconnected, Event, Gap, Record, UnknownMessage
from kiwoom_proto.events import ConditionResult, Connecting, LoggedIn, RequestRefusal, RequestUnanswered
from kiwoom_proto.wire.messages import Row

__all__ = ("Ledger", "Loss", "nanoseconds")


def nanoseconds(seconds: float) -> int:
    """A time of the clock as `SimulatedNetwork` stamps it on what it delivers."""
    return 1 + int(seconds * 1e9)


LONGEST_WAIT = 210.0
"""Seconds before the last row at which a gap begins at most: the longest time for which a program is blocked here."""

_RowKey: TypeAlias = tuple[str, str, bytes]


def _key_of(record: Record) -> _RowKey:
    return record.type_code, record.item, bytes(record.values)


def _subject_of(record: Record) -> tuple[str, str]:
    """What was subscribed to for this row: type, and item or number of the condition."""
    return record.type_code, (record.fid("841") or "").strip() if record.type_code == "02" else record.item


def _sent(row: Row, at: int) -> _Sent:
    return _Sent(at, row.type, row.item, msgspec.json.encode(row.values))


@attrs.frozen
class _Sent:
    at: int
    type: str
    item: str
    values: bytes

    @property
    def key(self) -> _RowKey:
        return self.type, self.item, self.values

    @property
    def subject(self) -> tuple[str, str]:
        """What was subscribed to for this row."""
        return self.type, str(msgspec.json.decode(self.values)["841"]).strip() if self.type == "02" else self.item


@attrs.frozen
class Loss:
    """A row that was not delivered."""

    at: int
    row: str


@attrs.define(eq=False)
class Ledger:
    """What became of the rows of one session, and what it said about itself.

    Arguments:
        clock: the session's.
        transit: seconds that a row may be on its way. A gap begins before the last bytes received; what was sent before
            that, and was still on its way, arrives no more.

    Attributes:
        witnessed: rows of what is wanted, delivered or not.
        received: rows delivered.
        unwanted: rows delivered that were not the next one sent, or that nobody wanted any more.
        lost_in_gaps: rows not delivered, of which a `Gap` told.
        lost_outside: rows not delivered, of which none did.
        lost: the first few of them.
        disconnections: what the session said of each loss.
        gaps: how many it reported.
        undecodable: messages that it could not understand.
        counts_searches: whether rows of live searches may not be lost.
        problems: everything that it must not do and did.
    """

    clock: Callable[[], float]
    transit: float = 0.0
    witnessed: int = 0
    received: int = 0
    unwanted: int = 0
    lost_in_gaps: int = 0
    lost_outside: int = 0
    lost: list[Loss] = attrs.field(factory=list)
    disconnections: int = 0
    gaps: int = 0
    undecodable: int = 0
    counts_searches: bool = True
    last_cause: str = ""
    problems: list[str] = attrs.field(factory=list)
    retries: list[float] = attrs.field(factory=list)
    closed: Closed | None = None
    _under_way: dict[int, deque[_Sent]] = attrs.field(factory=dict)
    _rows: list[_Sent] = attrs.field(factory=list)
    _delivered: Counter[_RowKey] = attrs.field(factory=Counter)
    _told: list[Gap] = attrs.field(factory=list)
    _answered: set[str] = attrs.field(factory=set)  # searches, on this connection
    _ailing_since: int | None = None  # when something was not answered on this connection: where the gap before ends
    _missing: list[tuple[int, int, frozenset[str]]] = attrs.field(factory=list)  # rows of all searches but these
    _dropped: dict[tuple[str, str], None] = attrs.field(factory=dict)
    _state: str = "waiting"
    _has_gap: bool = False
    _epoch: int = 0
    _sequence: int = 0
    _last_row: Record | None = None
    _before_gap: Record | None = None
    _attempt: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether, by its own account, the session is logged in and whole, and nothing is on its way to it."""
        return self._state == "ready" and not self._has_gap and not any(self._under_way.values())

    def send(self, epoch: int, rows: Iterable[Row]) -> None:
        """The server sends rows over a connection."""
        at = nanoseconds(self.clock())
        self._under_way.setdefault(epoch, deque()).extend(_sent(row, at) for row in rows)

    def witness(self, rows: Iterable[Row]) -> None:
        """Rows of what is wanted, whether there is a connection or not."""
        at = nanoseconds(self.clock())
        self._rows.extend(_sent(row, at) for row in rows)

    def settle(self) -> None:
        """The session is whole and nothing is on its way: whatever was not delivered by now is lost."""
        self._note_missing()
        for sent in self._rows:
            if self._delivered[sent.key]:
                self._delivered[sent.key] -= 1
            elif self._is_told(sent):
                self.lost_in_gaps += 1
            else:
                self.lost_outside += 1
                if len(self.lost) < 5:
                    self.lost.append(Loss(sent.at, f"{sent.type} {sent.item}"))
        self.witnessed += len(self._rows)
        self._rows.clear()
        self._delivered.clear()
        self._told.clear()
        self._missing.clear()
        if any(self._under_way.values()):
            self._complain("rows were sent over a connection that lives, and not delivered")
        self._under_way.clear()

    def _is_told(self, sent: _Sent) -> bool:
        """Whether a row that was not delivered lies where rows are missing by the session's own account."""
        if any(gap.start - int(self.transit * 1e9) <= sent.at <= gap.end for gap in self._told):
            return True
        if sent.type == "02" and not self.counts_searches:
            return True
        number = sent.subject[1]
        return sent.type == "02" and any(
            begin <= sent.at <= end and number not in answered for begin, end, answered in self._missing
        )

    def _note_missing(self) -> None:
        """Rows of the searches that were not answered are missing up to now."""
        if self._ailing_since is not None:
            self._missing.append((self._ailing_since, nanoseconds(self.clock()), frozenset(self._answered)))

    def want(self, type: str, item: str) -> None:
        """Rows of this are wanted again."""
        self._dropped.pop((type, item), None)

    def unwant(self, type: str, item: str) -> None:
        """The session has confirmed that nobody wants this: no row of it may be delivered from now on."""
        self._dropped[type, item] = None

    def take(self, events: Iterable[Event]) -> None:
        """The session reports."""
        for event in events:
            if event.sequence <= self._sequence:
                self._complain(f"{type(event).__name__} has number {event.sequence} after {self._sequence}")
            self._sequence = event.sequence
            if isinstance(event, Record):
                self._take_record(event)
            else:
                self._take_event(event)

    def _take_record(self, record: Record) -> None:
        self.received += 1
        sent, key = _key_of(record), _subject_of(record)
        under_way = self._under_way.get(record.epoch)
        is_next = under_way is not None and bool(under_way) and under_way.popleft().key == sent
        is_dropped = key in self._dropped and (self.counts_searches or record.type_code != "02")
        if is_dropped or not is_next:
            self.unwanted += 1
        else:
            self._delivered[sent] += 1
        self._last_row = record

    def _take_event(self, event: Event) -> None:
        if event.epoch != self._epoch + isinstance(event, Connecting):
            self._complain(f"{type(event).__name__} is of connection {event.epoch}, not {self._epoch}")
        match event:
            case Connecting(attempt=attempt):
                self._expect(event, "waiting", "connecting")
                self._epoch = event.epoch
                if attempt < max(1, self._attempt):
                    self._complain(f"attempt {attempt} after {self._attempt}")
                self._attempt = attempt
            case LoggedIn():
                self._expect(event, "connecting", "ready")
                self._attempt = 0
                self._note_missing()
                self._answered.clear()
                self._ailing_since = None
            case Disconnected():
                if self._state == "ready" and not self._has_gap:
                    self._has_gap, self._before_gap = True, self._last_row
                self._state = "waiting"
                self.disconnections += 1
                self.last_cause = str(event)
                self.retries.append(event.retry_at)
                self._under_way.pop(self._epoch, None)
            case Gap():
                self._take_gap(event)
            case UnknownMessage():
                self.undecodable += 1
            case RequestUnanswered(request=request):
                self._answered.discard(request.seq)
                if self._ailing_since is None:
                    self._ailing_since = self._told[-1].end if self._told else 0
            case ConditionResult(seq=seq):
                self._note_missing()
                self._answered.add(seq)
            case RequestRefusal():
                self._complain(f"a request was refused: {event.code} {event.message}")
            case Closed():
                self.closed = event
                self._under_way.pop(self._epoch, None)

    def _take_gap(self, gap: Gap) -> None:
        self._expect(gap, "ready", "ready")
        if not self._has_gap:
            self._complain("a gap was reported, and nothing was lost")
        received_at, sequence = (row.received_at, row.sequence) if (row := self._before_gap) else (0, 0)
        if not received_at - LONGEST_WAIT * 1e9 <= gap.start <= gap.end <= nanoseconds(self.clock()):
            self._complain(f"a gap from {gap.start} to {gap.end}, after a row at {received_at}")
        if not sequence <= gap.last_sequence < gap.sequence:
            self._complain(f"a gap after event {gap.last_sequence} is event {gap.sequence}, after row {sequence}")
        self._has_gap = False
        self.gaps += 1
        self._told.append(gap)
        if self._ailing_since is None:
            self._ailing_since = gap.end

    def _expect(self, event: object, before: str, after: str) -> None:
        if self._state != before:
            self._complain(f"{type(event).__name__} while {self._state}")
        self._state = after

    def _complain(self, problem: str) -> None:
        self.problems.append(problem)
