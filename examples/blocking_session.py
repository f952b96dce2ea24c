"""Trades (0B) over plain blocking sockets, one after the other: a session without loop, thread or adapter.

A `Session` decides what to do; `follow` does it: it waits, gets a token, or carries bytes over a connection, for as
long as the session needs that. `Tls` makes it wss://.

    KIWOOM_APPKEY=... KIWOOM_SECRETKEY=... \\
    python examples/blocking_session.py wss://api.kiwoom.com:10000/api/dostk/websocket 005930 000660

With KIWOOM_TOKEN=..., an access token, instead of the keys, it runs until the token expires.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import sys
import time
from collections.abc import Iterator

from kiwoom_proto import (
    AppKey,
    Closed,
    Disconnected,
    Endpoint,
    Event,
    Gap,
    KiwoomError,
    LinkNeeded,
    Session,
    TokenNeeded,
    Trade,
)
from kiwoom_proto.auth import TokenCall
from kiwoom_proto.events import RequestRefusal
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.wire.tls import Tls


def follow(session: Session, key: AppKey | None) -> Iterator[Event]:
    """Drive the session to its end, and yield what happens."""
    while session.state is not SessionState.CLOSED:
        match session.needs:
            case LinkNeeded() as need:
                yield from carry(session, need)
            case TokenNeeded(refused=refused):
                assert key is not None  # without keys, the session has a token and knows that there is no other
                if refused is not None:
                    key.forget(session.endpoint, refused)
                get_token(session, key)
            case None:
                time.sleep(time_left(session))
                session.handle_timeout()
        yield from session.events()


def carry(session: Session, need: LinkNeeded) -> Iterator[Event]:
    """Dial, and carry bytes both ways until the session needs something else."""
    endpoint = need.endpoint
    link = Tls(session, endpoint.host) if endpoint.secure else session
    try:
        stream = socket.create_connection((endpoint.host, endpoint.port), time_left(session))
    except OSError as error:
        session.receive_eof(f"could not connect to {endpoint}: {error}")
        return
    with stream:
        while session.needs is need:
            try:
                stream.settimeout(10)
                stream.sendall(link.data_to_send())
            except OSError as error:
                link.receive_eof(str(error))
            yield from session.events()
            if session.needs is not need:
                break
            stream.settimeout(time_left(session))
            try:
                data = stream.recv(65_536)
            except TimeoutError:
                session.handle_timeout()
            except OSError as error:
                link.receive_eof(str(error))
            else:
                if data:
                    link.receive_data(data, time.time_ns())
                else:
                    link.receive_eof()
        try:
            stream.settimeout(1)
            stream.sendall(link.data_to_send())  # the closing frame, if any
        except OSError:
            pass  # the connection has ended anyway


def get_token(session: Session, key: AppKey) -> None:
    """Use the cached token, or ask the token server: one POST and its answer."""
    kept = key.cached(session.endpoint, time.time())
    if kept is not None:
        session.receive_token(kept)
        return
    call = TokenCall(session.endpoint, key)
    link = Tls(call, call.host) if call.secure else call
    try:
        with socket.create_connection((call.host, call.port), time_left(session)) as stream:
            while not call.finished:
                stream.settimeout(time_left(session))
                stream.sendall(link.data_to_send())
                data = stream.recv(65_536)
                link.receive_data(data) if data else link.receive_eof()
    except OSError as error:
        call.receive_eof(str(error))
    try:
        token = call.result()
        assert token is not None
        key.store(session.endpoint, token, time.time())
        session.receive_token(token.value)
    except KiwoomError as error:
        session.token_failed(error)


def time_left(session: Session) -> float:
    """Return the seconds until the session's deadline, at least a millisecond: 0 makes a socket non-blocking."""
    deadline = session.next_timeout()
    assert deadline is not None  # a session has one until it is closed
    return max(0.001, deadline - time.monotonic())


def main() -> None:
    parser = argparse.ArgumentParser(description="Print trades (0B).")
    parser.add_argument("url", help="ws://... or wss://...")
    parser.add_argument("item", nargs="+", help="005930, 005930_NX or 005930_AL")
    parser.add_argument("--count", type=int, help="end after this many trades")
    arguments = parser.parse_args()

    token = os.environ.get("KIWOOM_TOKEN") or None
    try:
        key = None if token else AppKey.from_env()
        session = Session(Endpoint(arguments.url), clock=time.monotonic, random=random.random)
        session.connect(token)  # None: the session asks for one in `needs`
        session.subscribe(Trade, *arguments.item)  # for this connection and all later ones
    except KiwoomError as mistake:
        sys.exit(str(mistake))
    seen = 0
    for event in follow(session, key):
        match event:
            case Trade() if seen != arguments.count:
                print(event.time, event.symbol, event.price, event.quantity, flush=True)
                seen += 1
                if seen == arguments.count:
                    session.close()
            case Disconnected():
                print(event, file=sys.stderr)
            case Gap():
                print(f"trades of {event.seconds:.1f} s are missing", file=sys.stderr)
            case RequestRefusal(code=code, message=message):
                sys.exit(f"refused with {code}: {message}")
            case Closed(error=error) if error is not None:
                sys.exit(str(event))


if __name__ == "__main__":
    main()
