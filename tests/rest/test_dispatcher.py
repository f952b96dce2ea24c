"""The dispatcher on virtual time: order, connections, tokens, failures, cancellation, and orders above all."""

from __future__ import annotations

import datetime
import itertools
import random
from typing import Any

import pytest
from tests.rest.asked import Buy, Chart, Deposit, Quote, Reply
from tests.rest.network import ENDPOINT, Answer, Network, Seen, http, refusal

from kiwoom_proto import MOCK, AppKey, Endpoint, KiwoomError, LocalProtocolError
from kiwoom_proto.auth import TokenNeeded
from kiwoom_proto.codes import Remedy
from kiwoom_proto.config import RestConfig
from kiwoom_proto.errors import (
    CertificateRefused,
    CertificateWords,
    DeadlineExceeded,
    TokenError,
    TokenRefused,
    TransportError,
)
from kiwoom_proto.realtime.record import KST
from kiwoom_proto.rest.call import Page
from kiwoom_proto.rest.dispatcher import Dispatcher
from kiwoom_proto.rest.errors import (
    AccountRefused,
    CallCancelled,
    InputRejected,
    MaintenancePage,
    OrderOutcomeUnknown,
    RateLimited,
    RequestBlocked,
    RestError,
    ServerFailed,
    TokenRejected,
    UnreadableReply,
)
from kiwoom_proto.rest.links import Link
from kiwoom_proto.rest.pacing import Count, Pacing, Place
from kiwoom_proto.rest.ticket import Ticket
from kiwoom_proto.testing import ManualClock

TOO_FAST = refusal(5, "[1700:x]", "429 Too Many Requests")
BAD_TOKEN = refusal(3, "[8005:x]")


def ok(ticket: Ticket[Any]) -> bool:
    return isinstance(ticket.outcome, Page)


# What leaves, and when.


def test_a_call_is_dialled_for_sent_and_answered() -> None:
    network = Network()
    ticket = network.dispatcher.submit(Quote("000660"))
    (link,) = network.dispatcher.needs
    assert isinstance(link, Link)
    assert (link.host, link.port, link.secure, link.number) == ("127.0.0.1", 9, False, 1)
    assert network.dispatcher.data_to_send(link) == b"", "there is no stream yet"

    network.advance(1)

    assert isinstance(ticket.result(), Page) and isinstance(ticket.result().reply, Reply)
    assert network.done == [ticket]
    assert [(seen.api_id, seen.token, seen.body) for seen in network.seen] == [
        ("ka10004", "token-of-the-test", {"stk_cd": "000660"})
    ]
    assert not network.dispatcher.is_busy


def test_a_connection_is_kept_and_closed_when_it_is_idle() -> None:
    network = Network(config=RestConfig(idle_timeout=20))
    for _ in range(3):
        network.dispatcher.submit(Quote())
        network.advance(10)
    assert len(network.dialled) == 1
    network.advance(20)
    assert network.dispatcher.needs == ()
    assert network.dispatcher.next_timeout() is None
    network.dispatcher.submit(Quote())
    network.advance(1)
    assert len(network.dialled) == 2 and len(network.done) == 4


def test_several_calls_at_once_share_a_bounded_number_of_connections() -> None:
    network = Network(lambda seen: Answer(after=0.5), config=RestConfig(max_connections=2))
    for _ in range(3):
        network.dispatcher.submit(Quote())
        network.dispatcher.submit(Chart())
    network.advance(10)
    assert len(network.done) == 6 and len(network.dialled) == 2


def test_at_most_five_calls_of_a_tr_leave_in_a_second_and_trs_do_not_wait_for_one_another() -> None:
    network = Network(config=RestConfig(max_connections=10))
    for _ in range(12):
        network.dispatcher.submit(Quote())
    network.dispatcher.submit(Chart())
    network.advance(10)

    times = [seen.at for seen in network.seen if seen.api_id == "ka10004"]
    assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[5:], strict=False))
    assert next(seen.at for seen in network.seen if seen.api_id == "ka10081") < 1000.5
    assert times[-1] < 1003


def test_mock_trading_has_one_call_a_second() -> None:
    endpoint = Endpoint("ws://127.0.0.1:9/", mock=True)
    network = Network(endpoint=endpoint)
    for _ in range(3):
        network.dispatcher.submit(Quote())
    network.advance(10)
    times = [seen.at for seen in network.seen]
    assert all(1.0 <= later - earlier < 1.2 for earlier, later in itertools.pairwise(times))


