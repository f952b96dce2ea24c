"""The packages that tables need, loaded when they are used."""

from __future__ import annotations

from typing import Any

from ..errors import RecordingError

__all__ = ("duckdb", "kernel", "numpy", "pyarrow")


def duckdb() -> Any:
    """Return the package duckdb.

    Raises:
        RecordingError: it is not installed. Says how to install it.
    """
    try:
        import duckdb
    except ImportError as error:
        raise _missing("duckdb", error) from None
    return duckdb


def numpy() -> Any:
    """Return the package numpy.

    Raises:
        RecordingError: it is not installed. Says how to install it.
    """
    try:
        import numpy
    except ImportError as error:
        raise _missing("numpy", error) from None
    return numpy


def pyarrow() -> Any:
    """Return the package pyarrow.

    Raises:
        RecordingError: it is not installed. Says how to install it.
    """
    try:
        import pyarrow  # type: ignore[import-untyped]
    except ImportError as error:
        raise _missing("pyarrow", error) from None
    return pyarrow


def kernel() -> Any:
    """Return the module `kernel`, which needs the package numba.

    Raises:
        RecordingError: it is not installed. Says how to install it.
    """
    try:
        from . import kernel
    except ImportError as error:
        raise _missing("numba", error) from None
    return kernel


def _missing(package: str, error: ImportError) -> RecordingError:
    why = "" if isinstance(error, ModuleNotFoundError) and error.name == package else f", which says: {error}"
    return RecordingError(f"tables need the package {package}{why}; pip install 'kiwoom-proto[tables]'")
