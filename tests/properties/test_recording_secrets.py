"""No secret reaches a recording: planted wherever a server decides what is said, it is in none of the lines."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from tests.properties.test_secret_properties import ACCOUNT, FIDS, KEY, KNOWN, PLACES, TOKEN, Server, few, http, sayings
from tests.proto.test_recording_format import EVENTS

from kiwoom_proto import Closed, Disconnected, Endpoint, Event, KiwoomError, UnknownMessage
from kiwoom_proto.errors import (
    ClosedByPeer,
    DeadlineExceeded,
    HandshakeError,
    LoginRefused,
    PoolLost,
    RemoteProtocolError,
    TokenError,
    TokenRefused,
    TransportError,
)
from kiwoom_proto.events import LoggedIn, MemberLost, Opened
from kiwoom_proto.headers import ResponseHeader
from kiwoom_proto.recording.entries import encode_entry
from kiwoom_proto.recording.event_json import event_to_dict
from kiwoom_proto.recording.format import Header, decode_line, encode_event, encode_header
from kiwoom_proto.recording.masking import Masking

READ_BY_PROGRAMS = {
    *("item", "item in a list", "name", "type", "exchange"),  # of a row
    *("condition names", "search number", "search pages"),
    *("header elements", "header of a refusal"),  # next-key and Retry-After
}
"""Places whose exact text a program needs: ten digits are kept there, secrets in use are not."""
EVERYWHERE = PLACES | FIDS
BODIES: dict[str, Callable[[str], bytes]] = {
    "text": str.encode,
    "bad UTF-8": lambda said: b"\xff " + said.encode() + b" \xfe",
    "JSON": lambda said: json.dumps({"return_msg": said, "more": [said]}).encode(),
    "escaped": lambda said: ('{"a":"' + "".join(f"\\u{ord(char):04x}" for char in said) + '"}').encode(),
    "a page": lambda said: f"<html><title>{said}</title><p class='{said}'>{said}</p>".encode(),
}


def texts_of(line: bytes) -> Iterator[str]:
    """What a line shows: itself, and what it holds as base64 or escaped."""
    yield line.decode()
    waiting = [json.loads(line)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
            if isinstance(coded := value.get("base64"), str):
                yield base64.b64decode(coded).decode("latin-1")
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            yield value


def leaks(lines: list[bytes], banned: tuple[str, ...]) -> list[str]:
    return [text[:300] for line in lines for text in texts_of(line) if any(secret in text for secret in banned)]


def lines_of(server: Server, *, accounts: bool = True) -> list[bytes]:
    """The recording of a session, as the recorder writes it."""
    masking = Masking(server.capture.secrets, accounts=accounts, types=server.capture.types)
    endpoint = server.session.endpoint
    lines = [encode_header(Header(1, str(endpoint), endpoint.mock, "test", "0" * 16))]
    return lines + [each.data for entry in server.entries for each in encode_entry(entry, masking)]


def single(lines: list[bytes]) -> list[bytes]:
    return [line for each in lines for line in each.splitlines(keepends=True)]


@pytest.mark.parametrize("place", EVERYWHERE)
@few
@given(said=sayings(KNOWN))
@example(said=TOKEN)
@example(said=f"{TOKEN}{KNOWN[1]}")
def test_what_a_server_says_of_a_secret_in_use_is_in_no_line(place: str, said: str) -> None:
    server = Server()
    EVERYWHERE[place](server, said.replace("\x1b", "") if "header" in place or "line" in place else said)
    server.end()

    lines = single(lines_of(server))
    assert leaks(lines, KNOWN) == []
    for line in lines:
        decode_line(line)


@pytest.mark.parametrize("place", sorted(PLACES.keys() - READ_BY_PROGRAMS))
def test_account_numbers_are_in_no_line(place: str) -> None:
    server = Server()
    PLACES[place](server, ACCOUNT)
    server.end()

    assert leaks(single(lines_of(server)), (ACCOUNT,)) == []


@pytest.mark.parametrize("kind", BODIES)
@few
@given(said=sayings((*KNOWN, ACCOUNT)))
@example(said=TOKEN)
def test_the_body_of_a_refused_handshake_is_masked(kind: str, said: str) -> None:
    body = BODIES[kind](said)
    server = Server()
    server.receive(http("401 x", "").replace(b"Content-Length: 0", b"Content-Length: %d" % len(body)) + body)
    server.end()

    assert any(isinstance(getattr(event, "error", None), HandshakeError) for event in server.events) or server.events
    assert leaks(single(lines_of(server)), (*KNOWN, ACCOUNT)) == []


def planted(value: Any, said: str) -> Any:
    """A value with a secret in each text and each run of bytes that it is made of."""
    if isinstance(value, str):
        return said
    if isinstance(value, bytes):
        return said.encode()
    if isinstance(value, dict):
        return {name: planted(each, said) for name, each in value.items()} | {"more": [said], said: {"deep": said}}
    return value


ERRORS: list[KiwoomError] = [
    KiwoomError(TOKEN),
    ClosedByPeer(TOKEN),
    RemoteProtocolError(TOKEN),
    TokenError(TOKEN),
    TransportError(TOKEN),
    HandshakeError(TOKEN, 401, TOKEN.encode(), 1.0),
    LoginRefused(TOKEN, TOKEN, TOKEN),
    TokenRefused(TOKEN, TOKEN, 200, TOKEN),
]
ERRORS += [
    DeadlineExceeded("connect", 1.0, ERRORS[5]),
    PoolLost((ERRORS[5], None, ERRORS[6])),
]


@pytest.mark.parametrize(
    "event",
    [
        *(
            attrs.evolve(  # type: ignore[misc]
                event,
                **{
                    field.name: planted(getattr(event, field.name), TOKEN)
                    for field in attrs.fields(type(event))  # type: ignore[arg-type]
                    if field.init and isinstance(getattr(event, field.name), str | bytes | dict)
                },
            )
            for event in EVENTS
        ),
        Opened(ResponseHeader(api_id=TOKEN, cont_yn=TOKEN, next_key=TOKEN)),
        LoggedIn({"sor_yn": TOKEN, TOKEN: [TOKEN, {"x": TOKEN}], "token": "short"}),
        UnknownMessage(b"\xff" + TOKEN.encode(), TOKEN),
        *(Closed(1000, TOKEN, error) for error in ERRORS),
        *(Disconnected(error, 1.0, 1.0, 1, Closed(1000, TOKEN, error)) for error in ERRORS),
        *(MemberLost(Closed(1000, TOKEN, error)) for error in ERRORS),
    ],
    ids=lambda event: type(event).__name__,
)
def test_every_attribute_of_every_event_and_error_is_masked(event: Event) -> None:
    """Whatever of it was masked when it came in: a secret may have become known since, or be that of another token."""
    line = encode_event(1, event, Masking([TOKEN, *KEY.secrets]))

    assert leaks([line], (TOKEN,)) == []
    decode_line(line)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_without_secrets_stays_as_it_is(event: Event) -> None:
    if not isinstance(event, UnknownMessage):
        assert encode_event(1, event, Masking([TOKEN, "LOGIN", "Closed", "error"])) == encode_event(1, event)


def test_the_address_of_the_header_shows_no_key() -> None:
    endpoint = Endpoint(f"wss://127.0.0.1/?appkey={KNOWN[1]}", mock=True)

    assert leaks([encode_header(Header(1, str(endpoint), True, "test", "0" * 16))], KNOWN) == []


def test_the_search_finds_what_is_there() -> None:
    """The check itself works."""
    line = encode_event(1, Closed(1000, TOKEN, HandshakeError("x", 401, b"\xff" + TOKEN.encode())))

    assert len(leaks([line], (TOKEN,))) > 2
    assert event_to_dict(Closed(1000, TOKEN, None))["reason"] == TOKEN
