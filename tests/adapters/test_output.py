"""What the command prints, and what becomes of it: on a stream of the test's own that fails as it is told."""

from __future__ import annotations

import errno
import io
import os
from typing import Any

import anyio
import pytest

pytest.importorskip("rich")

from kiwoom_asyncio.cli.output import Output, OutputError, ReaderLeft


class Disk(io.RawIOBase):
    """A raw stream that takes `room` bytes, some at a time, and then fails."""

    def __init__(self, room: int, error: OSError | None = None, at_most: int = 10_000) -> None:
        self.room = room
        self.written = bytearray()
        self._error = error
        self._at_most = at_most

    def write(self, data: Any) -> int:
        taken = bytes(data[: min(self.room, self._at_most)])
        if data and not taken:
            assert self._error is not None
            raise self._error
        self.room -= len(taken)
        self.written += taken
        return len(taken)


LINES = [b"%05d\n" % number for number in range(20_000)]


def write_all(disk: Disk) -> None:
    async def main() -> None:
        output = Output(disk)
        for line in LINES:
            await output.write(line)
        await output.finish()

    anyio.run(main)


def test_every_line_is_written_in_order_when_the_system_takes_less_than_it_is_given() -> None:
    disk = Disk(room=1_000_000, at_most=1_001)
    write_all(disk)
    assert bytes(disk.written) == b"".join(LINES)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EBADF])
@pytest.mark.parametrize("room", [0, 65_536])
def test_what_cannot_be_written_is_an_error_that_says_why(code: int, room: int) -> None:
    disk = Disk(room, OSError(code, os.strerror(code)))
    with pytest.raises(OutputError, match=os.strerror(code)) as caught:
        write_all(disk)
    assert "its last line may be incomplete" in str(caught.value)
    assert len(disk.written) == room
    assert b"".join(LINES).startswith(disk.written)


def test_a_reader_that_left_is_none() -> None:
    with pytest.raises(ReaderLeft):
        write_all(Disk(65_536, BrokenPipeError(errno.EPIPE, "Broken pipe")))


def test_an_invalid_argument_is_a_reader_that_left_on_windows_only() -> None:
    error = OSError(errno.EINVAL, "Invalid argument")
    with pytest.raises(ReaderLeft if os.name == "nt" else OutputError):
        write_all(Disk(100, error))


@pytest.mark.skipif(os.name == "nt", reason="pipes of Windows are another matter")
def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    """Some programs hand on a pipe that they made non-blocking: a full one is no error."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    received = bytearray()

    async def main() -> None:
        with io.FileIO(reading) as reader, io.FileIO(writing, "w") as raw:
            output = Output(raw)
            for line in LINES:
                await output.write(line)
            total = sum(map(len, LINES))
            while len(received) < total:
                received.extend(await anyio.to_thread.run_sync(reader.read, 65_536))
            await output.finish()

    anyio.run(main)
    assert bytes(received) == b"".join(LINES)
