"""replay on trio: recordings as a client. `BaseReplay` has everything but the waiting."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable

import trio
from trio.lowlevel import checkpoint, disable_ki_protection, enable_ki_protection

from kiwoom_proto import ClientConfig, Record
from kiwoom_proto.client.own_loop import Place
from kiwoom_proto.client.replay import BaseReplay, Time, open_recording
from kiwoom_proto.recording.files import Paths, as_paths

from .own_loop import HAND_OVER, here
from .tasks import background_tasks, block

__all__ = ("Replay", "replay")


@block
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
        paths, speed=speed, start=start, end=end, config=config, types=types, clock=trio.current_time
    )
    recording = Replay(session, paths)
    async with background_tasks() as tasks:
        tasks.start_soon(recording._run)
        try:
            yield recording
        finally:
            await recording.aclose()


class Replay(BaseReplay):
    """A recording, as a client. Made by `replay`.

    Iterate it, and call it, as a `Client`: see there. Several tasks may iterate it. It belongs to the event loop and
    thread that it was made in.
    """

    def _here(self) -> Place:
        return here()

    _hand_over = HAND_OVER
    _new_event = trio.Event
    _checkpoint = staticmethod(checkpoint)
    _move_on_at = staticmethod(trio.move_on_at)
    _task = staticmethod(trio.lowlevel.current_task)

    def _has_ended(self, task: object, /) -> bool:
        nursery = task.parent_nursery if isinstance(task, trio.lowlevel.Task) else None
        return nursery is not None and task not in nursery.child_tasks

    @enable_ki_protection
    async def _run(self) -> None:
        try:
            await self._drive()
        except Exception as error:
            self._fail(error)
            raise

    @disable_ki_protection
    def _make_calls(self) -> None:
        super()._make_calls()

    def _report_failure(self, message: str, error: Exception) -> None:
        logging.getLogger("kiwoom_trio").error("%s", message, exc_info=error)
