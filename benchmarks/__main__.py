"""Run the benchmarks: `python -m benchmarks [--rounds N] [--json]`.

Two layers, for messages shaped like 0E, 0B and 0D:

  decode   one text payload -> one typed record, and some of its fields read (0E: all; 0B: six; 0D: twenty)
  core     TCP bytes -> events, framing included, in reads of 64 KiB; nothing read of the rows

Each is timed beside a reference, what a script written by hand does (`json.loads`, and looking the same FIDs up as
texts), round by round in turn, because a noisy machine drifts: look at the ratios first. Every figure is a median of
the rounds.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterable

import msgspec

from kiwoom_proto import MOCK, ClientConnection, MessageDecoder, Record
from kiwoom_proto.server import RequestReceived, ServerConnection
from kiwoom_proto.testing import ManualClock

from .data import SHAPES, messages, server_frame

COUNT = 2_000
READ_SIZE = 65_536

FIELDS = {
    "0E": ("time", "ask_quantity", "ask_quantity_change", "bid_quantity", "bid_quantity_change"),
    "0B": ("time", "price", "quantity", "volume", "best_ask", "best_bid"),
    "0D": tuple(
        f"{what}_{level}"
        for what in ("ask_price", "bid_price", "ask_quantity", "bid_quantity")
        for level in range(1, 6)
    ),
}
FIDS = {
    "0E": ("21", "131", "132", "135", "136"),
    "0B": ("20", "10", "15", "13", "27", "28"),
    "0D": tuple(str(base + level) for base in (41, 51, 61, 71) for level in range(5)),
}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each measurement (15)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    args = parser.parse_args()
    results = [measure(layer, shape, args.rounds) for layer in ("decode", "core") for shape in SHAPES]
    if args.json:
        print(json.dumps(results, indent=2))
        return
    print(f"CPython {platform.python_version()}, msgspec {msgspec.__version__}, {platform.machine()}")
    print(f"{'layer':8}{'shape':8}{'bytes':>7}{'µs':>9}{'reference µs':>15}{'ratio':>8}   spread of the ratio")
    for row in results:
        print(
            f"{row['layer']:8}{row['shape']:8}{row['bytes']:7}{row['us']:9.2f}{row['reference_us']:15.2f}"
            f"{row['ratio']:8.2f}   {row['ratio_min']:.2f} to {row['ratio_max']:.2f}"
        )


def measure(layer: str, shape: str, rounds: int) -> dict[str, str | int | float]:
    """Time one layer and its reference in turn; per message."""
    payloads = messages(shape, COUNT)
    ours = decode(shape, payloads) if layer == "decode" else core(payloads)
    reference = by_hand(shape, payloads)
    ours()
    reference()
    ours_times, reference_times = [], []
    gc.collect()
    for _ in range(rounds):
        ours_times.append(_seconds(ours))
        reference_times.append(_seconds(reference))
    ratios = [reference / ours for ours, reference in zip(ours_times, reference_times, strict=True)]
    return {
        "layer": layer,
        "shape": shape,
        "bytes": len(payloads[0]),
        "us": statistics.median(ours_times) / COUNT * 1e6,
        "reference_us": statistics.median(reference_times) / COUNT * 1e6,
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def _seconds(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def decode(shape: str, payloads: Iterable[bytes]) -> Callable[[], None]:
    """Payload -> record, and its usual fields."""
    decoder = MessageDecoder()
    names = FIELDS[shape]

    def run() -> None:
        for payload in payloads:
            (record,) = decoder.decode(payload)
            for name in names:
                getattr(record, name)

    return run


def core(payloads: list[bytes]) -> Callable[[], None]:
    """Bytes -> events, on a connection that is logged in."""
    wire = b"".join(map(server_frame, payloads))
    reads = [wire[at : at + READ_SIZE] for at in range(0, len(wire), READ_SIZE)]
    connection = _logged_in()

    def run() -> None:
        count = 0
        for data in reads:
            connection.receive_data(data, 1)
            count += sum(isinstance(event, Record) for event in connection.events())
        assert count == len(payloads)

    return run


def by_hand(shape: str, payloads: Iterable[bytes]) -> Callable[[], None]:
    """What a script does: json.loads, and the same FIDs looked up, left as texts."""
    fids = FIDS[shape]

    def run() -> None:
        for payload in payloads:
            for row in json.loads(payload)["data"]:
                values = row["values"]
                for fid in fids:
                    values[fid]

    return run


def _logged_in() -> ClientConnection:
    clock = ManualClock()
    client, server = ClientConnection(MOCK, clock=clock), ServerConnection(clock=clock)
    client.connect("token")
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send())
    for event in server.events():
        if isinstance(event, RequestReceived):
            server.accept(event.request)
    client.receive_data(server.data_to_send())
    client.events()
    return client


if __name__ == "__main__":
    main()
