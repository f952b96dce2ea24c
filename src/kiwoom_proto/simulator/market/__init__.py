"""The market of the simulated exchange: seeded, and made of nothing but its seed and the time."""

__all__ = ()
