"""The Kiwoom real-time feed on asyncio (anyio): `connect` to it, `replay` a recording, `serve` a simulated one.

    async with kiwoom_asyncio.connect(MOCK, token=token) as client:
        await client.subscribe(AfterHoursQuote, "005930", "000660")
        async for event in client:
            ...

Same names and behaviour as `kiwoom_trio`, and two more: `blocking` is the same without async, and `open` returns a
client that is closed elsewhere, as in the cells of a notebook.
"""

try:
    import anyio as _anyio  # noqa: F401  # only for a clear error if it is missing
except ImportError:
    raise ImportError(
        "kiwoom_asyncio needs anyio: pip install 'kiwoom-proto[asyncio]', or [cli] for the kiwoom-proto command"
    ) from None

from . import blocking
from .auth import issue_token, revoke_token
from .client import Client, connect, open
from .replay import Replay, replay
from .rest import RestClient, open_rest, rest
from .server import Server, serve

__all__ = (
    "Client",
    "Replay",
    "RestClient",
    "Server",
    "blocking",
    "connect",
    "issue_token",
    "open",
    "open_rest",
    "replay",
    "rest",
    "revoke_token",
    "serve",
)
