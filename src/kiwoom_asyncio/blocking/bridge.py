"""The bridge between threads that block and an event loop on a thread of its own: anyio's blocking portal.

* A call starts a task on the loop and waits for it. A wait that ends early, by its time limit or by Ctrl-C, cancels it.
  What became of the task then is told with what ended the wait: whoever interrupts an order must know that it was sent.
* Rows cross in batches: the loop's side fills a list, and whoever iterates pops from that very list. So buffers,
  policies and statistics count what waits as they do without a bridge.
* Whoever must not wait is refused: callbacks, which run on the loop's thread, and async functions, whose loop would
  stand still. The cells of a notebook may: they hold up nothing but themselves.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

import anyio
from anyio.from_thread import start_blocking_portal

from kiwoom_proto import KiwoomError, LocalProtocolError
from kiwoom_proto.display import MESSAGE_LIMIT, quoted

from ..own_loop import caller, here, runs_trio

__all__ = ("Bridge",)

T = TypeVar("T")
S = TypeVar("S")

SLICE = 0.2 if sys.platform == "win32" else threading.TIMEOUT_MAX
"""Maximum seconds of one wait: Windows delivers Ctrl-C only between two."""
CANCEL_TIME = 2.0
"""Maximum seconds that a wait which has ended early waits for its cancelled task, to tell what became of it."""
EXIT_TIME = 2.0
"""Maximum seconds that the end of the program waits for a client that was never closed."""


class Bridge(Generic[S]):
    """A thread with an event loop, and what an async context manager yields on it.

    Args:
        make: makes the context manager; called on the loop.

    Attributes:
        source: what it yields.
        is_open: whether it has not been closed.
    """

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[S]]) -> None:
        _refuse_async("this would block")
        self.is_open = True
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._starting = start_blocking_portal()
        self._portal = self._starting.__enter__()
        try:
            self._loop = self._portal.call(asyncio.get_running_loop)
            self._thread = self._portal.call(threading.current_thread)
            self._context = self._wait(_later(make))
            self.source: S = self._wait(self._context.__aenter__)
        except BaseException as error:
            self.is_open = False
            self._starting.__exit__(type(error), error, error.__traceback__)
            raise

    def wait(self, function: Callable[..., Awaitable[T]], *args: Any, timeout: float | None = None) -> T:
        """Run an async function on the loop, and wait for what it returns.

        Raises:
            TimeoutError: it took longer than `timeout` seconds, and was cancelled.
            KeyboardInterrupt: Ctrl-C; raised from the error of ours that the cancelled function ended in, if it did.
            LocalProtocolError: the client is closed, or the caller must not wait.
        """
        self.check_open()
        if threading.current_thread() is self._thread:
            raise LocalProtocolError(
                "called from a callback, which runs on the client's own thread and must not wait: put the row on a "
                "queue.Queue, and call from the thread that reads it"
            )
        _refuse_async("this call would block")
        token = caller.set(threading.current_thread())
        try:
            return self._wait(function, *args, timeout=timeout)
        except CancelledError:
            self.check_open()
            raise
        finally:
            caller.reset(token)

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function that waits for nothing, on the loop. Callbacks may, too."""
        if threading.current_thread() is self._thread:
            return function(*args)

        return self.wait(_later(lambda: function(*args)))

    def leave(self, context: AbstractAsyncContextManager[Any]) -> None:
        """Leave what was entered on the loop. Whoever drops the last reference to an iterator may do so, anywhere."""
        if not self.is_open or os.getpid() != self._process:
            return  # it has ended with the client
        if threading.current_thread() is self._thread:
            self._leaving = self._loop.create_task(context.__aexit__(None, None, None))
            return
        try:
            self._wait(context.__aexit__, None, None, None)
        except (CancelledError, RuntimeError):
            if self.is_open:
                raise

    def check_open(self) -> None:
        """Refuse whoever comes too late, or in a process of which the loop is not."""
        if not self.is_open:
            raise LocalProtocolError(
                "the client is closed: use it inside its `with` block, or make it with blocking.open(...), of REST "
                "open_rest(...), and use it until close()"
            )
        if os.getpid() != self._process:
            raise LocalProtocolError(
                "called in a process that was forked after the client connected; connect in the process that uses it"
            )

    def close(self, error: BaseException | None = None) -> None:
        """Close the client, and end the thread. Again, it does nothing.

        Args:
            error: what ends the block.
        """
        if self.is_open and os.getpid() == self._process and threading.current_thread() is self._thread:
            self.wait(self._close, None)  # says what to do instead
        if not self._begin_end():
            return
        try:
            self._wait(self._close, error)
        except BaseException as failure:
            self._starting.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._starting.__exit__(None, None, None)

    def close_at_exit(self, owner: object) -> weakref.finalize[..., Any]:
        """End the thread when `owner` is gone, or the program ends: at once, without a closing handshake."""
        return weakref.finalize(owner, self._abandon)

    def _begin_end(self) -> bool:
        """Return whether the caller is the one that ends it."""
        with self._lock:
            was_open, self.is_open = self.is_open, False
        return was_open and os.getpid() == self._process

    async def _close(self, error: BaseException | None) -> None:
        kind: type[BaseException] | None = None if error is None else type(error)
        traceback: TracebackType | None = None if error is None else error.__traceback__
        await self._context.__aexit__(kind, error, traceback)

    def _abandon(self) -> None:
        async def end() -> None:
            try:
                await self._close(SystemExit())
            finally:
                await self._portal.stop(cancel_remaining=True)

        def begin() -> None:
            self._leaving = self._loop.create_task(end())

        if self._begin_end():
            self._loop.call_soon_threadsafe(begin)
            if threading.current_thread() is not self._thread:
                self._thread.join(EXIT_TIME)

    def _wait(self, function: Callable[..., Awaitable[T]], *args: Any, timeout: float | None = None) -> T:
        task = _Task(function, *args)
        try:
            try:
                future = self._portal.start_task_soon(task.run)
            except RuntimeError:  # another thread has closed it meanwhile
                self.check_open()
                raise
            return _result(future, timeout)
        except BaseException as interruption:
            task.end(self._loop, interruption)
            raise


