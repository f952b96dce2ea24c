"""Layer g, recording: messages -> lines and frames -> events again. One thread; the recorder's own is in `loopback`.

read, against the decode layer, with the same fields read of each row:

    decoder          MessageDecoder alone, over messages in memory
    read             read_recording of a file: decompressed, its checksum verified, lines cut, decoded
    read (1 a time)  the same, if no two messages were received at the same time
    replay           the same file behind the iteration of a client on asyncio, as fast as it goes

write:

    lines            encode_messages: numbered, checked and searched for what is masked
    lines, zstd      and compressed, in frames of one MiB
    zstd             compressing the same lines alone
"""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import kiwoom_asyncio
from kiwoom_proto import MessageDecoder
from kiwoom_proto.recording.format import Footer, Header, encode_footer, encode_header, encode_messages
from kiwoom_proto.recording.frames import compress
from kiwoom_proto.recording.masking import Masking
from kiwoom_proto.recording.reader import read_recording

from .data import messages, scratch_folder
from .decode import CPU, case_name, our_reader
from .peers.driver import Round, serve, timed
from .runner import Bench, Player

__all__ = ("in_process", "measure", "prepare")

SHAPES = ("0B", "0D", "market")
COUNT = 3_000
REPEATED = 40
"""How often they are in the file that is read: a day has millions, so the 4 ms of opening a file should not show."""
CLOCK = {"wall": "ns per message, by the clock", **CPU}
"""A thread decompresses beside the reader, so CPU is not what a program waits for."""
AT_ONCE = 16
"""Messages received at the same time."""
START = 1_795_564_800_000_000_000
FRAME = 1024 * 1024
SECRETS = ("bench-token-Qz-" * 5, "bench-appkey-Xj-" * 3, "bench-secretkey-Vk-" * 2)


def measure(bench: Bench) -> None:
    """Make the measurements."""
    times = max(1, round(2 * bench.effort.scale))
    for shape in SHAPES:
        for reads in ("usual", "nothing"):
            setting = {"shape": shape, "reads": reads, "count": bench.effort.messages(COUNT)}
            players = [Player(name, "benchmarks.recording", {**setting, "subject": name}) for name in READERS]
            bench.compare("recording", f"read {case_name(shape, reads)}", players, CLOCK, {"times": 1})
        setting = {"shape": shape, "reads": "", "count": bench.effort.messages(COUNT)}
        players = [Player(name, "benchmarks.recording", {**setting, "subject": name}) for name in WRITERS]
        bench.compare("recording", f"write {shape}", players, CPU, {"times": times})


def prepare(setting: dict[str, Any]) -> Round:
    """Set a subject up."""
    payloads = messages(setting["shape"], setting["count"])
    run = {**READERS, **WRITERS}[setting["subject"]](setting, payloads)
    return lambda command: timed(lambda: sum(run() for _ in range(command["times"])))


def _decoder(setting: dict[str, Any], payloads: list[bytes]) -> Callable[[], int]:
    decode, read = MessageDecoder().decode, our_reader(setting["shape"], setting["reads"])

    def run() -> int:
        count = 0
        for _ in range(REPEATED):
            for payload in payloads:
                for record in decode(payload, START):
                    read(record)
                    count += 1
        return count

    return run


def _reader(at_once: int) -> Callable[[dict[str, Any], list[bytes]], Callable[[], int]]:
    def prepared(setting: dict[str, Any], payloads: list[bytes]) -> Callable[[], int]:
        path = _file(payloads, at_once)
        read = our_reader(setting["shape"], setting["reads"])

        def run() -> int:
            count = 0
            for record in read_recording(path):
                read(record)
                count += 1
            return count

        return run

    return prepared


def _replayer(setting: dict[str, Any], payloads: list[bytes]) -> Callable[[], int]:
    path = _file(payloads, AT_ONCE)
    read = our_reader(setting["shape"], setting["reads"])

    async def replayed() -> int:
        count = left = len(payloads) * REPEATED
        async with kiwoom_asyncio.replay(path, speed=None) as client:
            async for event in client:  # what follows the rows is the end
                read(event)
                left -= 1
                if not left:
                    break
        return count

    return lambda: asyncio.run(replayed())


def _file(payloads: list[bytes], at_once: int) -> pathlib.Path:
    """A recording of these messages, REPEATED times."""
    path = scratch_folder() / "day.ndjson.zst"
    header = Header(START, "wss://localhost", False, "benchmark", "0" * 16)
    footer = Footer(START, "closed", len(payloads) * REPEATED)
    frames = [encode_header(header), *_frames(payloads * REPEATED, at_once), encode_footer(footer)]
    path.write_bytes(b"".join(map(compress, frames)))
    return path


def _frames(payloads: list[bytes], at_once: int, masking: Masking | None = None) -> Iterator[bytes]:
    """The lines of frames of a MiB."""
    lines: list[bytes] = []
    size = 0
    for first in range(0, len(payloads), at_once):
        some = payloads[first : first + at_once]
        lines.append(encode_messages(START + first * 1_000, 1, first + 1, some, masking))
        size += len(lines[-1])
        if size >= FRAME:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


def _writer(*, lines: bool, zstd: bool) -> Callable[[dict[str, Any], list[bytes]], Callable[[], int]]:
    def prepared(setting: dict[str, Any], payloads: list[bytes]) -> Callable[[], int]:
        masking = Masking(SECRETS)
        made = list(_frames(payloads, AT_ONCE))

        def run() -> int:
            for frame in _frames(payloads, AT_ONCE, masking) if lines else made:
                if zstd:
                    compress(frame)
            return len(payloads)

        return run

    return prepared


READERS = {"decoder": _decoder, "read": _reader(AT_ONCE), "read (1 a time)": _reader(1), "replay": _replayer}
WRITERS = {
    "lines": _writer(lines=True, zstd=False),
    "lines, zstd": _writer(lines=True, zstd=True),
    "zstd": _writer(lines=False, zstd=True),
}


def in_process() -> Iterator[tuple[str, str, str]]:
    """Every subject with every case: subject, shape, reads."""
    for shape in SHAPES:
        yield from ((subject, shape, "usual") for subject in READERS)
        yield from ((subject, shape, "") for subject in WRITERS)


if __name__ == "__main__":
    serve(prepare)
