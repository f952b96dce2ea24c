"""The documented header elements: limits named, secrets hidden, HTTP both ways."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kiwoom_proto import LocalProtocolError
from kiwoom_proto.headers import RequestHeader, ResponseHeader, read_retry_after

TOKEN = "WQJCwyqInphKnR3bSRtB9NE1lv"


def test_every_element_becomes_an_http_header() -> None:
    header = RequestHeader(api_id="0E", authorization=f"Bearer {TOKEN}", cont_yn="Y", next_key="12345")

    assert header.http_headers("another token") == [
        ("api-id", "0E"),
        ("authorization", f"Bearer {TOKEN}"),
        ("cont-yn", "Y"),
        ("next-key", "12345"),
    ]


def test_the_optional_elements_are_left_out_and_the_token_is_filled_in() -> None:
    assert RequestHeader(api_id="0E").http_headers(TOKEN) == [("api-id", "0E"), ("authorization", f"Bearer {TOKEN}")]


@pytest.mark.parametrize(
    ("element", "attribute", "limit"),
    [("api-id", "api_id", 10), ("cont-yn", "cont_yn", 1), ("next-key", "next_key", 50)],
)
def test_each_limit_holds_to_the_character_and_is_named(element: str, attribute: str, limit: int) -> None:
    longest = attrs.evolve(RequestHeader(api_id="0E"), **{attribute: "1" * limit})
    assert getattr(longest, attribute) == "1" * limit

    with pytest.raises(LocalProtocolError, match=f"^{element}: has {limit + 1} characters, the limit is {limit}$"):
        attrs.evolve(longest, **{attribute: "1" * (limit + 1)})


def test_the_limit_of_authorization_holds_and_it_is_never_shown() -> None:
    longest = RequestHeader(api_id="0E", authorization="Bearer " + "t" * 993)
    assert longest.http_headers("")[1] == ("authorization", "Bearer " + "t" * 993)

    with pytest.raises(LocalProtocolError, match=r"^authorization: has 1001 characters, the limit is 1000$") as caught:
        RequestHeader(api_id="0E", authorization="Bearer " + "t" * 994)
    assert "tttt" not in str(caught.value)


def test_a_token_that_makes_authorization_too_long_is_refused_and_not_shown() -> None:
    header = RequestHeader(api_id="0E")
    assert header.http_headers("t" * 993)

    with pytest.raises(LocalProtocolError, match=r"^authorization: has 1001 characters, the limit is 1000$"):
        header.http_headers("t" * 994)


@pytest.mark.parametrize("attribute", ["api_id", "authorization", "cont_yn", "next_key"])
@pytest.mark.parametrize("value", ["", "a\nb", "a\0", "한", 5, b"0E"])
def test_what_cannot_stand_in_a_header_is_refused_by_name(attribute: str, value: Any) -> None:
    elements: dict[str, Any] = {"api_id": "0E", attribute: value}

    with pytest.raises(LocalProtocolError, match=f"^{attribute.replace('_', '-')}: "):
        RequestHeader(**elements)


def test_api_id_is_required() -> None:
    missing: Any = None

    with pytest.raises(LocalProtocolError, match=r"^api-id: must be a non-empty str$"):
        RequestHeader(api_id=missing)


@pytest.mark.parametrize("authorization", [TOKEN, f"bearer {TOKEN}", f"Basic {TOKEN}", f"Bearer {TOKEN}\n"])
def test_a_bad_authorization_is_refused_and_not_shown(authorization: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^authorization: ") as caught:
        RequestHeader(api_id="0E", authorization=authorization)

    assert TOKEN not in str(caught.value)


def test_the_token_is_not_shown_in_the_repr() -> None:
    header = RequestHeader(api_id="0E", authorization=f"Bearer {TOKEN}", next_key="7")

    assert TOKEN not in repr(header)
    assert "api_id='0E'" in repr(header)
    assert "next_key='7'" in repr(header)
    assert "authorization=None" in repr(RequestHeader(api_id="0E"))


def test_a_server_reads_back_what_a_client_sent_whatever_the_case_of_the_names() -> None:
    header = RequestHeader(api_id="0E", authorization=f"Bearer {TOKEN}", cont_yn="N", next_key="k")
    sent = [("Host", "localhost"), *((name.upper(), value) for name, value in header.http_headers(""))]

    assert RequestHeader.from_http(sent) == header
    assert RequestHeader.from_http([("api-id", "0E")]) == RequestHeader(api_id="0E")


@pytest.mark.parametrize("headers", [[], [("Host", "x")], [("api-id", "")], [("api-id", "x" * 11)]])
def test_a_handshake_without_a_usable_api_id_carries_no_header(headers: list[tuple[str, str]]) -> None:
    assert RequestHeader.from_http(headers) is None


def test_the_answer_s_elements_are_handed_over_as_they_came() -> None:
    answer = [("Upgrade", "websocket"), ("API-ID", "0E"), ("Cont-Yn", "Y"), ("next-key", "x" * 200)]

    assert ResponseHeader.from_http(answer) == ResponseHeader(api_id="0E", cont_yn="Y", next_key="x" * 200)
    assert ResponseHeader.from_http([]) == ResponseHeader(api_id=None, cont_yn=None, next_key=None)


DATE = ("Date", "Tue, 14 Jan 2025 09:00:00 GMT")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("Retry-After", "120")], 120),
        ([("retry-after", " 0 ")], 0),
        ([DATE, ("Retry-After", "Tue, 14 Jan 2025 09:00:07 GMT")], 7),
        ([DATE, ("RETRY-AFTER", "Tue, 14 Jan 2025 08:59:00 GMT")], 0),
        ([("Retry-After", "Tue, 14 Jan 2025 09:00:07 GMT")], None),
        ([("Date", "Tue, 14 Jan 2025 09:00:00 -0000"), ("Retry-After", "Tue, 14 Jan 2025 09:00:07 GMT")], None),
        ([DATE, ("Retry-After", "Tue, 99 Jan 2025 09:00:07 GMT")], None),
        ([DATE, ("Retry-After", "")], None),
        ([DATE, ("Retry-After", "-5")], None),
        ([DATE, ("Retry-After", "1.5")], None),
        ([DATE, ("Retry-After", "soon")], None),
        ([DATE, ("Retry-After", "\u0663")], None),
        ([("Retry-After", "9" * 1000)], float("inf")),
        ([DATE], None),
        ([], None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: list[tuple[str, str]], seconds: float | None) -> None:
    assert read_retry_after(headers) == seconds


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 99999999999999999999:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999999999",
        "Mon",
        "9" * 400,
    ],
)
@pytest.mark.parametrize("name", ["Retry-After", "Date"])
def test_a_date_that_is_none_is_no_wait(name: str, date: str) -> None:
    now = "Thu, 26 Nov 2026 00:00:00 GMT"
    wait = read_retry_after({"Retry-After": now, "Date": now, name: date}.items())
    assert wait is None or wait >= 0
