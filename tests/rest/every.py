"""One test for what holds of every TR, or of every kind of value: it tries them all, and names all that fail."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

__all__ = ("check_every",)

T = TypeVar("T")

MAX_SHOWN = 20


def check_every(cases: Iterable[T], check: Callable[[T], None]) -> None:
    """Call `check` with each of the cases, and fail once, with each case that failed and why.

    A test for each of 306 TRs would cost more for being a test than for what it proves.
    """
    failures = []
    for case in cases:
        try:
            check(case)
        except (Exception, pytest.fail.Exception) as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            failures.append(f"{case}: {type(error).__name__} in line {place.lineno}, {place.line}: {error}")
    if failures:
        shown = "\n".join(failures[:MAX_SHOWN])
        pytest.fail(f"{len(failures)} failed:\n{shown}", pytrace=False)