def test_orders_go_first_and_have_a_connection_of_their_own() -> None:
    network = Network(lambda seen: Answer(after=0.0 if seen.api_id == "kt10000" else 3.0))
    for _ in range(5):
        network.dispatcher.submit(Quote())
        network.dispatcher.submit(Chart())
    network.advance(1)
    order = network.dispatcher.submit(Buy())
    network.advance(0.1)
    assert ok(order), "all connections are in use by slow queries"
    waits = Network(config=RestConfig(max_connections=1))
    for _ in range(4):
        waits.dispatcher.submit(Chart())
    waits.dispatcher.submit(Buy())
    waits.advance(0.05)
    assert waits.seen[0].api_id == "kt10000"


def test_an_order_does_not_go_on_a_connection_that_may_be_dead() -> None:
    network = Network()
    network.dispatcher.submit(Quote())
    network.advance(10)
    network.dispatcher.submit(Buy())
    network.advance(1)
    assert [seen.link.number for seen in network.seen] == [1, 2]
    network.dispatcher.submit(Buy())
    network.advance(1)
    assert network.seen[2].link.number == 2, "it was in use just now"


def test_pages_are_asked_for_with_the_cursor() -> None:
    network = Network(lambda seen: Answer(http(b'{"return_code":0}', "200 OK", "cont-yn: Y", "next-key: K1")))
    ticket = network.dispatcher.submit(Chart(), cont_yn="Y", next_key="K0")
    network.advance(1)
    assert network.seen[0].next_key == "K0"
    assert (ticket.result().cont_yn, ticket.result().next_key) == ("Y", "K1")


# What may fail.


def test_a_kept_connection_that_is_dead_is_no_error_for_a_query() -> None:
    network = Network(lambda seen: Answer(then="idle", idle=2.99))
    network.dispatcher.submit(Quote())
    network.advance(3.03)
    second = network.dispatcher.submit(Quote())  # on its way while the end of the stream is, too
    network.advance(5)
    assert ok(second)
    assert second.tries <= 2


def test_a_kept_connection_that_dies_in_silence_is_no_error_for_a_query() -> None:
    answers = iter([Answer(), Answer(b""), Answer()])
    network = Network(lambda seen: next(answers), config=RestConfig(answer_timeout=5))
    network.dispatcher.submit(Quote())
    network.advance(1)
    second = network.dispatcher.submit(Quote())
    network.advance(10)
    assert ok(second) and second.tries == 2 and len(network.dialled) == 2


def test_a_query_that_is_not_answered_in_time_fails_and_its_connection_is_given_up() -> None:
    network = Network(lambda seen: Answer(b""), config=RestConfig(answer_timeout=5))
    ticket = network.dispatcher.submit(Quote())
    network.advance(5.1)
    assert isinstance(ticket.outcome, DeadlineExceeded)
    assert str(ticket.outcome) == "ka10004: no answer within 5 s (answer_timeout)"
    assert network.dispatcher.needs == () and ticket.tries == 1


@pytest.mark.parametrize(
    "fault", [Answer(b"", then="close"), Answer(refusal(1, "[1999:x]")), Answer(http(b"", "502 x"))]
)
def test_a_query_is_sent_again_a_bounded_number_of_times(fault: Answer) -> None:
    answers = iter([fault, fault, Answer(), *[fault] * 4])
    network = Network(lambda seen: next(answers))
    good = network.dispatcher.submit(Quote())
    network.advance(5)
    assert ok(good) and good.tries == 3
    bad = network.dispatcher.submit(Quote())
    network.advance(20)
    assert isinstance(bad.outcome, TransportError | ServerFailed)
    assert bad.tries == 3 + bad.stale and bad.stale <= 1


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (refusal(2, "[1511:stk_cd]"), InputRejected),
        (refusal(20, "[2000](RC4058:x)"), AccountRefused),
        (http(b"<html></html>"), MaintenancePage),
        (http(b"", "302 x"), UnreadableReply),
        (b"junk\r\n\r\n", UnreadableReply),
    ],
)
def test_other_answers_are_final(answer: bytes, cls: type[KiwoomError]) -> None:
    network = Network(lambda seen: Answer(answer))
    ticket = network.dispatcher.submit(Quote())
    network.advance(60)
    assert type(ticket.outcome) is cls and len(network.seen) == 1


