"""What outlives a connection: what is wanted, what to do after a loss, and the next connection."""

__all__ = ()
