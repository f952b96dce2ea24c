"""How functions are compiled by numba, and where that is kept: the machine code of the kernel, on the disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

__all__ = ("compiled", "inlined")

F = TypeVar("F", bound=Callable[..., Any])

_FunctionCache: Any = FunctionCache


class _Cache(_FunctionCache):  # type: ignore[misc]
    """What is compiled, on the disk. A full disk, or a damaged file, costs the time to compile, and nothing else."""

    def load_overload(self, *more: Any) -> Any:
        try:
            return super().load_overload(*more)
        except Exception:
            with suppress(Exception):
                self.flush()
            return None

    def save_overload(self, *more: Any) -> None:
        with suppress(Exception):
            super().save_overload(*more)


def compiled(function: F) -> F:
    """Compile a function, and keep what is compiled on the disk if there is a place for it."""
    made: Any = numba.njit(nogil=True, error_model="numpy")(function)
    with suppress(RuntimeError):  # no folder can be written
        made._cache = _Cache(function)
    return cast("F", made)


def inlined(function: F) -> F:
    """Have a function compiled as a part of those that call it."""
    return cast("F", numba.njit(inline="always", nogil=True, error_model="numpy")(function))
