"""Endpoint: where to connect, and where to get a token.

Source: official page 0E ("운영 도메인", "모의투자 도메인 … KRX만 지원가능", "URL"). The US market has another socket.
Tokens: official pages au10001 and au10002 ("/oauth2/token", "/oauth2/revoke", on the HTTPS port).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import attrs

from .config import ClientConfig
from .display import rich_repr
from .errors import LocalProtocolError
from .symbol import US_VENUES, Venue, parse_item

__all__ = ("MOCK", "PRODUCTION", "US_MOCK", "US_PRODUCTION", "Endpoint", "checked_config")

KIWOOM = ".kiwoom.com"
MOCK_HOST = f"mockapi{KIWOOM}"
WEBSOCKET_PORT = 10000
ITEM_LIMIT = 200
"""Items (종목) on one connection [measured by several]. session/quota.py has the rule."""
MOCK_ITEM_LIMIT = 100
"""The same in mock trading [measured in July 2025]."""
_DEFAULT_PORT = {"ws": 80, "wss": 443}
_CERT_REQUIRED = 2
"""`ssl.CERT_REQUIRED`, without loading ssl."""


# Defaults by `@field.default` would make the arguments required for type checkers other than mypy.


def _is_mock_host(endpoint: Endpoint) -> bool:
    return isinstance(endpoint.url, str) and f"//{MOCK_HOST}:" in endpoint.url


def _usual_item_limit(endpoint: Endpoint) -> int:
    return MOCK_ITEM_LIMIT if endpoint.mock else ITEM_LIMIT


@attrs.frozen(repr=False)
class Endpoint:
    """A WebSocket URL, and what is special about the server behind it.

    App keys and tokens are sent to it, so it must be a wss:// URL, unless the host is a loopback address or `insecure`
    is set. Kiwoom's own hosts are never connected to without TLS.

    Attributes:
        url: "wss://host:port/path", or "ws://..." for a server of your own.
        mock: True for mock trading (모의투자), which serves KRX items only. Defaults to whether the host is Kiwoom's
            mock trading host.
        insecure: True to allow plain ws://, or TLS that does not verify the server, for a host that is neither loopback
            nor Kiwoom's: a simulated exchange on another machine, for example.
        item_limit: maximum number of items (종목) on a connection. Defaults to 200 [measured by several], in mock
            trading to 100 [measured in July 2025]. If a refusal of the server names another number, a session uses
            that one.

    Raises:
        LocalProtocolError: the URL is not a WebSocket URL, its host is not ASCII, keys would be sent without TLS, or
            the limit is not a whole number above 0.
    """

    url: str = attrs.field()
    mock: bool = attrs.field(default=attrs.Factory(_is_mock_host, takes_self=True), kw_only=True)
    insecure: bool = attrs.field(default=False, kw_only=True)
    item_limit: int = attrs.field(default=attrs.Factory(_usual_item_limit, takes_self=True), kw_only=True)

    @item_limit.validator
    def _check_item_limit(self, _: object, limit: int) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit <= 0:
            raise LocalProtocolError(f"Endpoint.item_limit: must be a whole number above 0, not {limit!r}")

    @url.validator
    def _check_url(self, _: object, url: str) -> None:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in _DEFAULT_PORT and parts.hostname and (parts.port is None or parts.port > 0)
            usable = usable and url.isprintable() and " " not in url
        except (ValueError, TypeError, AttributeError):
            usable = False
        if not usable:
            # What precedes an "@", or follows a "?", may be a secret.
            shown = repr(url.partition("?")[0]) if isinstance(url, str) and "@" not in url else "what was given"
            raise LocalProtocolError(f"Endpoint.url: must be ws://host[:port]/path or wss://..., not {shown}")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise LocalProtocolError("Endpoint.url: must have no user name, password or fragment")
        if not url.isascii():
            # Two standards map such a name differently (faß.de to fass.de or xn--fa-hia.de): the name that is dialled
            # and the name that is verified could differ.
            raise LocalProtocolError("Endpoint.url: must be ASCII; write an international host name as xn--...")

    @insecure.validator
    def _check_security(self, _: object, insecure: bool) -> None:
        if not isinstance(insecure, bool):
            raise LocalProtocolError(f"Endpoint.insecure: must be True or False, not {insecure!r}")
        if self._is_kiwoom:
            if insecure:
                raise LocalProtocolError("Endpoint.insecure: Kiwoom's hosts require verified TLS")
            if not self.secure:
                raise LocalProtocolError(
                    f"Endpoint.url: keys would be sent to {self.host} in clear; write wss://, not ws://"
                )
        elif not (self.secure or insecure or self.is_loopback):
            raise LocalProtocolError(
                f"Endpoint.url: keys and tokens would be sent to {self.host} in clear; write wss://, or "
                "Endpoint(url, insecure=True) if that is intended"
            )

    @property
    def is_loopback(self) -> bool:
        """Whether the host is a loopback address: localhost, 127.0.0.0/8 or ::1."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def _is_kiwoom(self) -> bool:
        host = f".{self.host.rstrip('.')}"
        return host.endswith(KIWOOM)

    def check_tls(self, context: object | None) -> None:
        """Refuse a TLS context that does not verify the server. Drivers call it each time before they dial.

        Args:
            context: an `ssl.SSLContext`; None: the system's trust store.

        Raises:
            LocalProtocolError: it does not verify the certificate or the host name, or it allows ciphers without a
                certificate, and `insecure` is not set.
        """
        if context is None or self.insecure or not self.secure:
            return
        verifies = getattr(context, "verify_mode", None) == _CERT_REQUIRED and getattr(context, "check_hostname", False)
        ciphers = context.get_ciphers() if hasattr(context, "get_ciphers") else ()
        # With an anonymous cipher the server shows no certificate, and there is nothing to verify.
        if not verifies or any(cipher.get("auth") == "auth-null" for cipher in ciphers):
            hint = "" if self._is_kiwoom else ", or set Endpoint(url, insecure=True) if that is intended"
            raise LocalProtocolError(
                "ssl_context: does not verify the server's certificate and host name; load its authority instead "
                f"(SSLContext.load_verify_locations){hint}"
            )

    @property
    def secure(self) -> bool:
        """Whether TLS is used."""
        return urlsplit(self.url).scheme == "wss"

    @property
    def host(self) -> str:
        """The host to dial and to verify the certificate against."""
        host = urlsplit(self.url).hostname
        assert host is not None  # the validator has checked it
        return host

    @property
    def port(self) -> int:
        """The TCP port to dial."""
        parts = urlsplit(self.url)
        return parts.port or _DEFAULT_PORT[parts.scheme]

    @property
    def token_url(self) -> str:
        """URL that issues tokens: "https://api.kiwoom.com/oauth2/token"."""
        return self.rest_url("/oauth2/token")

    @property
    def revoke_url(self) -> str:
        """URL that revokes tokens."""
        return self.rest_url("/oauth2/revoke")

    @property
    def rest_port(self) -> int:
        """The TCP port of the REST interface, on the same host."""
        return urlsplit(self.rest_url("/")).port or (443 if self.secure else 80)

    def rest_url(self, path: str) -> str:
        """Return the URL of the REST interface with this path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = urlsplit(self.url).port
        if self._is_kiwoom and port == WEBSOCKET_PORT:
            port = None  # Kiwoom serves the WebSocket on its own port, and everything else on the HTTPS port
        shown = "" if port is None else f":{port}"
        return f"{'https' if self.secure else 'http'}://{host}{shown}{path}"

    @property
    def us(self) -> bool:
        """Whether the path is that of the US market."""
        return urlsplit(self.url).path.startswith("/api/us/")

    def check_item(self, item: str) -> None:
        """Refuse an item that this endpoint does not serve.

        Raises:
            LocalProtocolError: an NXT or SOR item in mock trading, a US item on a domestic path, or a domestic item on
                the US path.
        """
        symbol = parse_item(item)
        if symbol is None:  # empty, or of an unknown form
            return
        venue = symbol.venue
        if self.us:
            if venue not in US_VENUES:
                reason = "a US item names its exchange, as in NVDA:ND (ND Nasdaq, NY NYSE, NA AMEX)"
                if item[0].isdigit():
                    reason += "; domestic items are not served on the US path, see PRODUCTION"
                raise LocalProtocolError(f"item {item!r}: {reason}")
        elif venue in US_VENUES:
            raise LocalProtocolError(f"item {item!r}: US items are served on the US path only; see US_PRODUCTION")
        elif self.mock and venue is not Venue.KRX:
            raise LocalProtocolError(
                f"item {item!r}: mock trading (모의투자) supports KRX only; leave out the suffix {item[-3:]!r}"
            )

    def __str__(self) -> str:
        # The documented URL has no query; it may be a secret of somebody's gateway.
        url, mark, _ = self.url.partition("?")
        return f"{url}?***" if mark else url

    def __repr__(self) -> str:
        flags = "".join(f", {name}=True" for name in ("mock", "insecure") if getattr(self, name))
        limit = "" if self.item_limit == _usual_item_limit(self) else f", item_limit={self.item_limit}"
        return f"Endpoint({str(self)!r}{flags}{limit})"

    __rich_repr__ = rich_repr


PRODUCTION = Endpoint(f"wss://api.kiwoom.com:{WEBSOCKET_PORT}/api/dostk/websocket")
"""Production (운영), domestic market."""
MOCK = Endpoint(f"wss://{MOCK_HOST}:{WEBSOCKET_PORT}/api/dostk/websocket")
"""Mock trading (모의투자), domestic market, KRX items only."""
US_PRODUCTION = Endpoint(f"wss://api.kiwoom.com:{WEBSOCKET_PORT}/api/us/websocket")
"""Production, US market."""
US_MOCK = Endpoint(f"wss://{MOCK_HOST}:{WEBSOCKET_PORT}/api/us/websocket")
"""Mock trading, US market."""


def checked_config(endpoint: object, config: object) -> ClientConfig:
    """Return the configuration to use.

    Raises:
        LocalProtocolError: endpoint or config is not what it should be.
    """
    if not isinstance(endpoint, Endpoint):
        raise LocalProtocolError(
            f"endpoint: must be an Endpoint, such as PRODUCTION, MOCK or Endpoint('ws://127.0.0.1:8765/api/dostk/websocket')"
            f", not {type(endpoint).__name__}"
        )
    if config is not None and not isinstance(config, ClientConfig):
        raise LocalProtocolError(f"config: must be a ClientConfig, not {type(config).__name__}")
    return ClientConfig() if config is None else config