def test_a_query_that_comes_too_fast_waits_and_goes_on() -> None:
    answers = iter([Answer(TOO_FAST), Answer(TOO_FAST), Answer()])
    network = Network(lambda seen: next(answers))
    ticket = network.dispatcher.submit(Quote())
    network.advance(10)
    assert ok(ticket)
    assert [round(seen.at - 1000) for seen in network.seen] == [0, 1, 3]


def test_a_query_that_always_comes_too_fast_fails() -> None:
    network = Network(lambda seen: Answer(TOO_FAST), config=RestConfig(rate_limit_tries=3))
    ticket = network.dispatcher.submit(Quote())
    network.advance(60)
    assert isinstance(ticket.outcome, RateLimited) and len(network.seen) == 3


def test_a_server_that_cannot_be_reached_fails_orders_soon_and_queries_when_their_time_is_up() -> None:
    network = Network(dial=lambda link: "connection refused")
    query, order = (network.dispatcher.submit(request) for request in (Quote(), Buy()))
    network.advance(2)
    assert str(order.outcome) == "connection refused" and len(set(network.dialled)) == 3
    assert not isinstance(order.outcome, OrderOutcomeUnknown), "it was not sent"
    network.advance(9)
    assert query.outcome is None
    network.advance(4)
    assert isinstance(query.outcome, TransportError) and str(query.outcome) == "connection refused"
    assert network.dispatcher.next_timeout() is None


def test_nothing_is_tried_again_for_a_caller_who_wants_one_try() -> None:
    network = Network(dial=lambda link: "connection refused", config=RestConfig(tries=1))
    query = network.dispatcher.submit(Quote())
    network.advance(0.1)
    assert isinstance(query.outcome, TransportError) and len(network.dialled) == 1


def test_a_query_waits_for_a_server_that_comes_back_within_its_time() -> None:
    network = Network(dial=lambda link: "connection refused" if network.clock.now < 1011 else None)
    network.dispatcher.submit(Quote())
    network.advance(5)
    late = [network.dispatcher.submit(request) for request in (Quote(), Chart(), Deposit())]
    network.advance(10)
    assert all(map(ok, [*network.done, *late])) and len(network.done) == 4


def test_a_query_that_came_later_has_more_time() -> None:
    network = Network(dial=lambda link: "connection refused" if network.clock.now < 1016 else None)
    first = network.dispatcher.submit(Quote())
    network.advance(10)
    second = network.dispatcher.submit(Quote())
    network.advance(10)
    assert isinstance(first.outcome, TransportError) and ok(second)


def test_a_certificate_that_is_refused_fails_every_call_at_once() -> None:
    network = Network(dial=lambda link: CertificateWords("certificate verify failed"))
    tickets = [network.dispatcher.submit(request) for request in (Quote(), Buy())]
    network.advance(0.1)
    assert [type(ticket.outcome) for ticket in tickets] == [CertificateRefused] * 2
    assert len(set(network.dialled)) == 1
    late = network.dispatcher.submit(Quote())
    network.advance(0.5)
    assert isinstance(late.outcome, CertificateRefused) and late.outcome.remedy is Remedy.STOP


def test_a_certificate_of_the_token_server_that_is_refused_is_final_too() -> None:
    network = Network(token=AppKey("app", "secret"), obtain=lambda need: CertificateRefused("verify failed"))
    query = network.dispatcher.submit(Quote())
    network.advance(0.1)
    assert isinstance(query.outcome, CertificateRefused) and len(network.tokens) == 1


@pytest.mark.parametrize("why", ["dial", "token"])
def test_all_that_wait_fail_at_once_and_each_with_an_error_of_its_own(why: str) -> None:
    ended: list[tuple[float, Ticket[Any]]] = []
    network = Network(
        token=None if why == "token" else "token-of-the-test",
        obtain=lambda need: TokenRefused("3", "[8001:x]", 200, "8001"),
        dial=lambda link: "connection refused",
    )
    tickets = [network.dispatcher.submit(request) for request in [Quote()] * 12 + [Chart(), Deposit()]]
    while network.dispatcher.is_busy:
        network.advance(0.25)
        ended += [(network.clock.now, ticket) for ticket in network.done[len(ended) :]]
    assert len({at for at, _ in ended}) == 1, "also those that wait for their turn"
    assert [ticket for _, ticket in ended] == tickets and not network.seen
    assert len({str(ticket.outcome) for ticket in tickets}) == 1
    assert len({id(ticket.outcome) for ticket in tickets}) == len(tickets), "each is raised with its own traceback"


