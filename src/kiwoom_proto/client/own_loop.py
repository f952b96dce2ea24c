"""A client's event loop: where the client belongs, and what it needs from the loop."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..errors import LocalProtocolError

__all__ = ("AnyEvent", "AnyScope", "Place")


class Place(NamedTuple):
    """Where code runs.

    Attributes:
        process: its process number.
        thread: the identifier of its thread.
        loop: the running event loop, or None.
    """

    process: int
    thread: int
    loop: object

    def check(self, here: Place, hand_over: str) -> None:
        """Refuse a call that does not come from this place.

        Args:
            here: where the call comes from.
            hand_over: how another thread hands a call over to this loop.

        Raises:
            LocalProtocolError: another process, thread or event loop; the text says what to do instead.
        """
        if here == self:
            return
        if here.process != self.process:
            raise LocalProtocolError(
                "called in a process that was forked after the client connected; connect in the process that uses it"
            )
        if here.loop is self.loop:
            return
        if here.thread != self.thread:
            raise LocalProtocolError(
                f"called from another thread than the client's own; hand the call over: {hand_over}"
            )
        raise LocalProtocolError(
            "called from another event loop than the client's own; connect in the loop that uses the client"
        )


class AnyEvent(Protocol):
    """An event of the loop."""

    def set(self) -> object:
        """Wake every task that waits."""

    async def wait(self) -> object:
        """Wait until it is set."""


class AnyScope(Protocol):
    """A cancel scope of the loop."""

    deadline: float
