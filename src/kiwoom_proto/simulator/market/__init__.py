"""The market of the simulated exchange. It depends only on its seed and the time."""

__all__ = ()