class _Task(Generic[T]):
    """An async function that runs once on the loop, and what became of it. It can be cancelled before it has begun."""

    def __init__(self, function: Callable[..., Awaitable[T]], *args: Any) -> None:
        self._function = function
        self._args = args
        self._scope: anyio.CancelScope | None = None
        self._is_cancelled = False
        self._ended = threading.Event()
        self._error: KiwoomError | None = None
        self._result: T | None = None

    async def run(self) -> T:
        try:
            with anyio.CancelScope() as self._scope:
                if not self._is_cancelled:
                    self._result = await self._function(*self._args)
        except KiwoomError as error:
            self._error = error
            raise
        finally:
            self._ended.set()
        return cast("T", self._result)

    def end(self, loop: asyncio.AbstractEventLoop, interruption: BaseException) -> None:
        """Cancel it, and add to what ended the wait how it ended, if that is another matter."""
        try:
            loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:
            return  # the loop is closed
        self._ended.wait(CANCEL_TIME)
        if self._error is not None and self._error is not interruption:
            raise interruption from self._error
        if self._result is not None:
            interruption.add_note(f"The call had ended meanwhile: {quoted(self._result, MESSAGE_LIMIT)}")

    def _cancel(self) -> None:
        self._is_cancelled = True
        if self._scope is not None:
            self._scope.cancel()


def _later(make: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    """Return an async function that calls one, and never awaits what that returns."""

    async def call() -> T:
        return make()

    return call


def _result(future: Future[T], timeout: float | None) -> T:
    """Return a future's result. Ctrl-C ends the wait."""
    if timeout is None:
        timeout = threading.TIMEOUT_MAX
    deadline = time.monotonic() + timeout
    while True:
        left = deadline - time.monotonic()
        try:
            return future.result(max(0.0, min(left, SLICE)))
        except TimeoutError:
            if future.done():
                return future.result()  # its own
            if left <= SLICE:
                raise TimeoutError(f"nothing came within {timeout:g} s") from None


def _refuse_async(what: str) -> None:
    """Refuse a caller whose event loop would stand still meanwhile."""
    if runs_trio():
        adapter = "kiwoom_trio"
    elif here().loop is not None:
        adapter = "kiwoom_asyncio"
    else:
        return
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        return  # a cell runs inside the kernel's loop, and holds it up whatever it does
    raise LocalProtocolError(
        f"called in an async function: {what} its event loop; use `async with {adapter}.connect(...)` and await "
        "there, or call from another thread"
    )
