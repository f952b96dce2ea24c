"""Suspects: what connections were lost for, and how it is asked for again.

A request can cost the connection. A REG that is not acknowledged in time does, because its reply could not be told
from the next one's, and so does any message that the server answers by closing with a code that blames it. Sent again
unchanged, it would end every connection. Therefore

* what a connection was lost for goes out again after everything that is not suspected, in messages that are
  `SHRINK_FACTOR` times smaller each time. So one bad item in a hundred is found in three connections, and the others
  are registered;
* what had been a suspect before and was alone this time is refused, and reported. It is tried again after
  `RETRY_DELAYS`, and then not until somebody asks for it. If the server has neither blamed it nor acknowledged
  anything else on that connection, the server may be slow as a whole: then it is refused at `UNCERTAIN_LOSSES`;
* whatever the server answers, accepted or refused, is no longer a suspect;
* a connection that is lost for any other reason accuses nothing: not a cut, a restart or silence, nor a slow line,
  over which pongs do not arrive in time either. Suspects of fewer losses go first, so a server that is slow for a
  while does not get one of them refused.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, TypeVar

import attrs

__all__ = ("Suspects",)

SHRINK_FACTOR = 10
"""How many times smaller the next message with suspects is than the one that a connection was lost for."""
RETRY_DELAYS = (60.0, 600.0, 3600.0)
"""Seconds after which something refused is tried again: after its first refusal, its second, its third."""
UNCERTAIN_LOSSES = 3
"""Number of connections lost for something alone at which it is refused, even if it may not be its fault."""
NEVER = float("inf")
K = TypeVar("K", bound=Hashable)


@attrs.define(eq=False)
class _Suspect:
    max_keys: int
    losses: int
    refusals: int = 0
    rests_until: float | None = None  # None: may be sent


class Suspects(Generic[K]):
    """The suspects of one session. They outlive its connections."""

    def __init__(self) -> None:
        self._suspects: dict[K, _Suspect] = {}

    def accuse(self, keys: Sequence[K], now: float, *, certain: bool) -> bool:
        """Note that a connection was lost for a message with these keys.

        Args:
            keys: what was in the message.
            now: seconds on the session's clock.
            certain: whether the server has blamed it, or has answered other messages of its kind on this connection.

        Returns:
            Whether it is refused.
        """
        known = [self._suspects.get(key) for key in keys]
        suspect = known[0] if len(keys) == 1 else None
        if suspect is not None and suspect.max_keys == 1:
            suspect.losses += 1
            if not (certain or suspect.refusals or suspect.losses >= UNCERTAIN_LOSSES):
                return False
            delay = RETRY_DELAYS[suspect.refusals] if suspect.refusals < len(RETRY_DELAYS) else NEVER
            suspect.rests_until = now + delay
            suspect.refusals += 1
            return True
        for key, found in zip(keys, known, strict=True):
            self._suspects[key] = _Suspect(-(-len(keys) // SHRINK_FACTOR), 1 if found is None else found.losses + 1)
        return False

    def losses(self, key: K) -> int:
        """Return how many connections were lost for this."""
        found = self._suspects.get(key)
        return 0 if found is None else found.losses

    def max_keys(self, key: K) -> int | None:
        """Return how many suspects may go out in one message with this; None: it is not a suspect."""
        found = self._suspects.get(key)
        return None if found is None else found.max_keys

    def clear(self, keys: Iterable[K]) -> bool:
        """Note that the server has answered a message with these.

        Returns:
            Whether some of it had been refused here.
        """
        found = [self._suspects.pop(key) for key in keys if key in self._suspects]
        return any(suspect.refusals for suspect in found)

    def rests(self, key: K) -> bool:
        """Return whether this was refused, and must not be tried now."""
        found = self._suspects.get(key)
        return found is not None and found.rests_until is not None

    def wake(self, keys: Iterable[K]) -> None:
        """Allow these to be tried now: somebody asks for them, or they have rested for long enough."""
        for key in keys:
            if key in self._suspects:
                self._suspects[key].rests_until = None

    def due(self, now: float) -> list[K]:
        """Return what has rested for long enough by now."""
        return [
            key for key, found in self._suspects.items() if found.rests_until is not None and found.rests_until <= now
        ]

    def next_timeout(self) -> float | None:
        """Return when `due` will return something; None: never."""
        times = (found.rests_until for found in self._suspects.values())
        return min((time for time in times if time is not None and time != NEVER), default=None)
