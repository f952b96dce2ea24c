"""Layer rest: calls -> replies through the dispatcher, in memory: the bytes of a request out, those of an answer in.

Subjects:

    ours        Dispatcher: submit, data_to_send, receive_data, outcomes; the body as JSON -> dict
    ours (typed)  the same with the request and the reply of the catalogue; one field read
    h11         the same bytes with h11 alone, and msgspec for the body: no pacing, no deadlines, no judgement
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import h11
import msgspec

from kiwoom_proto import PRODUCTION
from kiwoom_proto.config import RestConfig
from kiwoom_proto.rest import CATALOGUE
from kiwoom_proto.rest.dispatcher import Dispatcher
from kiwoom_proto.rest.links import Link
from kiwoom_proto.testing import ManualClock

from .decode import CPU
from .peers.driver import Round, serve, timed
from .runner import Bench, Player

__all__ = ("SUBJECTS", "measure", "prepare")

COUNT = 2_000
BODY = msgspec.json.encode(
    {f"sel_{level}th_pre_bid": f"-{70_000 + level * 100}" for level in range(2, 11)}
    | {f"sel_{level}th_pre_req": str(level * 1_234) for level in range(2, 11)}
    | {"sel_fpr_bid": "-70100", "buy_fpr_bid": "+70000", "return_code": 0, "return_msg": "OK"}
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 00:00:00 GMT\r\nContent-Type: application/json;charset=UTF-8\r\n"
    b"api-id: ka10004\r\ncont-yn: N\r\nnext-key: \r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n" % len(BODY)
) + BODY
HEADERS = [
    ("Host", "api.kiwoom.com"),
    ("Content-Type", "application/json;charset=UTF-8"),
    ("authorization", "Bearer " + "t" * 80),
    ("api-id", "ka10004"),
]


@attrs.frozen
class Quote:
    """A query whose reply is a dict."""

    api_id: ClassVar[str] = "ka10004"
    path: ClassVar[str] = "/api/dostk/mrkcond"
    safety: ClassVar[str] = "read"

    def to_json(self) -> bytes:
        return msgspec.json.encode(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        return {"stk_cd": "005930"}

    def decode(self, body: bytes) -> dict[str, Any]:
        return msgspec.json.decode(body, type=dict[str, Any])


def measure(bench: Bench) -> None:
    """Make the measurements."""
    setting = {"count": bench.effort.messages(COUNT)}
    players = [Player(name, "benchmarks.rest", {**setting, "subject": name}) for name in SUBJECTS]
    bench.compare("rest", "ka10004, 700 bytes", players, CPU)


def prepare(setting: dict[str, Any]) -> Round:
    """Set a subject up."""
    call = SUBJECTS[setting["subject"]]()
    count = setting["count"]

    def work() -> int:
        for _ in range(count):
            call()
        return int(count)

    return lambda command: timed(work)


def _dispatcher(make: Callable[[], Any], read: Callable[[Any], object]) -> Callable[[], None]:
    clock = ManualClock(1000.0)
    config = RestConfig(calls_per_second=1_000_000)
    dispatcher = Dispatcher(PRODUCTION, "t" * 80, config, clock=clock, wall_clock=clock)

    def call() -> None:
        clock.now += 0.001
        ticket = dispatcher.submit(make())
        (link,) = dispatcher.needs
        assert isinstance(link, Link)
        if not link.is_open:
            dispatcher.connection_made(link)
        assert dispatcher.data_to_send(link)
        dispatcher.receive_data(link, ANSWER)
        (done,) = dispatcher.outcomes()
        assert done is ticket
        dispatcher.next_timeout()
        assert read(ticket.result().reply)

    return call


def _ours() -> Callable[[], None]:
    return _dispatcher(Quote, lambda reply: reply["buy_fpr_bid"])


def _typed() -> Callable[[], None]:
    quote = CATALOGUE["ka10004"]
    return _dispatcher(lambda: quote(stk_cd="005930"), lambda reply: reply.buy_fpr_bid)


def _h11() -> Callable[[], None]:
    connection = h11.Connection(our_role=h11.CLIENT)

    def call() -> None:
        body = msgspec.json.encode({"stk_cd": "005930"})
        headers = [*HEADERS, ("Content-Length", str(len(body)))]
        request = h11.Request(method="POST", target="/api/dostk/mrkcond", headers=headers)
        assert b"".join(connection.send(event) or b"" for event in (request, h11.Data(body), h11.EndOfMessage()))
        connection.receive_data(ANSWER)
        data = b""
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            data += event.data if isinstance(event, h11.Data) else b""
        assert msgspec.json.decode(data)["buy_fpr_bid"]
        connection.start_next_cycle()

    return call


SUBJECTS: dict[str, Callable[[], Callable[[], None]]] = {"ours": _ours, "ours (typed)": _typed, "h11": _h11}


if __name__ == "__main__":
    serve(prepare)
