"""Every scenario is an async function with a `loop`, and runs on trio, on asyncio, and on uvloop where there is one."""

from __future__ import annotations

import inspect
import logging
import signal
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import trustme
from tests.adapters.kit import HAS_UVLOOP, Loop

needs_uvloop = pytest.mark.skipif(not HAS_UVLOOP, reason="uvloop is not installed: it has no wheels for this platform")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test on the loop that it asks for."""
    loop = pyfuncitem.funcargs.get("loop")
    if not isinstance(loop, Loop) or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    loop.run(lambda: pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(params=["trio", "asyncio", pytest.param("uvloop", marks=needs_uvloop)])
def loop(request: pytest.FixtureRequest) -> Loop:
    """The event loop, and the adapter that belongs to it."""
    return Loop(request.param)


class _Keeper(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@pytest.fixture(autouse=True)
def own_errors() -> Iterator[list[str]]:
    """What a simulated exchange on a port reports of its own errors: it goes on, but a test must not.

    A test that provokes some clears the list.
    """
    keeper = _Keeper()
    loggers = [logging.getLogger(f"{package}.server") for package in ("kiwoom_trio", "kiwoom_asyncio")]
    for logger in loggers:
        logger.addHandler(keeper)
    yield keeper.texts
    for logger in loggers:
        logger.removeHandler(keeper)
    assert keeper.texts == []


@dataclass(frozen=True)
class Net:
    """What the connection runs over.

    Attributes:
        server: the server's TLS, for 127.0.0.1; None: none.
        client: the client's TLS, which knows the server's authority and verifies; None: none.
    """

    server: ssl.SSLContext | None
    client: ssl.SSLContext | None


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that only these tests know."""
    return trustme.CA()


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> Net:
    """TLS with verification."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Net(server, client)


@pytest.fixture(params=["tcp", "tls"])
def net(request: pytest.FixtureRequest, tls: Net) -> Net:
    """TCP, then TLS."""
    return tls if request.param == "tls" else Net(None, None)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own handler of Ctrl-C: whoever runs the tests in the background may have it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
