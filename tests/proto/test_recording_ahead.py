"""Parts of a file that are made ahead: the same parts, the same errors, and an end to the thread."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from kiwoom_proto.recording.ahead import ahead


def threads() -> set[str]:
    """The threads that make parts ahead."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("kiwoom-recording")}


@pytest.mark.parametrize("count", range(6))
def test_all_parts_come_in_order(count: int) -> None:
    assert list(ahead(part for part in range(count))) == list(range(count))
    assert not threads()


def test_a_part_is_made_while_the_one_before_it_is_used() -> None:
    begun = threading.Event()

    def parts() -> Generator[int]:
        yield from range(3)
        begun.set()
        yield 3

    for part in ahead(parts()):
        if part == 2:
            assert begun.wait(10)  # by the thread: nobody has asked for it


def test_what_is_short_needs_no_thread() -> None:
    made_by = []

    def parts() -> Generator[int]:
        for part in range(2):
            made_by.append(threading.current_thread())
            yield part

    assert list(ahead(parts())) == [0, 1]
    assert set(made_by) == {threading.current_thread()}


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_an_error_comes_after_the_parts_before_it(count: int) -> None:
    def parts() -> Generator[int]:
        yield from range(count)
        raise OSError("the disk is gone")

    seen: list[int] = []
    with pytest.raises(OSError, match="the disk is gone"):
        seen.extend(ahead(parts()))
    assert seen == list(range(count))
    assert not threads()


@pytest.mark.parametrize("used", [1, 2, 3, 5])
def test_leaving_early_ends_the_thread_and_closes_the_parts(used: int) -> None:
    closed = []

    def parts() -> Generator[int]:
        try:
            yield from range(100)
        finally:
            closed.append(True)

    iterator = ahead(parts())
    assert [next(iterator) for _ in range(used)] == list(range(used))
    del iterator

    assert closed == [True]
    assert not threads()
