"""Condition streams: which stocks enter and leave a saved condition, and which are in it.

A live search answers with the stocks that meet the condition, and pushes a row for each that enters or leaves. After a
reconnect it answers anew. The stream compares that answer with what it knew, so what happened meanwhile is iterated
too: it knows no time of it, and has no row.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import attrs

from ..display import displayed, quoted
from ..errors import LocalProtocolError
from ..events import ConditionResult, Event
from ..realtime.catalogue import condition_type
from ..realtime.conditions import Condition, ConditionHit, UsConditionHit
from ..request import number_of
from ..symbol import Symbol
from .calls import Calls
from .routes import Router
from .streams import BaseStream

__all__ = ("ConditionChange", "ConditionStream")

MAX_LISTED = 20
"""Maximum conditions that an error lists."""
ENTERED, LEFT = "I", "D"  # FID 843


@attrs.frozen
class ConditionChange:
    """A stock enters or leaves a condition.

    Attributes:
        symbol: the stock.
        entered: True: it meets the condition from now on; False: it no longer does.
        hit: the row that says so; None: it was found out by comparison after a reconnect.
    """

    symbol: Symbol
    entered: bool
    hit: ConditionHit | UsConditionHit | None


class ConditionStream(BaseStream[ConditionChange]):
    """A live condition search: `async with client.condition("골든크로스") as hits`, then `async for change in hits`.

    Attributes:
        condition: number and name of the condition.
    """

    _call = "condition"

    def __init__(self, client: Calls, router: Router, given: str, buffer_size: int | None) -> None:
        if not isinstance(given, str) or not given.strip():
            raise LocalProtocolError(f"condition: must be the name or number of a saved condition, not {given!r}")
        super().__init__(client, router, condition_type(client.endpoint.us), (), buffer_size, "raise")
        self.condition = Condition("", given.strip())
        self._symbols: dict[Symbol, None] = {}
        self._changes: deque[ConditionChange] = deque()

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """The stocks that meet the condition, after the changes iterated so far. The last that entered come last."""
        return tuple(self._symbols)

    async def __anext__(self) -> ConditionChange:
        while (change := self._pop()) is None:
            await self._refill()
        return change

    def _pop(self) -> ConditionChange | None:
        try:
            while not self._changes:
                self._changes.extend(self._changes_of(self._batch.pop()))
            change = self._changes.popleft()
        except IndexError:
            return None
        self._symbols.pop(change.symbol, None)
        if change.entered:
            self._symbols[change.symbol] = None
        return change

    async def _register(self) -> None:
        client = self._client
        self.condition = find_condition(await client.list_conditions(), self.condition.name)
        self.items = {number_of(self.condition.seq)}
        await client._begin_search(self.condition.seq, realtime=True)
        request = client._session.search_condition(self.condition.seq, realtime=True)
        self.request = request
        self._router.add(self)
        await client._wait_answer(request)

    def handle_result(self, result: ConditionResult) -> None:
        """Begin with the first answer, and compare with every further one."""
        if result.request is self.request:
            self._symbols = dict.fromkeys(result.symbols)
        else:
            self.pending.append(result)

    def _changes_of(self, event: Event) -> Iterator[ConditionChange]:
        if isinstance(event, ConditionResult):
            found = dict.fromkeys(event.symbols)
            yield from (ConditionChange(symbol, False, None) for symbol in self._symbols if symbol not in found)
            yield from (ConditionChange(symbol, True, None) for symbol in found if symbol not in self._symbols)
        elif isinstance(event, ConditionHit | UsConditionHit):
            symbol, what = event.symbol, (event.fid("843") or "").strip()
            if symbol is not None and what in (ENTERED, LEFT):
                yield ConditionChange(symbol, what == ENTERED, event)

    def __str__(self) -> str:
        return f"stream of condition {displayed(self.condition.name)}"


def find_condition(conditions: Sequence[Condition], given: str) -> Condition:
    """Return the saved condition with a number or, if none has that number, with a name.

    Raises:
        LocalProtocolError: none or several match; lists the saved conditions.
    """
    found = [each for each in conditions if each.seq == given] or [
        each for each in conditions if each.name.strip() == given
    ]
    if len(found) == 1:
        return found[0]
    problem = "has the number or name" if not found else "is the only one with the name"
    raise LocalProtocolError(f"no condition {problem} {quoted(given)}; {_listed(conditions)}")


def _listed(conditions: Iterable[Condition]) -> str:
    listed = [f"{displayed(each.seq)} {displayed(each.name)}" for each in conditions]
    more = f" and {len(listed) - MAX_LISTED} more" if len(listed) > MAX_LISTED else ""
    return f"there are: {', '.join(listed[:MAX_LISTED])}{more}" if listed else "none are saved"
