"""One count of calls for each app key and server, which all share who call TRs: REST clients, and feeds that recover.

The server counts the calls of an app key, whoever makes them. So whatever calls with the same keys, or with the same
token, shares one `Count`, in all threads of the process whose clocks are the same: those of all asyncio event loops
are, those of two runs of trio are not. Several processes do not share it: each meets refusals of the others' making,
and waits.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Hashable
from weakref import WeakValueDictionary

from ..auth import AppKey
from ..endpoint import Endpoint
from ..rest.pacing import Count
from .credentials import Credentials

__all__ = ("shared_count",)

_lock = threading.Lock()
_counts: WeakValueDictionary[tuple[Hashable, ...], Count] = WeakValueDictionary()
"""By process (a fork has those of its parent), clock, server, and what is called with."""
_latest: deque[Count] = deque(maxlen=16)
"""Kept without anybody who has them: a program may open a client for each call."""


def shared_count(endpoint: Endpoint, token: Credentials, clock: Hashable) -> Count:
    """Return the count of an app key. It lives as long as somebody has it, and for a while.

    Args:
        endpoint: whose REST interface.
        token: what is called with.
        clock: what is the same for all who have the same clock.
    """
    keys: tuple[Hashable, ...]
    if isinstance(token, AppKey):
        keys = token.appkey, token.secretkey
    else:
        keys = (token if isinstance(token, Hashable) else id(token),)
    place = os.getpid(), clock, endpoint.rest_url(""), *keys
    with _lock:
        count = _counts.get(place)
        if count is None:
            count = _counts[place] = Count(threading.RLock())
            _latest.append(count)
        return count
