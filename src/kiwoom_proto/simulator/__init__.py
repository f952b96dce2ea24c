"""A simulated Kiwoom server without I/O: seeded, deterministic, and able to inject faults.

It answers as the live server was measured to answer (`exchange` gives the sources), so programs can be tried and tested
without an account. `kiwoom_trio.serve` and `kiwoom_asyncio.serve` run it on a loopback port. `testing.ConnectionPair`
connects it to a client in memory.
"""

from .client_link import PATH, US_PATH, ClientLink
from .exchange import Exchange
from .faults import Faults
from .market.account import Order
from .market.market import Market
from .playback import Playback
from .truth import Truth

__all__ = ("PATH", "US_PATH", "Exchange", "Faults", "Market", "Order", "Playback", "ClientLink", "Truth")
