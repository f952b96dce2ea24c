"""What the adapters' clients share: the buffer between a connection and its consumer, and the calls that wait.

It knows no event loop.
"""

__all__ = ()
