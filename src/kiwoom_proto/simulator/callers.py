"""Access check for an exchange on a port: programs may connect, web pages may not.

Any page in a browser on this machine can send requests to its ports. The browser reveals this in two headers: Origin,
which other clients need not send, and Host, which has the name that the page used. Requests with the Origin of a page
are refused, and so are requests for a name that is not the exchange's. The second check is against DNS rebinding: if a
page's own name resolves to this machine, the browser takes the exchange for the page's own server, and its requests
need not have an Origin.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable

__all__ = ("host_names", "refusal_of")

_read_host = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@/\s]+?)\.?(:[0-9]{1,5})?").fullmatch

NO_HOST = (400, "exactly one Host header is needed\n")
OTHER_HOST = (421, "the simulated exchange is not called by this name; start it with the host as an allowed one\n")
WEB_PAGE = (403, "the simulated exchange answers no web page (there is an Origin)\n")


def host_names(*names: str) -> frozenset[str]:
    """Return host names and addresses in the form in which they are compared."""
    return frozenset(_plain(name.removesuffix(".")) for name in names)


def refusal_of(headers: Iterable[tuple[str, str]], hosts: Collection[str] | None) -> tuple[int, str] | None:
    """Check whether a request is refused.

    Args:
        headers: the headers of the request.
        hosts: the allowed host names, as `host_names` returns them, besides localhost and the loopback addresses; None
            allows any.

    Returns:
        HTTP status and text of the refusal; None if the request is allowed.
    """
    given: dict[str, list[str]] = {"host": [], "origin": []}
    for name, value in headers:
        if name.lower() in given:
            given[name.lower()].append(value.strip())
    if hosts is not None:
        if len(given["host"]) != 1:
            return NO_HOST
        found = _read_host(given["host"][0])
        name = _plain(found[1]) if found else ""
        if name not in hosts and not _is_loopback(name):
            return OTHER_HOST
    # Some client libraries send the server itself as Origin. No page can: the exchange serves none.
    own = {f"{scheme}://{host}".lower() for host in given["host"] for scheme in ("http", "https")}
    return None if own.issuperset(origin.lower() for origin in given["origin"]) else WEB_PAGE


def _plain(name: str) -> str:
    name = name.strip("[]").partition("%")[0].lower()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    return str(getattr(address, "ipv4_mapped", None) or address)


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
