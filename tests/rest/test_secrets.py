"""No variable of a line that runs during a call ever shows the token, whatever the server answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.adapters.test_captured_locals import Watch
from tests.rest.asked import Buy, Chart, Quote
from tests.rest.network import Answer, Network, http, refusal

from kiwoom_proto import AppKey
from kiwoom_proto.rest.call import dry_run
from kiwoom_proto.rest.dispatcher import Dispatcher

TOKEN = "the-token-of-a-call-that-nobody-may-see"


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    watch.secrets.append(TOKEN)
    yield watch
    assert watch.lines > 100
    assert watch.leaks == set()


@pytest.mark.parametrize("keys", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        Answer(),
        Answer(http(b'{"return_code":3,"return_msg":"[8005:x]"}')),
        Answer(http(b"<html><title>x</title>", "502 x")),
        Answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
        Answer(b"junk\r\n\r\n"),
        Answer(b"", then="close"),
        Answer(b""),
    ],
)
def test_a_call_shows_no_token(watch: Watch, answer: Answer, keys: bool) -> None:
    with watch():
        assert TOKEN not in shown_after(answer, keys)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(refusal(3, f"no such token: {TOKEN}")),
        Answer(http(TOKEN.encode())),
        Answer(http(b"", f"500 {TOKEN}")),
        Answer(http(f"<html><title>{TOKEN}</title>".encode(), "502 x", f"X-Token: {TOKEN}")),
        Answer(http(b"{}", "200 OK", f"Content-Encoding: {TOKEN}")),
        Answer(f"junk {TOKEN}\r\n\r\n".encode()),
    ],
)
def test_a_token_that_an_answer_quotes_is_not_shown(answer: Answer) -> None:
    assert TOKEN not in shown_after(answer, keys=False)


def shown_after(answer: Answer, keys: bool) -> str:
    """What the outcomes of calls show."""
    network = Network(lambda seen: answer, AppKey("app", "secret") if keys else TOKEN, obtain=lambda need: TOKEN)
    tickets = [network.dispatcher.submit(request) for request in (Quote(), Buy(), Chart())]
    network.advance(60)
    network.dispatcher.close()
    return "".join(f"{ticket!r} {ticket.outcome!r} {ticket.outcome}" for ticket in tickets)


def test_a_dry_run_knows_no_token(watch: Watch) -> None:
    with watch():
        network = Network(token=TOKEN)
        network.dispatcher.submit(Quote())
        network.advance(1)
        assert TOKEN not in str(dry_run(Quote(), network.dispatcher.endpoint))
        for wrong in (f"Bearer {TOKEN}", f"{TOKEN}\n", TOKEN.encode()):
            with pytest.raises(ValueError, match="token"):
                Dispatcher(network.dispatcher.endpoint, wrong, clock=network.clock, wall_clock=network.clock)  # type: ignore[arg-type]
