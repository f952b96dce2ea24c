"""Suspects: what connections were lost for, and how it is asked for again.

A request can cost the connection: a REG that is not acknowledged in time does, as its reply could not be told from the
next one's, and so does any message that the server answers by closing with a code that blames it. Sent again as it was,
it would end every connection anew. Therefore

* what a connection was lost for goes out again after everything that nothing is known against, and in messages that
  are `PARTS` times smaller each time: so one bad item of a hundred is found in three connections, and the others are
  registered;
* what a connection was lost for that had been a suspect before, and was alone this time, is refused, and reported. It
  is tried again after `WAITS`, and then not any more until somebody asks for it. Where the server has neither blamed
  it nor acknowledged anything else on that connection, it may be slow as a whole: then the third time counts;
* what the server answers, with a yes or a no, is no suspect any more;
* a connection that is lost for any other reason accuses nothing: neither a cut, nor a restart, nor silence, nor a slow
  line, over which pongs do not come in time either. Those that were accused least go first, so that a server that is
  slow for a while does not get one of them refused.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, TypeVar

import attrs

__all__ = ("Suspects",)

PARTS = 10
WAITS = (60.0, 600.0, 3600.0)
"""Seconds before what was refused is tried again, each time in a row."""
ENOUGH = 3
"""Connections that something alone must have cost to be refused where it may not be its fault."""
NEVER = float("inf")
K = TypeVar("K", bound=Hashable)


@attrs.define(eq=False)
class _Suspect:
    most: int  # of its like in one message
    times: int  # that a connection was lost for it
    refusals: int = 0
    rests_until: float | None = None


class Suspects(Generic[K]):
    """What is suspected, of one session. It outlives the connections."""

    def __init__(self) -> None:
        self._suspects: dict[K, _Suspect] = {}

    def accuse(self, keys: Sequence[K], now: float, *, certain: bool) -> bool:
        """A connection was lost for a message of these. Returns whether it is refused.

        Arguments:
            keys: what was in the message.
            now: seconds on the session's clock.
            certain: whether the server has blamed it, or has answered others of its kind on this connection.
        """
        known = [self._suspects.get(key) for key in keys]
        suspect = known[0] if len(keys) == 1 else None
        if suspect is not None and suspect.most == 1:
            suspect.times += 1
            if not (certain or suspect.refusals or suspect.times >= ENOUGH):
                return False
            suspect.rests_until = now + WAITS[suspect.refusals] if suspect.refusals < len(WAITS) else NEVER
            suspect.refusals += 1
            return True
        for key, found in zip(keys, known, strict=True):
            self._suspects[key] = _Suspect(-(-len(keys) // PARTS), 1 if found is None else found.times + 1)
        return False

    def times(self, key: K) -> int:
        """How many connections were lost for it."""
        found = self._suspects.get(key)
        return 0 if found is None else found.times

    def most(self, key: K) -> int | None:
        """How many of its like may go out in one message with this; None: nothing is known against it."""
        found = self._suspects.get(key)
        return None if found is None else found.most

    def clear(self, keys: Iterable[K]) -> bool:
        """The server has answered a message of these. Returns whether some of it had been refused here."""
        found = [self._suspects.pop(key) for key in keys if key in self._suspects]
        return any(suspect.refusals for suspect in found)

    def rests(self, key: K) -> bool:
        """Whether this was refused, and is not to be tried now."""
        found = self._suspects.get(key)
        return found is not None and found.rests_until is not None

    def wake(self, keys: Iterable[K]) -> None:
        """Somebody asks for these: they may be tried now."""
        for key in keys:
            if key in self._suspects:
                self._suspects[key].rests_until = None

    def due(self, now: float) -> list[K]:
        """What is to be tried again by now."""
        return [
            key for key, found in self._suspects.items() if found.rests_until is not None and found.rests_until <= now
        ]

    def next_timeout(self) -> float | None:
        """When `due` will return something; None: never."""
        times = (found.rests_until for found in self._suspects.values())
        return min((time for time in times if time is not None and time != NEVER), default=None)
