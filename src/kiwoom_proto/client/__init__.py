"""What the adapters' clients share: the calls, the pump's decisions, the queue, and the errors.

It knows no event loop.
"""

__all__ = ()
