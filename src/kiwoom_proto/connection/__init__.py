"""One connection, from the opening handshake to its end: `client` and `server` are its two ends."""

__all__ = ()
