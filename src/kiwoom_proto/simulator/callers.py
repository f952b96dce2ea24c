"""Who may call an exchange that is on a port: programs, and no web pages.

Any page in a browser on this machine may send requests to its ports. A browser tells of it: in Origin, which no other
client needs to send, and in Host, which holds the name that the page used. So what comes from a page is refused, and so
is a name that is not the exchange's: a page whose own name was made to lead here ("DNS rebinding") is, to the browser,
on the same server as the exchange, and what it asks for need not have an Origin.
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
    """Return names and addresses as they are compared."""
    return frozenset(_plain(name.removesuffix(".")) for name in names)


def refusal_of(headers: Iterable[tuple[str, str]], hosts: Collection[str] | None) -> tuple[int, str] | None:
    """Tell why a request is refused.

    Args:
        headers: of the request.
        hosts: by which names it may be called, as `host_names` gives them, besides localhost and the loopback
            addresses. None: by any.

    Returns:
        HTTP status and a text; None: it is not refused.
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
    # Some libraries for programs say that they come from the server itself, as no page can: it serves none.
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
