"""RequestQueue: order, pacing, and whose reply is whose."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from kiwoom_proto import (
    PRODUCTION,
    US_PRODUCTION,
    ClientConfig,
    ClientConnection,
    Endpoint,
    LocalProtocolError,
    Request,
    Session,
)
from kiwoom_proto.connection.request_queue import RequestQueue
from kiwoom_proto.realtime.catalogue import extended_catalogue
from kiwoom_proto.request import RequestKind
from kiwoom_proto.testing import ManualClock
from kiwoom_proto.wire.messages import (
    Element,
    Message,
    Reg,
    Remove,
    Reply,
    check,
    condition_list,
    condition_search,
    encode,
    ticket_for,
)
from kiwoom_proto.wire.registration import registration, removal

INTERVAL, ACK_TIMEOUT = 0.35, 5.0


def reg(*items: str, parts: int = 1, group: str = "1") -> Request:
    """A REG of these items, cut into parts of the same size."""
    return Request(RequestKind.REGISTER, tuple((group, "0E", item) for item in items), parts=parts)


def remove(*items: str) -> Request:
    return Request(RequestKind.REMOVE, tuple(("1", "0E", item) for item in items))


def messages_of(request: Request) -> tuple[Message, ...]:
    size = len(request.items) // request.parts
    cuts = [request.items[at * size : (at + 1) * size] for at in range(request.parts)]
    data = [(Element(cut, request.types),) for cut in cuts]
    if request.kind is RequestKind.REMOVE:
        return tuple(Remove(request.group, elements) for elements in data)
    return tuple(Reg(request.group, "1", elements) for elements in data)


def queue_of(*requests: Request, interval: float = INTERVAL) -> RequestQueue:
    queue = RequestQueue(interval, ACK_TIMEOUT)
    for request in requests:
        queue.add(request, messages_of(request))
    return queue


def answer(trnm: str, ok: bool) -> Reply:
    return Reply(trnm, "0" if ok else "105111", "", {})


def items(payload: bytes | None) -> list[str]:
    """The items in a message on its way out."""
    assert payload is not None
    return [item for element in json.loads(payload)["data"] for item in element["item"]]


def test_empty_queue_has_nothing_to_do() -> None:
    queue = queue_of()
    assert queue.pop(0.0) is None
    assert queue.next_timeout() is None
    assert queue.overdue(1e9) is None


def test_first_message_goes_out_at_once_and_names_its_reply_deadline() -> None:
    queue = queue_of(reg("005930"))
    assert queue.pop(100.0) == b'{"trnm":"REG","grp_no":"1","refresh":"1","data":[{"item":["005930"],"type":["0E"]}]}'
    assert queue.next_timeout() == 100.0 + ACK_TIMEOUT


def test_remove_is_encoded_without_refresh() -> None:
    assert queue_of(remove("005930")).pop(0.0) == (
        b'{"trnm":"REMOVE","grp_no":"1","data":[{"item":["005930"],"type":["0E"]}]}'
    )


def test_messages_are_an_interval_apart() -> None:
    """Of another trnm, too: the limit is for the connection."""
    queue = queue_of(reg("1"), remove("2"))
    assert items(queue.pop(10.0)) == ["1"]
    assert queue.next_timeout() == 10.0 + INTERVAL
    assert queue.pop(10.0) is None
    assert queue.pop(10.0 + INTERVAL - 0.001) is None
    assert items(queue.pop(10.0 + INTERVAL)) == ["2"]


def test_interval_holds_after_the_reply_too() -> None:
    queue = queue_of(reg("1"), reg("2"))
    queue.pop(10.0)
    assert queue.reply(answer("REG", True)) is not None
    assert queue.pop(10.01) is None
    assert queue.next_timeout() == 10.0 + INTERVAL
    assert items(queue.pop(10.0 + INTERVAL)) == ["2"]


def test_interval_zero_does_not_wait() -> None:
    queue = queue_of(reg("1"), remove("2"), interval=0)
    assert items(queue.pop(10.0)) == ["1"]
    assert items(queue.pop(10.0)) == ["2"]


def test_one_unanswered_message_of_a_trnm_at_a_time() -> None:
    """However long it takes, the second REG waits for the reply to the first; until then only that can happen."""
    queue = queue_of(reg("1"), reg("2"))
    queue.pop(0.0)
    assert queue.pop(4.0) is None
    assert queue.next_timeout() == ACK_TIMEOUT
    queue.reply(answer("REG", True))
    assert items(queue.pop(4.0)) == ["2"]


def test_nothing_overtakes_the_head_of_the_line() -> None:
    """REG, REG, REMOVE: the REMOVE could go out at once, but what it removes may be what the second REG asks for."""
    queue = queue_of(reg("1"), reg("2"), remove("2"))
    queue.pop(0.0)
    assert queue.pop(1.0) is None
    queue.reply(answer("REG", True))
    assert items(queue.pop(1.0)) == ["2"]
    assert items(queue.pop(2.0)) == ["2"]


def test_replies_are_credited_by_trnm_and_order() -> None:
    first, second = reg("1"), remove("2")
    queue = queue_of(first, second)
    queue.pop(0.0)
    queue.pop(1.0)
    assert queue.reply(answer("REMOVE", True)) is second
    assert queue.reply(answer("REG", True)) is first
    assert queue.is_finished(first)
    assert queue.is_finished(second)
    assert queue.next_timeout() is None


@pytest.mark.parametrize("ok", [True, False])
def test_reply_that_nobody_asked_for_is_credited_to_nobody(ok: bool) -> None:
    queue = queue_of(reg("1"))
    assert queue.reply(answer("REG", ok)) is None
    queue.pop(0.0)
    assert queue.reply(answer("REMOVE", ok)) is None
    assert queue.reply(answer("REG", ok)) is not None
    assert queue.reply(answer("REG", ok)) is None


def test_split_request_is_finished_before_the_next_begins() -> None:
    """Its parts go out one by one, each after the reply to the one before, ahead of whatever came later."""
    split, later = reg("1", "2", "3", parts=3), reg("4")
    queue = queue_of(split, later)
    sent = []
    now = 0.0
    for confirmed in (1, 2, 3):
        sent += items(queue.pop(now))
        assert queue.reply(answer("REG", True)) is split
        assert queue.is_finished(split) is (confirmed == 3)
        assert split.confirmed == confirmed
        now += INTERVAL
    assert sent == ["1", "2", "3"]
    assert items(queue.pop(now)) == ["4"]
    assert queue.reply(answer("REG", True)) is later


def test_nothing_overtakes_a_split_request() -> None:
    """A REMOVE behind it must wait for its last part, or it would remove what that part has yet to register."""
    split, later = reg("1", "2", parts=2), remove("2")
    queue = queue_of(split, later)
    queue.pop(0.0)
    assert queue.pop(1.0) is None
    assert queue.next_timeout() == ACK_TIMEOUT
    queue.reply(answer("REG", True))
    assert b'"trnm":"REG"' in (queue.pop(1.0) or b"")
    assert b'"trnm":"REMOVE"' in (queue.pop(2.0) or b"")


def test_refused_part_ends_a_split_request() -> None:
    """What was confirmed before is on record; the parts after it are never sent."""
    split, later = reg("1", "2", "3", parts=3), reg("4")
    queue = queue_of(split, later)
    queue.pop(0.0)
    queue.reply(answer("REG", True))
    queue.pop(1.0)
    assert queue.reply(answer("REG", False)) is split
    assert queue.is_finished(split)
    assert split.confirmed == 1
    assert items(queue.pop(2.0)) == ["4"]


def test_request_is_overdue_at_its_deadline_and_not_before() -> None:
    queue = queue_of(reg("1"))
    queue.pop(10.0)
    assert queue.overdue(10.0 + ACK_TIMEOUT - 0.001) is None
    assert queue.overdue(10.0 + ACK_TIMEOUT) is not None
    queue.reply(answer("REG", True))
    assert queue.overdue(1e9) is None


def test_each_trnm_has_a_deadline_of_its_own() -> None:
    queue = queue_of(reg("1"), remove("2"))
    queue.pop(0.0)
    queue.pop(3.0)
    queue.reply(answer("REG", True))
    assert queue.next_timeout() == 3.0 + ACK_TIMEOUT
    assert queue.overdue(ACK_TIMEOUT) is None
    assert queue.overdue(3.0 + ACK_TIMEOUT) is not None


def test_waiting_requests_are_never_overdue() -> None:
    """The time runs from sending: a long line is no fault of the server's."""
    queue = queue_of(*[reg(str(number)) for number in range(50)])
    now = 0.0
    for number in range(50):
        assert items(queue.pop(now)) == [str(number)]
        assert queue.overdue(now + 1) is None
        queue.reply(answer("REG", True))
        now += 1


