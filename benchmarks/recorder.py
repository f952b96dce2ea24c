"""Recording: what it costs the feed, whether it keeps up, and how hard it should compress.

The loopback layer (another process -> a real socket -> `async for`, usual fields read), with and without a recorder:

    feed         ns of CPU per message of the thread that the event loop runs in: what recording costs a program
    process      ns of CPU per message of the whole process, until everything is on the disk: the recorder's thread too
    rate         messages per second, read to the end
    written      messages per second, until everything is on the disk

and at a fixed rate the latency of each message, because the two threads share the interpreter's lock. Whether it keeps
up with messages that come at a fixed rate:

    waiting      megabytes of messages that wait for the recorder's thread when the last message has been read
    behind       milliseconds from then until everything is on the disk

The recorder alone: messages handed to it in runs of 64 KiB, as fast as it takes them, with no feed: messages per second
until everything is on the disk, and ns of CPU per message of its thread. Then the levels of zstd: ns per message for
frames of one MiB, and bytes of lines per byte of file.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import trio

import kiwoom_asyncio
import kiwoom_trio
from kiwoom_proto import Endpoint
from kiwoom_proto.connection.capture import Capture
from kiwoom_proto.events import Batch
from kiwoom_proto.recording.format import encode_messages
from kiwoom_proto.recording.frames import compress
from kiwoom_proto.recording.recorder import Recorder

from .data import messages
from .decode import our_reader
from .loopback import LATENCY, LATENCY_SECONDS, start_feeder
from .peers.driver import Round, percentiles, serve
from .runner import Bench, Player

__all__ = ("measure", "prepare")

COUNT = 60_000
RATES = (1_000, 20_000)
KEPT_RATES = (50_000, 100_000)
RUN = 64 * 1024
"""Bytes of messages that one read brings."""
MOST_WAITING = 8 * 1024 * 1024
LEVELS = (-5, -3, -1, 1, 2, 3)
FRAME = 1024 * 1024
COSTS = {
    "feed": "ns of CPU per message, feed",
    "process": "ns of CPU per message, process",
    "rate": "messages per second, read",
    "written": "messages per second, written",
}
KEPT = {
    "waiting": "MB waiting at the end",
    "behind": "ms behind at the end",
    "process": "ns of CPU per message, process",
}
ALONE = {"written": "messages per second, written", "thread": "ns of CPU per message, recorder's thread"}
LEVEL_COSTS = {"cpu": "ns of CPU per message", "ratio": "bytes of lines per byte"}
SUBJECTS = {
    "asyncio": ("asyncio", False),
    "asyncio, recording": ("asyncio", True),
    "trio": ("trio", False),
    "trio, recording": ("trio", True),
}


def measure(bench: Bench) -> None:
    """Make the measurements."""
    for shape in ("0B", "0D", "market"):
        feeder, url = start_feeder(shape, None)
        command = {"count": bench.effort.messages(COUNT), "rate": 0}
        try:
            bench.compare("recorder", shape, _players(shape, url), COSTS, command, before=partial(feeder.ask, command))
        finally:
            feeder.close()
    for rate in RATES:
        _at_rate(bench, rate, f"0B, {rate:,} a second", list(SUBJECTS), LATENCY)
    for rate in KEPT_RATES:
        recording = [name for name, (_, records) in SUBJECTS.items() if records]
        _at_rate(bench, rate, f"0B, {rate:,} a second, kept", recording, KEPT)
    for shape in ("0B", "0D", "market"):
        alone = Player("recorder alone", "benchmarks.recorder", {"shape": shape, "subject": ""})
        bench.compare("recorder", f"{shape}, alone", [alone], ALONE, {"count": bench.effort.messages(COUNT)})
    for shape in ("0B", "0D", "market"):
        setting = {"shape": shape, "url": ""}
        players = [Player(f"level {level}", "benchmarks.recorder", {**setting, "level": level}) for level in LEVELS]
        bench.compare("recorder", f"{shape}, zstd", players, LEVEL_COSTS)


def _at_rate(bench: Bench, rate: int, case: str, subjects: list[str], figures: dict[str, str]) -> None:
    feeder, url = start_feeder("0B", None)
    command = {"count": round(rate * LATENCY_SECONDS * min(1.0, bench.effort.scale)), "rate": rate}
    rounds = max(1, round(bench.effort.rounds / 2))
    players = [player for player in _players("0B", url) if player.name in subjects]
    try:
        bench.compare("recorder", case, players, figures, command, before=lambda: feeder.ask(command), rounds=rounds)
    finally:
        feeder.close()


def _players(shape: str, url: str) -> list[Player]:
    setting = {"shape": shape, "url": url}
    return [Player(name, "benchmarks.recorder", {**setting, "subject": name}) for name in SUBJECTS]


def prepare(setting: dict[str, Any]) -> Round:
    """Set a subject up."""
    if "level" in setting:
        return _prepare_level(setting["shape"], setting["level"])
    if not setting["subject"]:
        return _prepare_alone(setting["shape"])
    loop, records = SUBJECTS[setting["subject"]]

    def run(command: dict[str, Any]) -> dict[str, float]:
        folder = tempfile.mkdtemp(prefix="recorder-")
        recorder = Recorder(folder) if records else None
        plan = {**setting, **command}
        try:
            if loop == "asyncio":
                return asyncio.run(_iterate(kiwoom_asyncio.connect, plan, recorder))
            iterate: Callable[..., Any] = _iterate
            found: dict[str, float] = trio.run(iterate, kiwoom_trio.connect, plan, recorder)
            return found
        finally:
            shutil.rmtree(folder)

    return run


async def _iterate(connect: Any, plan: dict[str, Any], recorder: Recorder | None) -> dict[str, float]:
    count, read = plan["count"], our_reader(plan["shape"], "usual")
    latencies: list[int] = []
    if plan["rate"]:
        note, now = latencies.append, time.monotonic_ns
        read = lambda record: note(now() - record.volume)  # noqa: E731
    left = count
    async with connect(Endpoint(plan["url"]), token="token", record=recorder) as client:
        await client.subscribe("0B", "000001")
        read(await anext(client))
        left -= 1
        wall, feed, process = time.perf_counter_ns(), time.thread_time_ns(), time.process_time_ns()
        async for event in client:
            read(event)
            left -= 1
            if not left:
                break
        read_in, feed = time.perf_counter_ns() - wall, time.thread_time_ns() - feed
        waiting = 0 if recorder is None else recorder.stats().waiting_bytes
    written_in, process = time.perf_counter_ns() - wall, time.process_time_ns() - process
    if recorder is not None:
        stats = recorder.stats()
        assert stats.messages >= count and not stats.lost, f"the recording lacks messages: {stats}"
    late = percentiles(latencies) if latencies else {}
    rates = {"rate": count / read_in * 1e9, "written": count / written_in * 1e9}
    kept = {"waiting": waiting / 1e6, "behind": (written_in - read_in) / 1e6}
    return {"feed": feed / count, "process": process / count, **rates, **kept, **late}


def _prepare_alone(shape: str) -> Round:
    payloads = messages(shape, 4_000)
    runs: list[list[bytes]] = [[]]
    for payload in payloads:
        if sum(map(len, runs[-1])) >= RUN:
            runs.append([])
        runs[-1].append(payload)

    def run(command: dict[str, Any]) -> dict[str, float]:
        folder = tempfile.mkdtemp(prefix="recorder-")
        recorder, capture = Recorder(folder), Capture()
        recorder.start(Endpoint("wss://localhost"), capture)
        count = 0
        wall, process, pusher = time.perf_counter_ns(), time.process_time_ns(), time.thread_time_ns()
        while count < command["count"]:
            for payloads in runs:
                capture.numbering.sequence += len(payloads)
                capture.start_run(payloads, iter(()), time.time_ns())
                capture.end_run()
                recorder.add(Batch(), RUN, time.time_ns())
                count += len(payloads)
            while recorder.stats().waiting_bytes > MOST_WAITING:
                time.sleep(0.01)
        pusher = time.thread_time_ns() - pusher
        recorder.stop()
        recorder.wait()
        wall, process = time.perf_counter_ns() - wall, time.process_time_ns() - process
        assert recorder.stats().messages == count, recorder.stats()
        shutil.rmtree(folder)
        return {"written": count / wall * 1e9, "thread": (process - pusher) / count}

    return run


def _prepare_level(shape: str, level: int) -> Round:
    payloads = messages(shape, 4_000)
    lines = encode_messages(1_764_039_600_000_000_000, 1, 1, payloads)
    frames = [lines[at : at + FRAME] for at in range(0, len(lines), FRAME)]

    def run(command: dict[str, Any]) -> dict[str, float]:
        cpu = time.process_time_ns()
        size = sum(len(compress(frame, level)) for frame in frames)
        return {"cpu": (time.process_time_ns() - cpu) / len(payloads), "ratio": len(lines) / size}

    return run


if __name__ == "__main__":
    serve(prepare)