def test_an_order_does_not_wait_for_a_connection_that_is_too_old_for_it() -> None:
    network = Network(dial=lambda link: None if link.number == 1 else "connection refused")
    network.dispatcher.submit(Quote())
    network.advance(10)
    order = network.dispatcher.submit(Buy())
    network.advance(2)
    assert isinstance(order.outcome, TransportError) and network.dispatcher.needs != ()
    query = network.dispatcher.submit(Chart())
    network.advance(0.1)
    again = network.dispatcher.submit(Buy())
    network.advance(0.1)
    assert ok(query) and ok(again), "it was in use just now"


def test_a_dial_that_takes_too_long_is_given_up() -> None:
    network = Network(dial=lambda link: "", config=RestConfig(open_timeout=4, tries=2))
    ticket = network.dispatcher.submit(Quote())
    network.advance(30)
    assert str(ticket.outcome) == "no connection to 127.0.0.1:9 within 4 s (open_timeout)"
    assert network.dispatcher.needs == ()


def test_a_dial_that_fails_once_is_tried_again() -> None:
    network = Network(dial=lambda link: "connection refused" if link.number == 1 else None)
    order = network.dispatcher.submit(Buy())
    network.advance(5)
    assert ok(order) and order.tries == 1


def test_bytes_that_nobody_asked_for_end_a_connection() -> None:
    network = Network()
    network.dispatcher.submit(Quote())
    network.advance(1)
    (link,) = network.dispatcher.needs
    assert isinstance(link, Link)
    network.dispatcher.receive_data(link, http())
    assert network.dispatcher.needs == ()
    network.dispatcher.receive_data(link, http())
    network.dispatcher.receive_eof(link)
    assert network.dispatcher.data_to_send(link) == b""


# Tokens.


def test_keys_are_asked_for_a_token_once_for_all_calls() -> None:
    key = AppKey("app", "secret")
    network = Network(token=key)
    tickets = [network.dispatcher.submit(request) for request in (Quote(), Chart(), Buy(), Deposit())]
    network.advance(2)
    assert all(map(ok, tickets)) and len(network.tokens) == 1
    assert {seen.token for seen in network.seen} == {"another-token"}
    assert key.cached(ENDPOINT, network.wall_time()) == "another-token"


def test_a_token_that_is_refused_is_renewed_once_for_all_calls_and_queries_are_sent_again() -> None:
    tokens = iter(["T1-old", "T2-new"])
    needs: list[TokenNeeded] = []

    def obtain(need: TokenNeeded) -> str:
        needs.append(need)
        return next(tokens)

    network = Network(
        lambda seen: Answer(after=0.2) if seen.token == "T2-new" else Answer(BAD_TOKEN, processed=False),
        token=AppKey("app", "secret"),
        obtain=obtain,
    )
    tickets = [network.dispatcher.submit(request) for request in (Quote(), Chart(), Buy(), Deposit())]
    network.advance(5)
    order = tickets.pop(2)
    assert all(map(ok, tickets)) and len(network.tokens) == 2
    assert [need.refused for need in needs] == [None, "T1-old"]
    assert [ticket.tries for ticket in tickets] == [2, 2, 2]
    assert isinstance(order.outcome, TokenRejected) and order.tries == 1
    assert str(order.outcome).endswith("; the order was not processed: place it again")
    again = network.dispatcher.submit(Buy())
    network.advance(1)
    assert ok(again) and len(network.processed) == 4


@pytest.mark.parametrize(
    "answer",
    [BAD_TOKEN, refusal(3, "[8010:x]"), refusal(3, "x"), refusal(3, "[8999:x]"), http(b"", "401 x")],
)
@pytest.mark.parametrize("request_type", [Quote, Buy])
def test_what_another_token_may_put_right_renews_it(answer: bytes, request_type: type[Quote]) -> None:
    network = Network(
        lambda seen: Answer() if seen.token == "T2" else Answer(answer, processed=False),
        token=None,
        obtain=lambda need: "T1" if need.refused is None else "T2",
    )
    ticket = network.dispatcher.submit(request_type())
    network.advance(5)
    if request_type is Buy:
        # Not all of the words say that it was not processed.
        is_clear = answer in (BAD_TOKEN, refusal(3, "[8010:x]"))
        assert isinstance(ticket.outcome, OrderOutcomeUnknown) is not is_clear
        assert [seen.token for seen in network.seen] == ["T1"]
        ticket = network.dispatcher.submit(Buy())
        network.advance(5)
    assert ok(ticket) and [seen.token for seen in network.seen] == ["T1", "T2"]


