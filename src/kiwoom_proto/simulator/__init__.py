"""A simulated Kiwoom, without I/O: seeded, deterministic, and able to misbehave on demand.

It answers as the live server was measured to (sources in `exchange`), so a program can be tried and tested without an
account. `kiwoom_trio.serve` and `kiwoom_asyncio.serve` put it on a loopback port; `testing.ConnectionPair` joins it to
a client in memory.
"""

from .client_link import PATH, US_PATH, ClientLink
from .exchange import Exchange
from .faults import Faults
from .market.account import Order
from .market.market import Market

__all__ = ("PATH", "US_PATH", "Exchange", "Faults", "Market", "Order", "ClientLink")
