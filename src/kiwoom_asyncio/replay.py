"""replay on asyncio: recordings as a client. `BaseReplay` has everything but the waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from threading import Thread

import anyio
from anyio.lowlevel import checkpoint

from kiwoom_proto import ClientConfig, Record
from kiwoom_proto.client.async_block import block
from kiwoom_proto.client.own_loop import Place
from kiwoom_proto.client.replay import BaseReplay, Time, open_recording
from kiwoom_proto.recording.files import Paths, as_paths

from .own_loop import HAND_OVER, caller, check_loop, here
from .tasks import BackgroundTask

__all__ = ("Replay", "replay")


@block(check_loop)
async def replay(
    paths: Paths,
    *,
    speed: float | None = 1.0,
    start: Time | None = None,
    end: Time | None = None,
    config: ClientConfig | None = None,
    types: Iterable[type[Record]] = (),
) -> AsyncGenerator[Replay]:
    """Play recordings back: yield a `Replay`, which a program uses as the `Client` that `connect` yields.

    The events are those that the recorded client had to iterate, with their own times and numbers, gaps included, and a
    `RecordingHole` for what was not recorded. Until something is subscribed to, everything comes; from then on, the
    rows of what is subscribed to. Calls are checked as `connect` checks them, and are accepted at once.

    The iteration ends with the recording, or raises the ConnectionLost that ended the recorded session.

    Args:
        paths: a file, a folder, or several of them.
        speed: how many times as fast as recorded; None: as fast as the program takes it. Nothing is dropped for a slow
            program, and the `overflow` of a stream applies only while nobody iterates it; see docs/recordings.md.
        start: the time from which on events come: a `datetime` with its zone, or nanoseconds since the epoch.
        end: the time before which they come.
        config: limits, such as `item_limit`; None: the defaults.
        types: record classes of your own, in addition to the catalogue or replacing its class of the same type code.

    Raises:
        RecordingError: there is no such file, or it is no recording, or one of a newer version.
        LoginRefused: the recorded session never logged in; so do TokenError and ConnectionLost.
        LocalProtocolError: an argument is invalid.
    """
    paths = as_paths(paths)
    session = open_recording(
        paths, speed=speed, start=start, end=end, config=config, types=types, clock=asyncio.get_running_loop().time
    )
    recording = Replay(session, paths)
    task = BackgroundTask(recording._drive, recording._fail)
    try:
        yield recording
    finally:
        await recording.aclose()
        await task.end()


class Replay(BaseReplay):
    """A recording, as a client. Made by `replay`.

    Iterate it, and call it, as a `Client`: see there. Several tasks may iterate it. It belongs to the event loop and
    thread that it was made in.
    """

    def _here(self) -> Place:
        return here()

    _hand_over = HAND_OVER
    _new_event = asyncio.Event
    _checkpoint = staticmethod(checkpoint)

    def _task(self) -> object:
        return caller.get() or asyncio.current_task()

    def _has_ended(self, task: object, /) -> bool:
        return task.done() if isinstance(task, asyncio.Task) else isinstance(task, Thread) and not task.is_alive()

    def _move_on_at(self, deadline: float, /) -> anyio.CancelScope:
        return anyio.CancelScope(deadline=deadline)

    def _report_failure(self, message: str, error: Exception) -> None:
        asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error, "client": self})
