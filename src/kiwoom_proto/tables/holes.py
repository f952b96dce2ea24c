"""What recordings lack, as rows of the view `hole`: those of the reader, when a query asks for them.

DuckDB leaves out a torn last frame without a word, and turns a broken line into NULLs. So the files are read once more,
as `read_recording` reads them, but no row is made of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import RecordingError
from ..recording.files import Paths
from ..recording.reader import find_holes
from .files import RecordedFile

__all__ = ("HOLES_TYPE", "HolesOf")

HOLES_TYPE = (
    'STRUCT(received_ns BIGINT, "start" BIGINT, "end" BIGINT, messages BIGINT, reason VARCHAR, epoch INTEGER, '
    "sequence BIGINT, session_id VARCHAR)[]"
)


class HolesOf:
    """A function of a connection: what these recordings lack at the time of the query.

    Args:
        paths: a file, a folder, or several of them.
        files: as they were looked at: the reader may find nothing wrong with one that the views leave out.
    """

    def __init__(self, paths: Paths, files: Iterable[RecordedFile]) -> None:
        self._paths = paths
        self._left_out = [
            _row(reason=file.wrong, session_id=file.session or None) for file in files if file.may_be_whole
        ]

    def __call__(self) -> Sequence[dict[str, Any]]:
        try:
            found = [
                _row(
                    received_ns=at or None,
                    start=hole.start or None,
                    end=hole.end or None,
                    messages=hole.messages,
                    reason=hole.reason,
                    epoch=hole.epoch or None,
                    sequence=hole.sequence or None,
                    session_id=session or None,
                )
                for at, session, hole in find_holes(self._paths)
            ]
        except RecordingError as error:  # a file that was named has vanished since
            found = [_row(reason=str(error))]
        return [*found, *self._left_out]


def _row(**members: Any) -> dict[str, Any]:
    names = ("received_ns", "start", "end", "messages", "reason", "epoch", "sequence", "session_id")
    return {**dict.fromkeys(names), **members}
