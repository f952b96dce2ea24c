"""The Kiwoom real-time feed on trio: `connect` to it, `replay` a recording, `serve` a simulated one.

    async with kiwoom_trio.connect(MOCK, token=token) as client:
        await client.subscribe(AfterHoursQuote, "005930", "000660")
        async for event in client:
            ...

Same names and behaviour as `kiwoom_asyncio`.
"""

try:
    import trio as _trio  # noqa: F401  # only for a clear error if it is missing
except ImportError:
    raise ImportError("kiwoom_trio needs trio: pip install 'kiwoom-proto[trio]'") from None

from .auth import issue_token, revoke_token
from .client import Client, connect
from .replay import Replay, replay
from .rest import RestClient, rest
from .server import Server, serve

__all__ = (
    "Client",
    "Replay",
    "RestClient",
    "Server",
    "connect",
    "issue_token",
    "replay",
    "rest",
    "revoke_token",
    "serve",
)