# What came too fast.


def too_fast(queue: RequestQueue, now: float) -> float:
    """The server refuses with 105110 what it was just sent; returns how long the queue waits then."""
    assert queue.repeat(answer("REG", False), now)
    due = queue.next_timeout()
    assert due is not None
    assert queue.pop(due - 0.001) is None
    return due - now


def test_what_came_too_fast_is_sent_again_after_longer_and_longer_pauses() -> None:
    queue = queue_of(reg("1"))
    now = 0.0
    pauses = []
    for _ in range(8):
        assert items(queue.pop(now)) == ["1"]
        pauses.append(round(too_fast(queue, now), 6))
        now += pauses[-1]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_the_pause_is_short_again_after_a_yes() -> None:
    queue = queue_of(reg("1"), reg("2"))
    queue.pop(0.0)
    too_fast(queue, 0.0)
    queue.pop(1.0)
    assert too_fast(queue, 1.0) == 2
    queue.pop(3.0)
    assert queue.reply(answer("REG", True)) is not None
    assert items(queue.pop(10.0)) == ["2"]
    assert too_fast(queue, 10.0) == 1


def test_after_a_refusal_everything_goes_out_more_slowly() -> None:
    """Half as slowly again each time, and never more than 2 s apart."""
    queue = queue_of(*[reg(str(number)) for number in range(100)])
    now, intervals = 0.0, []
    for _ in range(7):
        queue.pop(now)
        now += too_fast(queue, now)
        queue.pop(now)
        queue.reply(answer("REG", True))
        due = queue.next_timeout()
        assert due is not None
        intervals.append(round(due - now, 3))
        now = due
    assert intervals == [0.525, 0.788, 1.181, 1.772, 2.0, 2.0, 2.0]


