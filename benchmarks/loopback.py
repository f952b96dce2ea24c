"""Layer c, loopback: the feeder's process -> a real socket, plain or TLS -> the program's `async for`.

Subjects, each reading the usual fields of every row:

    ours (asyncio), ours (trio)   the adapters
    floor                         a blocking socket, frames sliced, one-pass Struct (see floor.py)
    bytes only                    a blocking socket that is read and nothing else. Where it is not twice as fast as
                                  every other subject, the feeder is what was measured, and the run says so
    kwcli, kwcli (unnamed), kiwoom-restful, cluefin-openapi, picows + msgspec, picows + Struct
                                  the opponents, each through its own public receive path; see peers/

Throughput and CPU per message are measured with the feeder as fast as the socket takes it, latency at fixed rates.
"""

from __future__ import annotations

import asyncio
import ssl
import statistics
from collections.abc import Awaitable, Callable
from typing import Any

import trio

import kiwoom_asyncio
import kiwoom_trio
from kiwoom_proto import Endpoint

from . import opponents
from .data import STAMP_FID, fids, types_of
from .decode import our_reader
from .floor import Floor, dial, slice_frames
from .peers.driver import Meter, Round, serve
from .runner import Bench, Player, SubjectFailed, Worker

__all__ = ("LATENCY", "LATENCY_SECONDS", "measure", "prepare", "start_feeder")

SIZE = 65_536
COUNT = 40_000
RATES = (1_000, 20_000)
LATENCY_SECONDS = 3.0
THROUGHPUT = {"rate": "messages per second", "cpu": "ns of CPU per message"}
LATENCY = {"p50": "µs, p50", "p99": "µs, p99", "p999": "µs, p99.9"}
DRIVERS = {
    "kwcli": ("kwcli", "official", {"named": True}),
    "kwcli (unnamed)": ("kwcli", "official", {"named": False}),
    "kiwoom-restful": ("kiwoom-restful", "restful", {}),
    "cluefin-openapi": ("cluefin-openapi", "cluefin", {}),
    "picows + msgspec": ("picows", "picows_msgspec", {"struct": False}),
    "picows + Struct": ("picows", "picows_msgspec", {"struct": True}),
}
"""Subject -> opponent, driver in peers/, further settings."""


def measure(bench: Bench) -> None:
    """Make the measurements."""
    for shape in ("0B", "market"):
        for authority, certificate in ((None, None), _certificates()):
            _throughput(bench, shape, authority, certificate)
    for rate in RATES:
        _latency(bench, rate)


def players(shape: str, url: str, authority: str | None) -> list[Player]:
    """Everybody."""
    setting = {"shape": shape, "url": url, "authority": authority}
    result = [Player(name, "benchmarks.loopback", {**setting, "subject": name}) for name in SUBJECTS]
    codes = {code: fids(code) for code in types_of(shape)}
    for name, (opponent, driver, further) in DRIVERS.items():
        status = opponents.find(opponent)
        environment = {"SSL_CERT_FILE": authority} if authority else {}
        settings = {**setting, "fids": codes, "stamp": STAMP_FID, **further}
        module = f"benchmarks.peers.{driver}"
        result.append(Player(name, module, settings, status.python, status.error, environment))
    return result


def _throughput(bench: Bench, shape: str, authority: str | None, certificate: str | None) -> None:
    case = f"{shape}, {'TLS' if authority else 'plain'}"
    feeder, url = start_feeder(shape, certificate)
    try:
        command = {"count": bench.effort.messages(COUNT), "rate": 0}
        bench.compare(
            "loopback", case, players(shape, url, authority), THROUGHPUT, command, before=lambda: feeder.ask(command)
        )
    finally:
        feeder.close()
    rates = bench.results.find("loopback", case, THROUGHPUT["rate"])
    assert rates is not None
    medians = {name: spread.median for name, subject in rates.subjects.items() if (spread := subject.spread)}
    limit = medians.pop("bytes only", 0.0)
    for name, median in medians.items():
        if 2 * median > limit:
            bench.note(f"loopback, {case}: {name} came within half of the feeder's speed, which is what was measured")