def test_a_second_refusal_in_a_row_stops_for_a_while() -> None:
    network = Network(lambda seen: Answer(BAD_TOKEN, processed=False), token=None)
    first = [network.dispatcher.submit(request) for request in (Quote(), Chart(), Buy())]
    network.advance(5)
    assert {type(ticket.outcome) for ticket in first} == {TokenRejected}
    assert len(network.tokens) == 2
    later = network.dispatcher.submit(Quote())
    network.advance(1)
    assert isinstance(later.outcome, TokenRejected) and len(network.tokens) == 2
    network.answer = lambda seen: Answer()
    network.advance(60)
    last = network.dispatcher.submit(Quote())
    network.advance(1)
    assert ok(last) and len(network.tokens) == 3


def test_a_token_that_was_given_is_not_renewed() -> None:
    network = Network(lambda seen: Answer(BAD_TOKEN, processed=False))
    ticket = network.dispatcher.submit(Buy())
    network.advance(5)
    assert isinstance(ticket.outcome, TokenRejected) and len(network.seen) == 1 and not network.tokens


@pytest.mark.parametrize("code", ["8030", "8031"])
def test_keys_and_tokens_of_the_other_environment_are_not_tried_again(code: str) -> None:
    network = Network(lambda seen: Answer(refusal(3, f"[{code}:x]"), processed=False), token=AppKey("a", "b"))
    ticket = network.dispatcher.submit(Quote())
    network.advance(5)
    assert isinstance(ticket.outcome, TokenRejected) and len(network.tokens) == len(network.seen) == 1


def test_a_token_that_cannot_be_obtained_is_tried_again_and_then_fails_what_waits() -> None:
    errors: list[str | KiwoomError] = [TransportError("reset"), "T-good"]
    network = Network(token=None, obtain=lambda need: errors.pop(0))
    ticket = network.dispatcher.submit(Quote())
    network.advance(5)
    assert ok(ticket) and len(network.tokens) == 2

    broken = Network(token=None, obtain=lambda need: TokenError("an answer that is none"))
    waits = broken.dispatcher.submit(Buy())
    broken.advance(30)
    assert str(waits.outcome) == "an answer that is none" and len(broken.tokens) == 3

    wrong = Network(token=None, obtain=lambda need: TokenRefused("3", "[8001:x]", 200, "8001"))
    stops = wrong.dispatcher.submit(Quote())
    wrong.advance(30)
    assert isinstance(stops.outcome, TokenRefused) and len(wrong.tokens) == 1


def test_a_token_that_never_comes_is_given_up() -> None:
    network = Network(token=None, config=RestConfig(token_timeout=3, tries=1), latency=lambda: 100.0)
    ticket = network.dispatcher.submit(Quote())
    network.advance(4)
    assert str(ticket.outcome) == "no access token came within 3 s (token_timeout)"
    network.dispatcher.receive_token("late")
    assert network.dispatcher.needs == ()


def test_a_token_that_another_program_part_stored_is_used() -> None:
    key = AppKey("app", "secret")
    network = Network(lambda seen: Answer(), token=key)
    network.dispatcher.submit(Quote())
    network.advance(1)
    key.forget(ENDPOINT, "another-token")
    network.dispatcher.submit(Quote())
    network.advance(1)
    assert len(network.tokens) == 2


# Orders.


