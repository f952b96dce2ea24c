"""A simulated exchange in a thread of its own, for programs that run beside the test."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from anyio.from_thread import BlockingPortal, start_blocking_portal

import kiwoom_asyncio
from kiwoom_proto.simulator import Exchange

__all__ = ("served",)


@contextmanager
def served(exchange: Exchange, ssl_context: ssl.SSLContext | None = None) -> Iterator[tuple[str, BlockingPortal]]:
    """Serve an exchange in a thread of its own; gives its URL, and the portal through which to call it."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(kiwoom_asyncio.serve(exchange, ssl_context=ssl_context)) as server,
    ):
        yield server.endpoint.url, portal
