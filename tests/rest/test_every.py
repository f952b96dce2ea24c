"""The test of the tests that try every TR: each case that fails is named, and why."""

from __future__ import annotations

import pytest
from tests.rest.every import check_every


def test_every_case_that_fails_is_named() -> None:
    def check(number: int) -> None:
        assert number % 3, "a multiple of three"
        if number == 5:
            with pytest.raises(ValueError):
                int("5")

    with pytest.raises(pytest.fail.Exception) as caught:
        check_every(range(1, 8), check)

    lines = str(caught.value).splitlines()
    assert lines[0] == "3 failed:"
    assert [line.partition(":")[0] for line in lines if line[:1].isdigit()][1:] == ["3", "5", "6"]
    assert "a multiple of three" in lines[1] and "DID NOT RAISE" in str(caught.value)


def test_nothing_fails_if_every_case_holds() -> None:
    check_every(range(3), lambda number: None)