@pytest.mark.parametrize(
    "fault",
    [
        Answer(b"", then="close"),
        Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", then="close"),
        Answer(b""),
        Answer(http(b"", "500 x")),
        Answer(refusal(5, "[1700:x]", "500 x")),
        Answer(http(b"<html></html>")),
        Answer(http(b"<html>maintenance</html>", "503 x")),
        Answer(http(b"<html>maintenance</html>", "408 x")),
        Answer(http(b"[]")),
        *(Answer(http(b"", f"{status} x")) for status in (302, 400, 401, 403, 404)),
        Answer(refusal(3, "x", "401 x")),
        Answer(b"junk\r\n\r\n"),
        Answer(refusal(1, "[1999:x]")),
        Answer(refusal(99, "new")),
        Answer(http(b"{}", "200 OK", "Content-Encoding: gzip")),
        Answer(http(b"{}")),
        Answer(http(b'{"return_msg":"","ord_no":" "}')),
        Answer(http(b'{"return_code":null,"ord_no":"0000000"}')),
        Answer(http(b'{"return_msg":"a\nb"}')),
    ],
)
@pytest.mark.parametrize("kept", [False, True])
def test_an_order_without_a_clear_answer_is_unknown_and_never_sent_again(fault: Answer, kept: bool) -> None:
    network = Network(lambda seen: fault if seen.api_id == "kt10000" else Answer(), token=AppKey("app", "secret"))
    if kept:
        network.dispatcher.submit(Quote())
        network.advance(1)
    order = network.dispatcher.submit(Buy())
    network.advance(300)
    assert isinstance(order.outcome, OrderOutcomeUnknown)
    assert len([seen for seen in network.seen if seen.api_id == "kt10000"]) == 1
    begin, end = order.outcome.window
    sent_at = datetime.datetime(2026, 11, 26, 9, 0, 0, tzinfo=KST) + datetime.timedelta(seconds=1.0 if kept else 0.01)
    assert abs((begin - sent_at).total_seconds()) < 0.1
    assert begin < end <= begin + datetime.timedelta(seconds=15.1)
    assert (order.outcome.side, order.outcome.stock_code, order.outcome.price) == ("buy", "005930", "70000")


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (TOO_FAST, RateLimited),
        (http(b"", "429 x"), RateLimited),
        (BAD_TOKEN, TokenRejected),
        (refusal(3, "[8031:x]"), TokenRejected),
        (refusal(3, "[8005:x]", "401 x"), TokenRejected),
        (refusal(2, "[1511:x]"), InputRejected),
        (refusal(20, "(RC4003:x)"), AccountRefused),
        (http(b"<html>blocked</html>", "403 x"), RequestBlocked),
        (http(b"<html>maintenance</html>", "403 x"), MaintenancePage),
    ],
)
def test_an_order_that_was_refused_is_raised_to_its_caller(answer: bytes, cls: type[KiwoomError]) -> None:
    network = Network(lambda seen: Answer(answer, processed=False), token=AppKey("app", "secret"))
    order = network.dispatcher.submit(Buy())
    network.advance(60)
    assert type(order.outcome) is cls and isinstance(order.outcome, RestError) and len(network.seen) == 1
    assert "; the order was not processed" in str(order.outcome)
    assert str(order.outcome).endswith("place it again") is (order.outcome.remedy in (Remedy.RENEW, Remedy.RETRY))


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"return_code":0}',
        b'{"return_code":0}',
        b'{"ord_no":"0000139"}',
        b'{"ord_no":"0000139","x":"a\nb"}',
        b'{"returnCode":"0"}',
    ],
)
def test_a_code_or_a_number_says_that_an_order_was_accepted(body: bytes) -> None:
    network = Network(lambda seen: Answer(http(body)))
    order = network.dispatcher.submit(Buy())
    network.advance(1)
    assert ok(order)


def test_a_query_needs_neither() -> None:
    network = Network(lambda seen: Answer(http(b"{}")))
    query = network.dispatcher.submit(Quote())
    network.advance(1)
    assert ok(query)


def test_an_order_of_which_no_byte_was_handed_over_goes_on_another_connection() -> None:
    network = Network()
    order = network.dispatcher.submit(Buy())
    (link,) = network.dispatcher.needs
    assert isinstance(link, Link)
    network.dispatcher.connection_made(link)  # and the driver has not asked for bytes yet
    network.dispatcher.receive_eof(link)
    assert link not in network.dispatcher.needs
    network.advance(2)
    assert ok(order) and len(network.processed) == 1 and order.tries == 1


# The clock, which moves between any two calls of the driver, and may jump.


def test_a_call_that_falls_due_between_two_calls_of_the_driver_is_not_forgotten() -> None:
    network = Network(config=RestConfig(max_connections=1))
    for _ in range(6):
        network.dispatcher.submit(Quote())
    network.advance(0.9)
    (link,) = network.dispatcher.needs
    assert isinstance(link, Link) and len(network.done) == 5
    network.dispatcher.receive_eof(link)
    due_at = network.dispatcher.next_timeout()
    assert due_at is not None and due_at > network.clock.now
    network.clock.now = due_at + 0.1
    assert network.dispatcher.next_timeout() == due_at
    network.advance(1)
    assert len(network.done) == 6


