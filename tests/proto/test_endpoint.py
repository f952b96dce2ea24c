"""Endpoints: the documented ones, those of one's own, and what they refuse."""

from __future__ import annotations

import ssl
from typing import Any

import attrs
import pytest

from kiwoom_proto import MOCK, PRODUCTION, US_MOCK, US_PRODUCTION, Endpoint, LocalProtocolError


@pytest.mark.parametrize(
    ("endpoint", "url", "host", "mock"),
    [
        (PRODUCTION, "wss://api.kiwoom.com:10000/api/dostk/websocket", "api.kiwoom.com", False),
        (MOCK, "wss://mockapi.kiwoom.com:10000/api/dostk/websocket", "mockapi.kiwoom.com", True),
        (US_PRODUCTION, "wss://api.kiwoom.com:10000/api/us/websocket", "api.kiwoom.com", False),
        (US_MOCK, "wss://mockapi.kiwoom.com:10000/api/us/websocket", "mockapi.kiwoom.com", True),
    ],
)
def test_the_documented_endpoints(endpoint: Endpoint, url: str, host: str, mock: bool) -> None:
    assert endpoint.url == str(endpoint) == url
    assert (endpoint.host, endpoint.port, endpoint.secure, endpoint.mock) == (host, 10000, True, mock)


@pytest.mark.parametrize(
    ("endpoint", "limit"),
    [
        (PRODUCTION, 200),
        (MOCK, 100),
        (US_PRODUCTION, 200),
        (US_MOCK, 100),
        (Endpoint("ws://localhost/x"), 200),
        (Endpoint("ws://localhost/x", mock=True), 100),
        (Endpoint("ws://localhost/x", mock=True, item_limit=7), 7),
        (attrs.evolve(MOCK, item_limit=200), 200),
    ],
    ids=repr,
)
def test_the_quota_belongs_to_the_endpoint(endpoint: Endpoint, limit: int) -> None:
    assert endpoint.item_limit == limit
    assert eval(repr(endpoint)) == endpoint


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None, "200"])
def test_a_quota_that_is_none_is_refused(limit: Any) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        Endpoint("ws://localhost/x", item_limit=limit)
    assert str(caught.value) == f"Endpoint.item_limit: must be a whole number above 0, not {limit!r}"


@pytest.mark.parametrize(
    ("url", "host", "port", "secure"),
    [
        ("ws://127.0.0.1:8765/api/dostk/websocket", "127.0.0.1", 8765, False),
        ("ws://localhost/x", "localhost", 80, False),
        ("wss://localhost/x", "localhost", 443, True),
        ("wss://localhost", "localhost", 443, True),
        ("ws://[::1]:9000/x", "::1", 9000, False),
        ("wss://example.com/x", "example.com", 443, True),
        ("WSS://EXAMPLE.COM/x", "example.com", 443, True),
    ],
)
def test_an_endpoint_of_your_own(url: str, host: str, port: int, secure: bool) -> None:
    endpoint = Endpoint(url)

    assert (endpoint.host, endpoint.port, endpoint.secure, endpoint.mock) == (host, port, secure, False)
    assert str(endpoint) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.kiwoom.com",
        "https://api.kiwoom.com:10000/api/dostk/websocket",
        "wss://",
        "wss:///api",
        "ws://:8000/api",
        "wss://host:0/",
        "wss://host:99999/",
        "wss://host:port/",
        "wss://[::1/",
        None,
        5,
        b"wss://host/",
    ],
)
def test_a_url_of_no_websocket_is_refused_by_name(url: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"^Endpoint\.url: must be ws"):
        Endpoint(url)


@pytest.mark.parametrize("url", ["wss://host/a b", "wss://ho st/", "wss://host/a\r\nX-Header: y", "wss://host/a\tb"])
def test_a_url_with_spaces_or_control_characters_is_refused(url: str) -> None:
    """None of them can stand in a request line, and a line break would begin a header."""
    with pytest.raises(LocalProtocolError, match=r"^Endpoint\.url: "):
        Endpoint(url)


@pytest.mark.parametrize("url", ["wss://user:hunter2@host/", "wss://hunter2@host/", "wss://host/#hunter2"])
def test_user_names_passwords_and_fragments_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(LocalProtocolError, match="user name, password or fragment") as caught:
        Endpoint(url)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://user:hunter2@host/", "wss://user:hunter2@host:99999/"])
