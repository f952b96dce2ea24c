"""Pacing: when the next call may leave, so that the server refuses none for coming too fast.

THEORY

The server accepts 5 calls in a second in production and 1 in mock trading, counted per app key and TR [measured];
orders and queries are counted apart [official notice, measured]. What nobody knows is how it counts: in a window that
slides, or in seconds of its clock. What fits into every sliding window fits into the fixed ones too, so the rule is: no
`limit` + 1 calls arrive within `WINDOW`.

The server counts when a call *arrives*. We know when it was sent, s, and when its answer was there, r. The way there
takes at least f, the way back at least b, and at times much more. So a call arrives in

    s + f  <=  arrival  <=  r - b

A call that is sent at s' therefore arrives at least WINDOW after an earlier one, whatever the network does, if

    s' + f  >=  r - b + WINDOW        or        s' >= r + WINDOW - (f + b)

Neither f nor b can be measured, but their sum can: it is the shortest round trip. (The time that the server needs at
least may be in it: that comes after the arrival, as the way back does.) Hence

* A call takes one of `limit` places of its TR when it is sent, and leaves it WINDOW after its answer, less the shortest
  round trip. If `limit` places are taken, the next call waits.
* Whatever a round trip takes beyond the shortest costs rate: with 5 a second and 20 ms of jitter, 2 % on average. A
  spacing that is counted from the sending would cost nothing, and be refused as soon as one call is late and the next
  is not.
* The shortest round trip is estimated from those that were seen, and the estimate must not be too long. Until there are
  `ENOUGH` of them it is zero. Then it is the shortest, less its distance from the `KEPT`th shortest: where round trips
  come close to what is possible, many do, and that distance is small. (If they are spread evenly over their range on
  either way, all of the shortest are in the upper half of that distance once in 750 times, and then by little.)
* A call without an answer keeps its place for `MAX_TRANSIT` and WINDOW: by then it has arrived, or will not.

After a refusal for coming too fast nothing of that TR leaves for `PAUSE`: "1.0 s is enough" [measured]. The pause
doubles with each refusal in a row. 1701 and 1702, documented and never seen, are limits of all TRs or a group of them,
so that everything pauses.

All orders share one bucket. The official notice has 5 orders a second in all; per TR was measured for queries.

Dispatchers of one app key, whose calls the server counts together, have one `Count`. None of them is told of the
answers to the others' calls, so where only such an answer frees a place, `free_at` is when to ask again.

Times are arguments, in seconds on the clock of the dispatcher. Those that share a `Count` must have the same clock.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from contextlib import AbstractContextManager, nullcontext

import attrs

__all__ = ("Count", "Pacing", "Place")

WINDOW = 1.0
"""Seconds that the server counts in."""
SLOW_WINDOW = 2.0
"""Seconds that a call should wait at most for every `limit` before it: with answers that take as long as a window."""
MARGIN = 0.002
"""Seconds added: clocks do not run alike, and a window may contain both of its ends."""
MAX_TRANSIT = 2.0
"""Seconds after which a call without an answer counts as arrived."""
ENOUGH, KEPT = 100, 24
"""How many round trips make an estimate of the shortest, and how many of the shortest are kept for it."""
PAUSE, MAX_PAUSE = 1.0, 30.0
"""Seconds without a call after a refusal."""
ASK_AGAIN = 0.05
"""Seconds after which to ask again for a place that another dispatcher has."""


@attrs.define(eq=False)
class Place:
    """One call in the server's count.

    Attributes:
        sent_at: when the call was sent.
        free_at: when its place is free again.
        owner: who sent it; None once it has ended.
    """

    sent_at: float
    free_at: float
    owner: Pacing | None


@attrs.define(eq=False)
class _Bucket:
    """The calls that are counted together."""

    places: deque[Place] = attrs.field(factory=deque)
    paused_until: float = float("-inf")
    pause: float = PAUSE


@attrs.define(eq=False)
class Count:
    """What is known of the server's count for one app key. Its members are those of `Pacing`.

    Attributes:
        lock: held while it is read or changed, where dispatchers in several threads share it.
        buckets: what is counted together -> the calls.
        paused_until: when anything may leave again.
        shortest: the shortest round trips.
        round_trips: how many there were.
    """

    lock: AbstractContextManager[object] = attrs.field(factory=nullcontext)
    buckets: dict[str, _Bucket] = attrs.field(factory=dict)
    paused_until: float = float("-inf")
    shortest: list[float] = attrs.field(factory=list)
    round_trips: int = 0


class Pacing:
    """Says when calls of one app key may leave.

    Args:
        limit: calls of one bucket that the server accepts in `WINDOW`.
        count: shared with other dispatchers of the app key; None shares nothing.
    """

    def __init__(self, limit: int, count: Count | None = None) -> None:
        self._limit = limit
        self._count = Count() if count is None else count

    def free_at(self, bucket: str, now: float) -> float:
        """Return when the next call of a bucket may leave, or when to ask again: `now`, or later.

        Args:
            bucket: what is counted together: a TR, or all orders.
            now: the time.
        """
        with self._count.lock:
            return self._free_at(bucket, now)

    def turn_at(self, bucket: str, now: float, ahead: int) -> float:
        """Return by when the turn of a call should come that has so many before it: late rather than early."""
        return self.free_at(bucket, now) + SLOW_WINDOW * (ahead // self._limit)

    def room(self, bucket: str, now: float) -> int:
        """Return how many calls of a bucket may leave now."""
        count = self._count
        with count.lock:
            found = count.buckets.get(bucket)
            if now < count.paused_until or (found is not None and now < found.paused_until):
                return 0
            if found is None:
                return self._limit
            return max(0, self._limit - sum(place.free_at > now for place in found.places))

    def take(self, bucket: str, now: float) -> Place | None:
        """Note that a call leaves. None: it may not, for somebody else was faster."""
        with self._count.lock:
            if self._free_at(bucket, now) > now:
                return None
            place = Place(now, now + MAX_TRANSIT + WINDOW, self)
            places = self._count.buckets.setdefault(bucket, _Bucket()).places
            while places and places[0].free_at <= now:
                places.popleft()
            places.append(place)
            return place

    def answered(self, bucket: str, place: Place, now: float) -> None:
        """Note the answer to a call, other than a refusal for coming too fast."""
        with self._count.lock:
            self._end(place, now)
            self._count.buckets[bucket].pause = PAUSE

    def lost(self, place: Place, now: float) -> None:
        """Note that a call has ended without an answer. It may have arrived."""
        with self._count.lock:
            place.owner = None
            place.free_at = min(place.free_at, now + MAX_TRANSIT + WINDOW)

    def unsent(self, bucket: str, place: Place) -> None:
        """Note that a call has not left after all."""
        with self._count.lock:
            places = self._count.buckets[bucket].places
            if place in places:
                places.remove(place)

    def refused(
        self, bucket: str, place: Place, now: float, *, retry_after: float = 0.0, all_trs: bool = False
    ) -> None:
        """Note that a call came too fast: pause.

        Args:
            bucket: of the call.
            place: of the call.
            now: the time.
            retry_after: seconds that the server asks to wait. At most `MAX_PAUSE` are.
            all_trs: whether the limit is one of all TRs.
        """
        count = self._count
        with count.lock:
            self._end(place, now)
            found = count.buckets[bucket]
            if now < found.paused_until:
                return  # it was under way when the pause began
            found.paused_until = now + min(MAX_PAUSE, max(found.pause, retry_after))
            found.pause = min(found.pause * 2, MAX_PAUSE)
            if all_trs:
                count.paused_until = max(count.paused_until, found.paused_until)

    def _free_at(self, bucket: str, now: float) -> float:
        free_at = max(now, self._count.paused_until)
        found = self._count.buckets.get(bucket)
        if found is None:
            return free_at
        if len(found.places) >= self._limit:
            places = found.places = deque(place for place in found.places if place.free_at > now)
            if len(places) >= self._limit:
                free_at = max(free_at, sorted(place.free_at for place in places)[-self._limit])
                if any(place.owner not in (None, self) for place in places):
                    free_at = min(free_at, now + ASK_AGAIN)
        return max(free_at, found.paused_until)

    def _end(self, place: Place, now: float) -> None:
        count = self._count
        round_trip = now - place.sent_at
        place.owner = None
        place.free_at = min(place.free_at, now + WINDOW + MARGIN - self._least_round_trip())
        insort(count.shortest, round_trip)
        del count.shortest[KEPT:]
        count.round_trips += 1

    def _least_round_trip(self) -> float:
        """Return the estimate of the shortest round trip that is possible; too short rather than too long."""
        if self._count.round_trips < ENOUGH:
            return 0.0
        return max(0.0, 2 * self._count.shortest[0] - self._count.shortest[-1])
