"""Line: one session of a client, and what the tasks that serve it share. A client with several tokens has several."""

from __future__ import annotations

from ..session.connector import Need
from ..session.session import Session
from .credentials import Credentials
from .own_loop import AnyEvent, AnyScope
from .unsent import Unsent

__all__ = ("Line",)


class Line:
    """One session that is served.

    Args:
        unsent: its outgoing bytes.
        token: what it logs in with.
        has_outgoing: an event that is not set.

    Attributes:
        session: the session.
        unsent: as given.
        token: as given.
        has_outgoing: set when there is something to write, or something else is needed.
        need: what is being served.
        serving: cancels what serves `need`.
    """

    def __init__(self, unsent: Unsent, token: Credentials, has_outgoing: AnyEvent) -> None:
        self.session: Session = unsent.session
        self.unsent = unsent
        self.token = token
        self.has_outgoing = has_outgoing
        self.need: Need | None = None
        self.serving: AnyScope | None = None

    @property
    def needs_else(self) -> bool:
        """Whether something else is needed than what is being served."""
        return self.need is not self.session.needs
