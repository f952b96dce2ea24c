"""What is needed of the state after a gap: the subjects, and the calls for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from ..realtime.record import Record
from ..realtime.spelling import row_item
from ..request import Key
from ..rest import CATALOGUE, Reply, Request
from .snapshot_tables import Source
from .snapshots import Identity

__all__ = ("Call", "SnapshotNeeded", "Subject")


@attrs.define(eq=False)
class SnapshotNeeded:
    """A call of a TR that a session needs: answer it with `Session.receive_snapshot` or `Session.snapshot_failed`.

    Attributes:
        id: names it in the answer.
        api_id: the TR, "ka10004".
        parameters: the elements of the request.
        next_key: the key of the page; "" for the first.
        is_needed: False once it is superfluous: a row came, or the connection was lost. It need not be sent then, and
            its answer is ignored.
    """

    id: int
    api_id: str
    parameters: Mapping[str, str]
    next_key: str = ""
    is_needed: bool = True

    @property
    def request(self) -> Request[Reply]:
        """The request of the catalogue."""
        made: Request[Reply] = CATALOGUE[self.api_id](**self.parameters)
        return made


@attrs.define(eq=False)
class Subject:
    """One type and item whose state is needed.

    Attributes:
        type: the real-time type.
        item: the item, as registered; "" for types of which a snapshot has many records.
        rank: the lower, the earlier it is asked for.
        sources: the TRs that have its state, one after the other.
        keys: the registrations that it stands for.
        step: which of its sources is asked.
        attempts: how often the present one has failed.
        not_before: when it may be asked again, in seconds on the clock.
        is_asked: whether a call for it is out.
        has_begun: whether it was ever asked for.
        has_row: whether a row has brought its state.
        records: what was found so far, of many records.
        rows: what came since it was asked for, of many records.
        trades: what was found so far, of trades.
        missing: what will not be found, and why.
    """

    type: str
    item: str
    rank: int
    sources: Sequence[Source]
    keys: set[Key]
    step: int = 0
    attempts: int = 0
    not_before: float = 0.0
    is_asked: bool = False
    has_begun: bool = False
    has_row: bool = False
    records: dict[Identity, Record] = attrs.field(factory=dict)
    rows: dict[Identity, Record] = attrs.field(factory=dict)
    trades: list[Record] = attrs.field(factory=list)
    missing: list[str] = attrs.field(factory=list)

    @property
    def key(self) -> tuple[str, str]:
        """The type, and the item as rows name it."""
        return self.type, row_item(self.item)

    @property
    def source(self) -> Source:
        """The TR to ask now."""
        return self.sources[self.step]


@attrs.define(eq=False)
class Call:
    """A call that is out.

    Attributes:
        need: the call.
        subjects: whose state it is about.
        pages: the number of its page.
    """

    need: SnapshotNeeded
    subjects: list[Subject]
    pages: int = 1