def test_the_password_of_a_url_refused_for_another_reason_is_not_shown(url: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        Endpoint(url)

    assert "hunter2" not in str(caught.value)


def test_mock_trading_takes_krx_items_only() -> None:
    MOCK.check_item("005930")
    MOCK.check_item("")

    for item, suffix in (("005930_NX", "_NX"), ("005930_AL", "_AL")):
        with pytest.raises(LocalProtocolError, match="KRX only") as caught:
            MOCK.check_item(item)
        assert repr(item) in str(caught.value)
        assert repr(suffix) in str(caught.value)


@pytest.mark.parametrize("item", ["005930", "005930_NX", "005930_AL", ""])
def test_production_takes_items_of_every_venue(item: str) -> None:
    PRODUCTION.check_item(item)


def test_an_endpoint_cannot_be_changed_and_is_a_value() -> None:
    endpoint = Endpoint("ws://localhost/x", mock=True)

    assert endpoint == Endpoint("ws://localhost/x", mock=True)
    assert endpoint != Endpoint("ws://localhost/x")
    assert hash(endpoint) == hash(Endpoint("ws://localhost/x", mock=True))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        endpoint.url = "ws://localhost/y"  # type: ignore[misc]  # this is what must fail


def test_mock_trading_is_known_by_its_host() -> None:
    assert Endpoint(MOCK.url) == MOCK
    assert Endpoint(MOCK.url).mock
    assert not Endpoint(PRODUCTION.url).mock
    assert Endpoint("ws://127.0.0.1:1/", mock=True).mock


@pytest.mark.parametrize(
    "url", ["wss://faß.de/", "wss://키움.한국/", "wss://ａｐｉ.kiwoom.com:10000/", "wss://host/길"]
)
def test_a_host_has_one_name(url: str) -> None:
    """What is dialled, what is verified and what is shown cannot differ: only the ASCII form of a name is taken."""
    with pytest.raises(LocalProtocolError, match=r"Endpoint\.url: must be ASCII; .*xn--"):
        Endpoint(url)


# Nothing goes in clear.


@pytest.mark.parametrize(
    "url",
    [
        "ws://api.kiwoom.com:10000/api/dostk/websocket",
        "ws://mockapi.kiwoom.com:10000/api/us/websocket",
        "WS://API.KIWOOM.COM/x",
        "ws://api.kiwoom.com./x",
        "ws://kiwoom.com/x",
    ],
)
def test_kiwoom_is_never_connected_to_in_clear(url: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^Endpoint\.url: .* in clear; write wss://"):
        Endpoint(url)
    with pytest.raises(LocalProtocolError, match=r"^Endpoint\.insecure: "):
        Endpoint(url, insecure=True)
    with pytest.raises(LocalProtocolError, match=r"^Endpoint\.insecure: "):
        Endpoint(url.lower().replace("ws:", "wss:"), insecure=True)


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "127.0.0.1.example.com",
        "localhost.example.com",
        "0.0.0.0",
        "10.0.0.5",
        "[2001:db8::1]",
        "0x7f.1",
        "notkiwoom.com",
    ],
)
def test_keys_go_in_clear_to_another_machine_only_where_that_is_said(host: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"in clear; write wss://, or Endpoint\(url, insecure=True\)"):
        Endpoint(f"ws://{host}:8765/x")

    endpoint = Endpoint(f"ws://{host}:8765/x", insecure=True)
    assert endpoint.token_url.startswith("http://")
    assert "insecure=True" in repr(endpoint)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_keys_go_in_clear_to_this_machine(host: str) -> None:
    assert Endpoint(f"ws://{host}:8765/x").is_loopback


@pytest.mark.parametrize("insecure", [1, "yes", None])
def test_insecure_is_a_word_and_no_accident(insecure: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"^Endpoint\.insecure: must be True or False"):
        Endpoint("ws://example.com/x", insecure=insecure)


def contexts() -> list[ssl.SSLContext]:
    """TLS contexts that do not verify, in the ways that people find on the web."""
    nothing = ssl._create_unverified_context()
    no_host = ssl.create_default_context()
    no_host.check_hostname = False
    anonymous = ssl.create_default_context()
    anonymous.set_ciphers("ADH:AECDH:@SECLEVEL=0")
    one_anonymous = ssl.create_default_context()
    one_anonymous.set_ciphers("ALL:@SECLEVEL=0")
    return [nothing, no_host, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), anonymous, one_anonymous]


@pytest.mark.parametrize("context", contexts())
def test_tls_that_does_not_verify_is_refused(context: ssl.SSLContext) -> None:
    for endpoint in (PRODUCTION, Endpoint("wss://127.0.0.1:1/x")):
        with pytest.raises(LocalProtocolError, match=r"^ssl_context: does not verify"):
            endpoint.check_tls(context)
    Endpoint("wss://127.0.0.1:1/x", insecure=True).check_tls(context)


def test_tls_that_verifies_is_taken() -> None:
    PRODUCTION.check_tls(None)
    PRODUCTION.check_tls(ssl.create_default_context())
    Endpoint("ws://127.0.0.1:1/x").check_tls(ssl._create_unverified_context())  # it is not used


def test_a_query_is_not_shown() -> None:
    endpoint = Endpoint("wss://gateway.example/x?key=hunter2")
    assert "hunter2" not in f"{endpoint} {endpoint!r} {endpoint.token_url}"
    assert endpoint.url.endswith("hunter2")
    with pytest.raises(LocalProtocolError) as caught:
        Endpoint("https://gateway.example/x?key=hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (PRODUCTION.url, "https://api.kiwoom.com"),
        (US_PRODUCTION.url, "https://api.kiwoom.com"),
        (MOCK.url, "https://mockapi.kiwoom.com"),
        (US_MOCK.url, "https://mockapi.kiwoom.com"),
        ("wss://api.kiwoom.com:444/x", "https://api.kiwoom.com:444"),
        ("ws://127.0.0.1:8765/api/dostk/websocket?a=b", "http://127.0.0.1:8765"),
        ("ws://127.0.0.1:10000/x", "http://127.0.0.1:10000"),
        ("wss://localhost/x", "https://localhost"),
        ("ws://[::1]:9000/x", "http://[::1]:9000"),
        ("WSS://EXAMPLE.COM:1/x", "https://example.com:1"),
        ("wss://xn--cp5bx4p.xn--3e0b707e:80/x", "https://xn--cp5bx4p.xn--3e0b707e:80"),
    ],
)
def test_tokens_are_asked_for_at_the_same_host_and_for_kiwoom_on_the_port_of_https(url: str, host: str) -> None:
    endpoint = Endpoint(url)

    assert endpoint.token_url == f"{host}/oauth2/token"
    assert endpoint.revoke_url == f"{host}/oauth2/revoke"
