"""A driver of what a session needs over REST, in memory: the simulated exchange answers when the test says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from kiwoom_proto import KiwoomError, Session
from kiwoom_proto.rest import Reply
from kiwoom_proto.rest.errors import read_failure
from kiwoom_proto.session.snapshot_needs import SnapshotNeeded
from kiwoom_proto.simulator import Exchange

__all__ = ("RestLine",)


class RestLine:
    """Makes the calls that a session needs, each after some time.

    Args:
        session: the session.
        exchange: what answers.
        clock: the clock of both.
        token: the token of the calls.
        delay: returns the seconds from the session's asking to the server's answering, and from there to its arrival.

    Attributes:
        calls: api-id and parameters of every call made.
        failure: what becomes of a call instead of an answer; None: it is answered.
    """

    def __init__(
        self,
        session: Session,
        exchange: Exchange,
        clock: Callable[[], float],
        token: str = "token",
        delay: Callable[[], tuple[float, float]] = lambda: (0.0, 0.0),
    ) -> None:
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.failure: Callable[[SnapshotNeeded], KiwoomError | None] = lambda need: None
        self._session = session
        self._exchange = exchange
        self._clock = clock
        self._token = token
        self._delay = delay
        self._to_server: deque[tuple[float, SnapshotNeeded]] = deque()
        self._to_session: deque[tuple[float, SnapshotNeeded, Reply | KiwoomError, str]] = deque()

    def next_timeout(self) -> float | None:
        """Return when the next call is answered or arrives."""
        times = [queue[0][0] for queue in (self._to_server, self._to_session) if queue]
        return min(times, default=None)

    def settle(self) -> bool:
        """Do what is due. Return whether that was anything."""
        now, moved = self._clock(), False
        for need in self._session.snapshots_needed():
            moved = True
            at = now + self._delay()[0]
            self._to_server.append((max(at, self._to_server[-1][0]) if self._to_server else at, need))
        while self._to_server and self._to_server[0][0] <= now:
            moved = True
            _, need = self._to_server.popleft()
            if need.is_needed:
                at = now + self._delay()[1]
                at = max(at, self._to_session[-1][0]) if self._to_session else at
                self._to_session.append((at, need, *self._answer(need)))
        while self._to_session and self._to_session[0][0] <= now:
            moved = True
            _, need, answer, next_key = self._to_session.popleft()
            if isinstance(answer, KiwoomError):
                self._session.snapshot_failed(need.id, answer)
            else:
                self._session.receive_snapshot(need.id, answer, next_key, 1 + int(now * 1e9))
        return moved

    def _answer(self, need: SnapshotNeeded) -> tuple[Reply | KiwoomError, str]:
        self.calls.append((need.api_id, dict(need.parameters)))
        failure = self.failure(need)
        if failure is not None:
            return failure, ""
        request = need.request
        headers = {"api-id": request.api_id, "authorization": f"Bearer {self._token}"}
        if need.next_key:
            headers |= {"cont-yn": "Y", "next-key": need.next_key}
        answer = self._exchange.answer_rest(request.path, headers, request.to_json())
        refused = read_failure(request.api_id, answer.status, answer.headers, answer.body)
        if refused is not None:
            return refused, ""
        found = {name.lower(): value for name, value in answer.headers}
        return request.decode(answer.body), found["next-key"] if found["cont-yn"] == "Y" else ""