def test_a_connection_that_may_be_dialled_again_meanwhile_is_not_forgotten() -> None:
    network = Network(dial=lambda link: "connection refused" if link.number == 1 else None)
    query = network.dispatcher.submit(Quote())
    network.advance(0.1)
    due_at = network.dispatcher.next_timeout()
    assert due_at is not None and network.dispatcher.needs == ()
    network.clock.now = due_at + 0.1
    assert network.dispatcher.next_timeout() == due_at
    network.advance(1)
    assert ok(query)


NOT_SENT = "kt10000: this order was not sent, as it could not be within 15 s (answer_timeout)"


def test_an_order_that_waits_for_its_turn_while_the_program_stands_still_is_never_sent() -> None:
    network = Network()
    orders = [network.dispatcher.submit(Buy()) for _ in range(12)]
    network.advance(0.9)
    assert len(network.processed) == 5
    network.clock.now += 19.2  # the deadline of the last two, whose turn comes later, is another
    network.dispatcher.submit(Chart())
    network.advance(10)
    assert [str(order.outcome) for order in orders[5:10]] == [NOT_SENT] * 5 and not network.dispatcher.is_busy
    assert {seen.api_id for seen in network.seen[5:]} == {"ka10081"}
    assert not isinstance(orders[5].outcome, OrderOutcomeUnknown), "nothing to look up"


@pytest.mark.parametrize("what", ["connection", "token", "writing"])
def test_an_order_is_not_sent_after_its_deadline_whatever_it_waited_for(what: str) -> None:
    network = Network(token=None if what == "token" else "T1", latency=lambda: 0.0)
    order = network.dispatcher.submit(Buy())
    (need,) = network.dispatcher.needs
    if what == "writing":
        assert isinstance(need, Link)
        network.dispatcher.connection_made(need)
    network.clock.now += 15.0
    if what == "writing":
        assert isinstance(need, Link)
        assert network.dispatcher.data_to_send(need) == b""
    elif isinstance(need, Link):
        network.dispatcher.connection_made(need)
    else:
        network.dispatcher.receive_token("T1")
    network.advance(30)
    assert str(order.outcome) == NOT_SENT and network.seen == [] and order.tries == 0


def test_an_order_whose_bytes_nobody_fetched_for_a_while_goes_on_a_fresh_connection() -> None:
    network = Network()
    network.dispatcher.submit(Quote())
    network.advance(1)
    order = network.dispatcher.submit(Buy())
    (link,) = network.dispatcher.needs
    assert isinstance(link, Link)
    network.clock.now += 6.0
    assert network.dispatcher.data_to_send(link) == b"", "it may be dead by now"
    network.advance(1)
    assert ok(order) and network.seen[-1].link is not link


def test_idle_connections_that_are_too_old_for_an_order_make_room_for_it() -> None:
    network = Network(lambda seen: Answer(after=0.5), config=RestConfig(max_connections=1))
    for request in (Quote(), Buy()):
        network.dispatcher.submit(request)
        network.advance(0.1)
    network.advance(8)
    assert len(network.dispatcher.needs) == 2
    order = network.dispatcher.submit(Buy())
    network.advance(1)
    assert ok(order)


class Meddling:
    """A lock before whose taking another thread of the app key may take a place in the count, or give one back."""

    def __init__(self, seed: int, clock: ManualClock) -> None:
        self.count = Count(lock=self)
        self.chance = 0.3
        self._draw = random.Random(seed)
        self._clock = clock
        self._other = Pacing(5, self.count)
        self._places: list[Place] = []
        self._is_inside = False

    def __enter__(self) -> None:
        if self._is_inside or self._draw.random() >= self.chance:
            return
        self._is_inside = True
        if self._places and self._draw.random() < 0.5:
            self._other.unsent("ka10004", self._places.pop())
        elif (place := self._other.take("ka10004", self._clock.now)) is not None:
            self._places.append(place)
        self._is_inside = False

    def __exit__(self, *error: object) -> None:
        pass


@pytest.mark.parametrize("seed", range(20))
def test_no_call_is_forgotten_while_another_thread_of_the_key_takes_and_gives_places(seed: int) -> None:
    clock = ManualClock(1000.0)
    meddling = Meddling(seed, clock)
    network = Network(lambda seen: Answer(then="close"), config=RestConfig(tries=9), clock=clock, count=meddling.count)
    dispatcher = network.dispatcher
    for _ in range(30):
        dispatcher.submit(Quote())
        for _ in range(3):
            network.advance(0.05)
            assert dispatcher.next_timeout() is not None or dispatcher.needs or not dispatcher.is_busy
    meddling.chance = 0.0
    network.advance(30)
    assert len(network.done) == 30 and all(map(ok, network.done))


