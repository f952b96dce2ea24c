"""Frames that are decompressed ahead: the same lines, the same damage and errors, and an end to the thread."""

from __future__ import annotations

import io
import random
import threading

import pytest

from kiwoom_proto.recording.frames import Block, Damage, compress, read_blocks

GENERATOR = random.Random(13)
LARGE = [GENERATOR.randbytes(100_000).hex().encode() + b"\n" for _ in range(6)]
"""Lines that make frames of a hundred kilobytes each."""
FRAMES = [compress(line) for line in LARGE]


def threads() -> set[str]:
    """The threads that decompress ahead."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("kiwoom-recording")}


class BrokenFile(io.BytesIO):
    """A file whose disk fails from some byte on."""

    def __init__(self, data: bytes, fails_from: int) -> None:
        super().__init__(data)
        self._fails_from = fails_from

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and self.tell() + size > self._fails_from:
            raise OSError("the disk is gone")
        return super().read(size)


@pytest.mark.parametrize("count", range(7))
def test_all_lines_come_in_order(count: int) -> None:
    found = list(read_blocks(io.BytesIO(b"".join(FRAMES[:count]))))

    assert [part.data for part in found if isinstance(part, Block)] == LARGE[:count]
    assert [part.offset for part in found] == [sum(map(len, FRAMES[:number])) for number in range(count)]
    assert not threads()


def test_a_frame_is_decompressed_while_the_one_before_it_is_used() -> None:
    parts = read_blocks(io.BytesIO(b"".join(FRAMES)))

    next(parts)
    assert not threads()  # often only the first one is read
    next(parts)
    assert threads()


@pytest.mark.parametrize("line", [b"{}\n", b"x" * 9_000_000 + b"\n"], ids=["small", "large"])
def test_what_is_small_needs_no_thread_and_what_is_large_has_no_room_beside_another(line: bytes) -> None:
    for _ in read_blocks(io.BytesIO(compress(line) * 5)):
        assert not threads()


@pytest.mark.parametrize("place", range(6))
def test_a_frame_that_is_damaged_is_told_in_its_place(place: int) -> None:
    broken = bytearray(FRAMES[place])
    broken[-1] ^= 1  # the checksum
    frames = [*FRAMES[:place], bytes(broken), *FRAMES[place + 1 :]]

    found = list(read_blocks(io.BytesIO(b"".join(frames))))

    assert [part.data for part in found if isinstance(part, Block)] == LARGE[:place] + LARGE[place + 1 :]
    damage = found[place]
    assert isinstance(damage, Damage) and "checksum" in damage.reason
    assert (damage.offset, damage.size) == (sum(map(len, FRAMES[:place])), len(broken))
    assert not threads()


@pytest.mark.parametrize("place", range(1, 6))
def test_an_error_comes_after_the_lines_before_it(place: int) -> None:
    fails_from = sum(map(len, FRAMES[:place])) + 100
    seen = []

    with pytest.raises(OSError, match="the disk is gone"):
        for part in read_blocks(BrokenFile(b"".join(FRAMES), fails_from)):
            assert isinstance(part, Block)
            seen.append(part.data)

    assert seen == LARGE[:place]
    assert not threads()


@pytest.mark.parametrize("used", [1, 2, 3, 6])
def test_leaving_early_ends_the_thread(used: int) -> None:
    parts = read_blocks(io.BytesIO(b"".join(FRAMES)))
    for _ in range(used):
        next(parts)

    del parts

    assert not threads()