def _latency(bench: Bench, rate: int) -> None:
    feeder, url = start_feeder("0B", None)
    late: list[float] = []

    def before() -> dict[str, Any]:
        late.append(feeder.ask({"report": True})["p99"])
        return feeder.ask(command)

    count = round(rate * LATENCY_SECONDS * min(1.0, bench.effort.scale))
    command = {"count": count, "rate": rate}
    who = [player for player in players("0B", url, None) if player.name != "bytes only"]
    case = f"0B, plain, {rate:,} a second"
    rounds = max(1, round(bench.effort.rounds / 2))
    try:
        bench.compare("loopback", case, who, LATENCY, command, before=before, rounds=rounds)
        late.append(feeder.ask({"report": True})["p99"])
    finally:
        feeder.close()
    median = statistics.median(late[1:])
    bench.note(f"loopback, {case}: the feeder itself was late by {median:,.1f} µs (p99, median of all turns)")


def start_feeder(shape: str, certificate: str | None) -> tuple[Worker, str]:
    """Start a feeder; returns it and its URL."""
    feeder = Worker(Player("feeder", "benchmarks.feeder", {"shape": shape, "certificate": certificate}))
    scheme = "wss" if certificate else "ws"
    try:
        return feeder, f"{scheme}://127.0.0.1:{feeder.ask({'port': True})['port']}/api/dostk/websocket"
    except SubjectFailed:
        feeder.close()
        raise


def _certificates() -> tuple[str, str]:
    """Paths of a throwaway authority's certificate and of a server's, with its key."""
    import trustme

    authority, server = opponents.scratch() / "authority.pem", opponents.scratch() / "server.pem"
    if not server.exists():
        made = trustme.CA()
        made.cert_pem.write_to_path(authority)
        made.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(server)
    return str(authority), str(server)


def prepare(setting: dict[str, Any]) -> Round:
    """Set a subject up."""
    receive = SUBJECTS[setting["subject"]]

    def run(command: dict[str, Any]) -> dict[str, float]:
        return receive({**setting, **command})

    return run


def _meter(plan: dict[str, Any], read: Callable[[Any], None], stamp: Callable[[Any], int]) -> Meter:
    return Meter(plan["count"], read, stamp if plan["rate"] else None)


async def _iterate(connect: Any, plan: dict[str, Any]) -> dict[str, float]:
    """What a program does, on either loop."""
    meter = _meter(plan, our_reader(plan["shape"], "usual"), lambda record: record.volume)
    take, left = meter.take, meter.count - 1
    context = ssl.create_default_context(cafile=plan["authority"]) if plan["authority"] else None
    async with connect(Endpoint(plan["url"]), token="token", ssl_context=context) as client:
        await client.subscribe("0B", "000001")
        first = await anext(client)
        meter.start()
        take(first)
        async for event in client:
            take(event)
            left -= 1
            if not left:
                break
        meter.stop()
    return meter.result()


def _run_asyncio(plan: dict[str, Any]) -> dict[str, float]:
    return asyncio.run(_iterate(kiwoom_asyncio.connect, plan))


def _run_trio(plan: dict[str, Any]) -> dict[str, float]:
    run: Callable[..., dict[str, float]] = trio.run
    iterate: Callable[..., Awaitable[dict[str, float]]] = _iterate
    return run(iterate, kiwoom_trio.connect, plan)


def _run_floor(plan: dict[str, Any]) -> dict[str, float]:
    floor = Floor(plan["shape"])
    meter = _meter(plan, floor.read, lambda row: int(row.values.f13))
    rows, take, left = floor.rows, meter.take, meter.count
    held = b""
    with dial(plan["url"], plan["authority"]) as stream:
        receive = stream.recv
        while left:
            payloads, held = slice_frames(receive(SIZE), held)
            if left == meter.count:
                meter.start()
            for payload in payloads:
                for row in rows(payload):
                    take(row)
            left -= len(payloads)  # of one row each
        meter.stop()
    return meter.result()


def _run_bytes(plan: dict[str, Any]) -> dict[str, float]:
    meter = Meter(plan["count"], lambda row: None)
    buffer, left = bytearray(SIZE), plan["bytes"]
    with dial(plan["url"], plan["authority"]) as stream:
        left -= stream.recv_into(buffer)
        meter.start()
        while left:
            left -= stream.recv_into(buffer)
        meter.stop()
    return meter.result()


SUBJECTS: dict[str, Callable[[dict[str, Any]], dict[str, float]]] = {
    "ours (asyncio)": _run_asyncio,
    "ours (trio)": _run_trio,
    "floor": _run_floor,
    "bytes only": _run_bytes,
}

if __name__ == "__main__":
    serve(prepare)
