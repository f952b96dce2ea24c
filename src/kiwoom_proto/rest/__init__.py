"""Calls of the REST interface, without I/O: requests and replies, and what carries them.

* errors: what a refusal means.
"""

__all__ = ()
