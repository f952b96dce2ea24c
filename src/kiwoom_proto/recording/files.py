"""The files of recordings: their names, and what a path stands for.

    2026-11-25T090000-00.ndjson.zst    date and time (KST) of its first line, and a number until the name is free

So a listing by name is in order of time.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import TypeAlias

from ..errors import LocalProtocolError, RecordingError
from ..realtime.record import KST

__all__ = ("SUFFIXES", "Paths", "as_paths", "file_name", "find_files", "is_file_name", "shown")

Paths: TypeAlias = "str | Path | Iterable[str | Path]"
"""A file, a folder, or several of them."""

SUFFIXES = (".ndjson.zst", ".ndjson")
"""What the names of recordings end in: as they are written, and as zstdcat leaves them."""

_is_name = re.compile(r"\d{4}-\d\d-\d\dT\d{6}-\d{2,}\.ndjson(?:\.zst)?").fullmatch


def file_name(at: int, number: int = 0) -> str:
    """Return the name of a file.

    Args:
        at: time of its first line, in nanoseconds since the epoch.
        number: counted up by the caller until the name is free.
    """
    moment = datetime.datetime.fromtimestamp(at // 1_000_000_000, KST)
    return f"{moment:%Y-%m-%dT%H%M%S}-{number:02d}{SUFFIXES[0]}"


def is_file_name(name: str) -> bool:
    """Return whether a name is one that `file_name` gives, compressed or not."""
    return _is_name(name) is not None


def as_paths(paths: Paths) -> tuple[Path, ...]:
    """Return the paths that are meant.

    Raises:
        LocalProtocolError: these are no paths.
    """
    named = (paths,) if isinstance(paths, str | PurePath) else paths
    several = tuple(named) if isinstance(named, Iterable) and not isinstance(named, bytes) else (named,)
    wrong = [each for each in several if not isinstance(each, str | PurePath)]
    if wrong:
        raise LocalProtocolError(f"paths: must be a file, a folder, or several of them, not {type(wrong[0]).__name__}")
    return tuple(map(Path, several))


def find_files(paths: Paths) -> list[tuple[Path, bool]]:
    """Return the files that are meant, once each, and whether each was named itself rather than found in a folder.

    Of a folder these are the files whose names end as those of recordings do, in order of their names.

    Raises:
        RecordingError: there is no such file or folder.
        LocalProtocolError: these are no paths.
    """
    found: dict[Path, bool] = {}
    for path in as_paths(paths):
        if path.is_dir():
            try:
                inside = sorted(each for each in path.iterdir() if each.name.endswith(SUFFIXES))
            except OSError as error:
                raise RecordingError(f"{path}: {error.strerror}") from None
            for each in inside:
                if each.is_file():
                    found.setdefault(each, False)
        elif path.exists():
            found[path] = True
        else:
            raise RecordingError(f"{path}: no such file or folder")
    return list(found.items())


def shown(paths: Paths) -> str:
    """Return paths as an error names them."""
    return str(paths) if isinstance(paths, str | Path) else ", ".join(map(str, paths))
