"""Pages: what is asked next, why there is no more, and that memory does not grow."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rest.asked import Chart, Reply

from kiwoom_proto import LocalProtocolError
from kiwoom_proto.rest.call import Page
from kiwoom_proto.rest.errors import RateLimited, RepeatedCursor, UnreadableReply
from kiwoom_proto.rest.pages import PageCursor, PagesEnd


def page(key: str = "", more: str = "Y", rows: int = 1) -> Page[Reply]:
    return Page(Reply({"rows": [{}] * rows}), more, key)


def test_pages_are_asked_for_with_the_key_of_the_last_one() -> None:
    cursor = PageCursor(Chart())
    assert (cursor.cont_yn, cursor.next_key, cursor.end) == ("", "", None)
    assert cursor.add(page("A")) is None
    assert (cursor.cont_yn, cursor.next_key) == ("Y", "A")
    assert cursor.add(page("B")) is None
    assert (cursor.cont_yn, cursor.next_key) == ("Y", "B")
    assert cursor.add(page("", "N")) is PagesEnd.COMPLETE
    assert (cursor.pages, cursor.error, cursor.next_key) == (3, None, "")
    with pytest.raises(LocalProtocolError, match="have ended: complete"):
        cursor.add(page("C"))


@pytest.mark.parametrize(
    "last", [page("", "N"), page("", "Y"), page("  ", "Y"), page("X", "N"), page("X", ""), page("X", "Y", rows=0)]
)
def test_the_end_is_said_in_several_ways(last: Page[Reply]) -> None:
    cursor = PageCursor(Chart())
    cursor.add(page("A"))
    assert cursor.add(last) is PagesEnd.COMPLETE


def test_a_reply_without_a_list_may_have_pages_too() -> None:
    cursor: PageCursor[object] = PageCursor(Chart())
    assert cursor.add(Page(object(), "Y", "A")) is None
    assert cursor.add(Page(object(), "N", "")) is PagesEnd.COMPLETE


def test_the_limit_is_the_callers_and_can_be_continued() -> None:
    cursor = PageCursor(Chart(), limit=2)
    assert cursor.add(page("A")) is None
    assert cursor.add(page("B")) is PagesEnd.LIMIT
    assert cursor.error is None
    more = PageCursor(Chart(), cont_yn=cursor.cont_yn, next_key=cursor.next_key)
    assert (more.cont_yn, more.next_key) == ("Y", "B")
    assert PageCursor(Chart(), limit=1).add(page("", "N")) is PagesEnd.COMPLETE


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "1"])
def test_a_limit_that_is_none_is_refused(limit: object) -> None:
    with pytest.raises(LocalProtocolError, match="limit"):
        PageCursor(Chart(), limit=limit)  # type: ignore[arg-type]


def test_a_page_that_is_refused_half_way_can_be_asked_for_again() -> None:
    cursor = PageCursor(Chart())
    cursor.add(page("A"))
    error = RateLimited("too fast", "1700", 5, 429)
    assert cursor.failed(error) is PagesEnd.REFUSED
    assert cursor.error is error
    assert (cursor.cont_yn, cursor.next_key, cursor.pages) == ("Y", "A", 1)


def test_a_key_that_cannot_be_sent_back_is_an_error_not_an_exception() -> None:
    for key in ("가", "a\x00", "x" * 5000):
        cursor = PageCursor(Chart())
        assert cursor.add(page(key)) is PagesEnd.REFUSED
        assert isinstance(cursor.error, UnreadableReply)


def test_a_key_that_names_its_own_page_is_noticed_at_once() -> None:
    cursor = PageCursor(Chart())
    for number in range(7):
        assert cursor.add(page(f"K{number}")) is None
    assert cursor.add(page("K6")) is PagesEnd.REPEATED
    assert isinstance(cursor.error, RepeatedCursor)
    assert "page 8 names a next page that was there before: 'K6'" in str(cursor.error)


@given(st.integers(0, 50), st.integers(1, 50))
def test_a_circle_is_always_noticed(before: int, length: int) -> None:
    keys = [f"K{number}" for number in range(before + length)]
    cursor = PageCursor(Chart())
    number = 0
    while cursor.end is None:
        cursor.add(page(keys[number if number < before else before + (number - before) % length]))
        number += 1
        assert number <= 3 * (before + length) + 2
    assert cursor.end is PagesEnd.REPEATED


@given(st.lists(st.text("ab", min_size=1, max_size=8), unique=True, max_size=200))
def test_different_keys_are_never_taken_for_a_circle(keys: list[str]) -> None:
    cursor = PageCursor(Chart())
    assert [cursor.add(page(key)) for key in keys] == [None] * len(keys)


def test_memory_does_not_grow_over_ten_thousand_pages() -> None:
    cursor = PageCursor(Chart())
    tracemalloc.start()
    try:
        sizes = []
        for number in range(10_000):
            assert cursor.add(page(f"A005930202403270001{number:031}")) is None
            if number in (100, 9_999):
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[1] - sizes[0] < 2_000
