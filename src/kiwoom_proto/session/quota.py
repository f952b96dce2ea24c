"""The item quota: how many items one connection may have, and what happens when they are too many.

The server limits the item strings (종목) of a connection, and those of a group [measured by several]. Types are
free. A stock at KRX, NXT and SOR is three items, and "" (account-wide and market-wide types) is none. That an
item in two groups counts once for the connection is a guess.

* A call that would exceed a limit is refused before anything is sent: `QuotaExceeded` shows the arithmetic and where
  the limit comes from.
* The limit is `ClientConfig.item_limit` if the user has set it, else `Endpoint.item_limit`: 200, in mock trading 100.
  No limit for one group is known in advance: until the server names one, that of the connection holds.
* The server may have another limit. Its refusal names it: 105115 for the connection, 105118 for a group, with
  words like "실시간 등록 허용 개수(100)를 초과했습니다" [measured]. From then on that number counts, for as long as
  the session lives; but against a connection limit that the user has set, only a lower one.
* A refusal for the quota concerns a message as a whole. It is never split up and never repeated on the same
  connection (registrations.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from ..codes import CONNECTION_QUOTA, GROUP_QUOTA
from ..config import ClientConfig
from ..endpoint import Endpoint
from ..errors import QuotaExceeded
from ..request import Key

__all__ = ("QUOTA_CODES", "Quota", "item_limit_in")

QUOTA_CODES = frozenset({CONNECTION_QUOTA, GROUP_QUOTA})
"""The codes with which the server refuses a message for having too many items."""

_ITEM_LIMIT = re.compile(r"\(\s*([1-9][0-9]{0,5})\s*\)")


def item_limit_in(message: str) -> int | None:
    """Return the number of items that the server accepts, from its words of refusal; None if they do not name one."""
    found = _ITEM_LIMIT.search(message)
    return int(found[1]) if found else None


class Quota:
    """Counts the items that a session wants, and checks them against the limits.

    Args:
        item_limit: maximum number of items on the connection.
        is_chosen: whether the user has set the limit; False if it is the endpoint's default.
    """

    def __init__(self, item_limit: int, *, is_chosen: bool = True) -> None:
        self._limit = item_limit
        self._limit_is_chosen = is_chosen
        self._source = "ClientConfig.item_limit" if is_chosen else "Endpoint.item_limit"
        self._group_limit: int | None = None
        self._items: Counter[str] = Counter()  # item -> number of wanted (group, type, item)
        self._group_items: dict[str, Counter[str]] = {}  # group -> the same for that group

    @classmethod
    def of(cls, endpoint: Endpoint, config: ClientConfig) -> Quota:
        """Return the quota of a session."""
        chosen = config.item_limit
        return cls(endpoint.item_limit if chosen is None else chosen, is_chosen=chosen is not None)

    @property
    def limit(self) -> int:
        """Maximum number of items on the connection, as far as known."""
        return self._limit

    @property
    def group_limit(self) -> int | None:
        """Maximum number of items in a group; None: not known, so that of the connection holds."""
        return self._group_limit

    @property
    def source(self) -> str:
        """Where `limit` comes from."""
        return self._source

    def check(self, wanted: Iterable[Key], freed: Iterable[Key] = ()) -> None:
        """Check that there is room for some more subscriptions.

        Args:
            wanted: the subscriptions that would be added.
            freed: the subscriptions that would be given up for them.

        Raises:
            QuotaExceeded: there is not.
        """
        wanted, freed = tuple(wanted), set(freed)
        _check(self._limit, self._items, wanted, freed, self._source)
        if self._group_limit is None:
            return
        for group in dict.fromkeys(group for group, _, _ in wanted):
            _check(
                self._group_limit,
                self._group_items.get(group, Counter()),
                (key for key in wanted if key[0] == group),
                (key for key in freed if key[0] == group),
                _named_by(GROUP_QUOTA),
                group,
            )

    def add(self, key: Key) -> None:
        """Count a subscription that is wanted from now on."""
        group, _, item = key
        if item:
            self._items[item] += 1
            self._group_items.setdefault(group, Counter())[item] += 1

    def remove(self, key: Key) -> None:
        """Stop counting a subscription."""
        group, _, item = key
        if not item:
            return
        _decrement(self._items, item)
        _decrement(self._group_items[group], item)
        if not self._group_items[group]:
            del self._group_items[group]

    def learn(self, code: str, message: str) -> None:
        """Learn the limit that a refusal names.

        Args:
            code: the server's code, one of `QUOTA_CODES`.
            message: the server's words.
        """
        limit = item_limit_in(message)
        if limit is None:
            return
        if code == GROUP_QUOTA:
            self._group_limit = limit
        elif limit < self._limit or not self._limit_is_chosen:
            self._limit, self._source = limit, _named_by(code)


def _check(
    limit: int, counts: Counter[str], wanted: Iterable[Key], freed: Iterable[Key], source: str, group: str = ""
) -> None:
    """Raise QuotaExceeded if these items would be more than `limit`."""
    going = Counter(item for _, _, item in freed if item)
    # An item that only `freed` has is no longer in use. Nearly always nothing is freed, and the counts are the answer.
    used = {item for item, count in counts.items() if count > going[item]} if going else counts.keys()
    new = {item for _, _, item in wanted if item} - used
    if len(used) + len(new) > limit:
        raise QuotaExceeded(limit, len(used), len(new), source, group)


def _decrement(counts: Counter[str], item: str) -> None:
    counts[item] -= 1
    if not counts[item]:
        del counts[item]


def _named_by(code: str) -> str:
    return f"named by the server in its refusal {code}"
