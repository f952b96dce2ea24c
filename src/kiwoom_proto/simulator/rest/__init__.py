"""REST of the simulated exchange: requests (TRs) over HTTP, answered from the same market as the WebSocket's rows."""

__all__ = ()