@pytest.mark.parametrize("interval, slower", [(0, 0.3), (0.1, 0.3), (3, 3)])
def test_the_interval_is_never_less_than_what_was_measured_to_be_too_fast_nor_less_than_it_was(
    interval: float, slower: float
) -> None:
    queue = queue_of(reg("1"), remove("2"), interval=interval)
    queue.pop(0.0)
    too_fast(queue, 0.0)
    queue.pop(1.0)
    assert queue.next_timeout() == pytest.approx(1.0 + slower)


def test_what_is_sent_again_keeps_its_place() -> None:
    """The other parts of its request, and whatever came later, wait behind it."""
    split, later = reg("1", "2", parts=2), remove("3")
    queue = queue_of(split, later)
    queue.pop(0.0)
    queue.reply(answer("REG", True))
    assert items(queue.pop(1.0)) == ["2"]
    too_fast(queue, 1.0)
    assert not queue.is_finished(split)
    assert [items(queue.pop(now)) for now in (2.0, 3.0)] == [["2"], ["3"]]
    assert queue.reply(answer("REG", True)) is split
    assert split.confirmed == 2


def test_what_waits_to_be_sent_again_is_not_overdue() -> None:
    queue = queue_of(reg("1"))
    queue.pop(0.0)
    too_fast(queue, 0.0)
    assert queue.overdue(1e9) is None
    queue.pop(10.0)
    assert queue.next_timeout() == 10.0 + ACK_TIMEOUT


def test_a_search_is_sent_again_although_its_reply_may_bear_another_name() -> None:
    queue = RequestQueue(INTERVAL, ACK_TIMEOUT)
    messages = condition_list(us=False), condition_search("4", live=False, us=False)
    queue.add(ticket_for(*messages), messages)
    first = queue.pop(0.0)
    assert queue.repeat(answer("CNSRREQ", False), 0.0)
    assert queue.pop(1.0) == first


def test_what_nobody_sent_cannot_have_come_too_fast() -> None:
    queue = queue_of(remove("1"))
    assert not queue.repeat(answer("REMOVE", False), 0.0)
    queue.pop(0.0)
    assert not queue.repeat(answer("REG", False), 0.0)
    assert queue.next_timeout() == ACK_TIMEOUT


def test_request_describes_itself() -> None:
    """What it names, in order and without repetition, from every part of it."""
    request = ticket_for(
        Reg("7", "0", (Element(("005930", "000660"), ("0E", "0B")), Element(("005930",), ("0B", "0D")))),
        Reg("7", "1", (Element(("039490", "035720"), ("0E",)),)),
    )
    assert request.kind is RequestKind.REGISTER
    assert request.group == "7"
    assert request.types == ("0E", "0B", "0D")
    assert request.items == ("005930", "000660", "039490", "035720")
    assert str(request) == "REG 0E, 0B, 0D for 005930, 000660, 039490 and 1 more"
    assert repr(request) == f"<Request {request}, group 7, 0 of 2 confirmed>"
    assert ticket_for(Remove("1", (Element(("005930",), ("0E",)),))).kind is RequestKind.REMOVE
    assert str(remove("005930")) == "REMOVE 0E for 005930"


def test_request_is_told_apart_by_identity() -> None:
    """Two equal requests are two requests: both can be keys, each gets its own answer."""
    first, second = reg("1"), reg("1")
    assert first != second
    assert len({first, second}) == 2


# How large a message may be.

LIMIT = 65_536
KRX = tuple(f"{number:06}" for number in range(20_000))
LONG = tuple(f"{number:05}{chr(0xAC00 + number) * 95}" for number in range(500))  # 290 bytes each