# Cancelling.


def test_a_call_that_waits_can_be_cancelled() -> None:
    network = Network()
    order = network.dispatcher.submit(Buy())
    network.dispatcher.cancel(order)
    network.dispatcher.cancel(order)
    network.advance(5)
    assert isinstance(order.outcome, CallCancelled) and network.seen == [] and network.done == [order]


@pytest.mark.parametrize(("request_", "cls"), [(Quote(), CallCancelled), (Buy(), OrderOutcomeUnknown)])
def test_a_call_under_way_that_is_cancelled_loses_its_connection(request_: Quote, cls: type[KiwoomError]) -> None:
    network = Network(lambda seen: Answer(after=2.0))
    ticket = network.dispatcher.submit(request_)
    network.advance(1)
    (link,) = network.dispatcher.needs
    network.dispatcher.cancel(ticket)
    network.advance(5)
    assert type(ticket.outcome) is cls
    assert network.hung_up == [link] and len(network.seen) == 1
    assert network.done == [ticket]


def test_closing_ends_everything() -> None:
    network = Network(lambda seen: Answer(after=2.0), config=RestConfig(max_connections=1))
    tickets = [network.dispatcher.submit(request) for request in (Buy(), Quote(), Chart())]
    network.advance(0.5)
    network.dispatcher.close()
    network.dispatcher.close()
    network.advance(5)
    kinds = {type(ticket.outcome) for ticket in tickets}
    assert kinds == {OrderOutcomeUnknown, CallCancelled} and len(network.done) == 3
    assert network.dispatcher.needs == () and network.dispatcher.next_timeout() is None
    with pytest.raises(LocalProtocolError, match="closed"):
        network.dispatcher.submit(Quote())


# Mistakes.


class IssueToken(Quote):
    api_id = "au10001"
    safety = "auth_write"


def test_mistakes_are_refused() -> None:
    network = Network()
    with pytest.raises(LocalProtocolError, match="au10001: tokens"):
        network.dispatcher.submit(IssueToken())
    with pytest.raises(LocalProtocolError, match="next-key"):
        network.dispatcher.submit(Quote(), next_key="\r")
    ticket = network.dispatcher.submit(Quote())
    with pytest.raises(LocalProtocolError, match="not finished"):
        ticket.result()
    clock = network.clock
    wrong: list[tuple[Any, Any, Any, str]] = [
        ("wss://x", None, None, "endpoint"),
        (MOCK, 5, None, "token"),
        (MOCK, "Bearer x", None, "token"),
        (MOCK, b"token-as-bytes", None, "token"),
        (MOCK, None, 5, "config"),
    ]
    for endpoint, token, config, name in wrong:
        with pytest.raises(LocalProtocolError, match=name):
            Dispatcher(endpoint, token, config, clock=clock, wall_clock=clock)


def test_nothing_shows_a_token() -> None:
    secret = "token-that-nobody-may-see-1"
    network = Network(lambda seen: Answer(refusal(3, f"[8005:{seen.token}]"), processed=False), token=secret)
    ticket = network.dispatcher.submit(Quote())
    network.advance(0.015)
    shown = f"{network.dispatcher!r} {network.dispatcher.needs!r} {ticket!r} {vars(network.dispatcher)!r}"
    network.advance(5)
    assert secret not in shown + f"{ticket.outcome!r} {ticket.outcome} {ticket!r}"
    assert "***" in str(ticket.outcome)


def test_quotes_seen_are_those_submitted() -> None:
    network = Network()
    seen: list[Seen] = network.seen
    for code in ("1", "2", "3"):
        network.dispatcher.submit(Quote(code))
    network.advance(1)
    assert [one.body["stk_cd"] for one in seen] == ["1", "2", "3"]


def test_a_server_that_counts_refuses_none_of_the_calls_of_several_connections() -> None:
    draw = random.Random(7)
    network = Network(latency=lambda: draw.uniform(0.001, 0.04), config=RestConfig(max_connections=4))
    for number in range(1500):
        network.dispatcher.submit((Quote, Chart, Buy)[number % 3]())
    network.advance(130)

    assert len(network.done) == 1500 and all(map(ok, network.done))
    for api_id in ("ka10004", "ka10081", "kt10000"):
        times = [seen.at for seen in network.seen if seen.api_id == api_id]
        assert len(times) == 500
        assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[5:], strict=False))
        assert 500 / (times[-1] - times[0]) >= 0.95 * 5
