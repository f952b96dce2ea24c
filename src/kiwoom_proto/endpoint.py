"""Where to connect, and where to ask for a token to log in with.

Source: official page 0E ("운영 도메인", "모의투자 도메인 … KRX만 지원가능", "URL"). The US market has a socket of
its own. Tokens: official pages au10001 and au10002 ("/oauth2/token", "/oauth2/revoke", on the port of HTTPS).
"""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs

from .errors import LocalProtocolError
from .symbol import US_VENUES, Symbol, Venue

__all__ = ("Endpoint", "PRODUCTION", "MOCK", "US_PRODUCTION", "US_MOCK")

KIWOOM = ".kiwoom.com"
MOCK_HOST = f"mockapi{KIWOOM}"
WEBSOCKET_PORT = 10000
_DEFAULT_PORT = {"ws": 80, "wss": 443}


@attrs.frozen
class Endpoint:
    """A WebSocket URL and what is special about the server behind it.

    Attributes:
        url: "wss://host:port/path", or "ws://..." for a server of your own.
        mock: True for mock trading (모의투자), which knows KRX items only. By default where the host is Kiwoom's for
            it.

    Raises:
        LocalProtocolError: the URL is not one of a WebSocket.
    """

    url: str = attrs.field()
    mock: bool = attrs.field(kw_only=True)

    @mock.default
    def _is_mock_host(self) -> bool:
        return isinstance(self.url, str) and f"//{MOCK_HOST}:" in self.url

    @url.validator
    def _check_url(self, _: object, url: str) -> None:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in _DEFAULT_PORT and parts.hostname and (parts.port is None or parts.port > 0)
            usable = usable and url.isprintable() and " " not in url
            if not url.isascii():
                (parts.hostname or "").encode("idna")  # raises a ValueError where that is no host name
        except (ValueError, TypeError, AttributeError):
            usable = False
        if not usable:
            # What stands before an "@" may be a password.
            shown = repr(url) if isinstance(url, str) and "@" not in url else "what was given"
            raise LocalProtocolError(f"Endpoint.url: must be ws://host[:port]/path or wss://..., not {shown}")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise LocalProtocolError("Endpoint.url: must have no user name, password or fragment")

    @property
    def secure(self) -> bool:
        """Whether TLS is used."""
        return urlsplit(self.url).scheme == "wss"

    @property
    def host(self) -> str:
        """The host to dial and to verify the certificate against."""
        host = urlsplit(self.url).hostname
        assert host is not None  # the validator saw to it
        return host

    @property
    def port(self) -> int:
        """The TCP port to dial."""
        parts = urlsplit(self.url)
        return parts.port or _DEFAULT_PORT[parts.scheme]

    @property
    def token_url(self) -> str:
        """Where tokens are issued: "https://api.kiwoom.com/oauth2/token"."""
        return self._rest_url("/oauth2/token")

    @property
    def revoke_url(self) -> str:
        """Where tokens are revoked."""
        return self._rest_url("/oauth2/revoke")

    def _rest_url(self, path: str) -> str:
        host = self.host if self.host.isascii() else self.host.encode("idna").decode()
        host = f"[{host}]" if ":" in host else host
        port = urlsplit(self.url).port
        if self.host.endswith(KIWOOM) and port == WEBSOCKET_PORT:
            port = None  # Kiwoom has its WebSocket on a port of its own, and everything else on that of HTTPS
        shown = "" if port is None else f":{port}"
        return f"{'https' if self.secure else 'http'}://{host}{shown}{path}"

    @property
    def us(self) -> bool:
        """Whether this is the US market's path."""
        return urlsplit(self.url).path.startswith("/api/us/")

    def check_item(self, item: str) -> None:
        """Refuse an item that this endpoint is known not to serve.

        Raises:
            LocalProtocolError: an NXT or SOR item on mock trading, a US item elsewhere than on the US path, or the
                other way round.
        """
        if not item:
            return
        venue = Symbol.parse(item).venue
        if self.us:
            if venue not in US_VENUES:
                raise LocalProtocolError(
                    f"item {item!r}: a US item names its exchange, as in NVDA:ND (ND Nasdaq, NY NYSE, NA AMEX)"
                )
        elif venue in US_VENUES:
            raise LocalProtocolError(f"item {item!r}: US items are served on the US path only; see US_PRODUCTION")
        elif self.mock and venue is not Venue.KRX:
            raise LocalProtocolError(
                f"item {item!r}: mock trading (모의투자) supports KRX only; leave out the suffix {item[-3:]!r}"
            )

    def __str__(self) -> str:
        return self.url


PRODUCTION = Endpoint(f"wss://api.kiwoom.com:{WEBSOCKET_PORT}/api/dostk/websocket")
"""Production (운영), domestic market."""
MOCK = Endpoint(f"wss://{MOCK_HOST}:{WEBSOCKET_PORT}/api/dostk/websocket")
"""Mock trading (모의투자), domestic market, KRX items only."""
US_PRODUCTION = Endpoint(f"wss://api.kiwoom.com:{WEBSOCKET_PORT}/api/us/websocket")
"""Production, US market."""
US_MOCK = Endpoint(f"wss://{MOCK_HOST}:{WEBSOCKET_PORT}/api/us/websocket")
"""Mock trading, US market."""