def connection(endpoint: Endpoint, items_per_request: int = 1_000_000) -> ClientConnection:
    return ClientConnection(endpoint, ClientConfig(items_per_request=items_per_request), clock=ManualClock())


def wire_items(messages: tuple[Message, ...]) -> tuple[list[str], list[int]]:
    """All items of messages as they are sent, in order, and the size of each message."""
    payloads = [encode(message) for message in messages]
    found = [item for payload in payloads for element in json.loads(payload)["data"] for item in element["item"]]
    return [item if isinstance(item, str) else f"{item['jmcode']}:{item['stex_tp']}" for item in found], [
        len(payload) for payload in payloads
    ]


@pytest.mark.parametrize("group", ["1", "\U0001f600" * 4])
@pytest.mark.parametrize("remove", [False, True])
@pytest.mark.parametrize(
    ("endpoint", "type", "items"),
    [(PRODUCTION, "0B", KRX), (US_PRODUCTION, "FE", tuple(f"A{number}:ND" for number in range(5_000)))],
)
def test_no_message_of_a_call_is_longer_than_the_server_takes(
    endpoint: Endpoint, type: str, items: tuple[str, ...], remove: bool, group: str
) -> None:
    client = connection(endpoint)
    request = (client.unsubscribe if remove else client.subscribe)(type, *items, group=group)
    sent, sizes = wire_items(
        (removal if remove else registration)(endpoint, extended_catalogue(()), 1_000_000, type, items, group)
    )
    assert request.items == items
    assert request.parts == len(sizes)
    assert sent == list(items)
    assert max(sizes) <= LIMIT
    assert len(sizes) <= 2 * sum(sizes) / LIMIT + 1, "no more messages than there must be, or twice as many"


def test_items_that_fit_into_one_message_go_into_one() -> None:
    (message,) = registration(PRODUCTION, extended_catalogue(()), 1_000_000, "0B", KRX[:7_200], "1")
    assert connection(PRODUCTION).subscribe("0B", *KRX[:7_200]).parts == 1
    assert LIMIT - 1_000 < len(encode(message)) <= LIMIT


@pytest.mark.parametrize("remove", [False, True])
def test_a_message_of_ones_own_that_is_too_long_is_refused_with_its_size(remove: bool) -> None:
    """By a session too, though it would cut it up: what is asked for as one message cannot be had."""

    def of(*data: Element) -> Reg | Remove:
        return Remove("1", data) if remove else Reg("1", "1", data)

    fits = of(Element(LONG[:200], ("0B",)), Element(("1",), ("0D",)))
    message = of(Element(LONG[:226], ("0B",)))
    size = len(encode(message))
    assert len(encode(fits)) < LIMIT < size
    session = Session(PRODUCTION, ClientConfig(item_limit=1_000), clock=ManualClock(), random=lambda: 0.5)
    for call in (connection(PRODUCTION).request, session.request):
        call(fits)
        with pytest.raises(LocalProtocolError, match=f"^message: has {size:,} bytes, the limit is 65,536$"):
            call(message)
    assert len(session.subscriptions) in (0, 201)


def test_the_limit_itself_is_no_longer_than_the_limit() -> None:
    def message(characters: int) -> Reg:
        items = ["a" * 100] * (characters // 100) + ["b" * (characters % 100)]
        return Reg("1", "1", (Element(tuple(items), ("0B",)),))

    room = next(number for number in range(LIMIT - 3_000, LIMIT) if len(encode(message(number))) == LIMIT)
    client = connection(PRODUCTION)
    assert client.request(message(room)).parts == 1
    with pytest.raises(LocalProtocolError, match="message: has 65,537 bytes"):
        client.request(message(room + 1))


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.search_condition("1" * LIMIT),
        lambda client: (
            client.search_condition("1", realtime=True).seq and client.search_condition("1" * LIMIT, realtime=True)
        ),
        lambda client: client.search_condition("1", next_key="가" * (LIMIT // 3)),
        lambda client: client.clear_condition("1" * LIMIT),
        lambda client: client.connect("t" * LIMIT),
    ],
)
def test_nothing_else_that_is_too_long_is_taken_either(call: Callable[[ClientConnection], object]) -> None:
    with pytest.raises(LocalProtocolError, match=r"message: has 65,\d\d\d bytes, the limit is 65,536"):
        call(connection(PRODUCTION))


def test_a_registration_of_more_pairs_than_can_be_listed_is_refused_before_they_are() -> None:
    items = tuple(f"{number:04}" for number in range(8_000))
    with pytest.raises(LocalProtocolError, match=r"data: names 64,000,000 pairs of type and item, the limit is 10,000"):
        check(Reg("1", "1", (Element(items, tuple(f"{number % 90 + 10}" for number in range(8_000))),)))
    check(Reg("1", "1", (Element(items, ("0B",)),)))
