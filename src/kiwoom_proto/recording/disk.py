"""Files of a recording on a disk: made exclusively, written without a buffer."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from .files import file_name
from .writer import Place

__all__ = ("FolderDisk", "free_bytes")

MAX_NUMBER = 10_000
"""Files of one second."""
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_MODE = 0o640


class FolderDisk:
    """A folder as a `Disk`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, at: int) -> OpenFile:
        """Make a file that did not exist before. See `Disk`."""
        for number in range(MAX_NUMBER):
            path = self._folder / file_name(at, number)
            try:
                return OpenFile(path, os.open(path, _FLAGS, _MODE))
            except FileExistsError:
                continue
            except FileNotFoundError:
                self._folder.mkdir(parents=True, exist_ok=True)
                return OpenFile(path, os.open(path, _FLAGS, _MODE))
        raise FileExistsError(f"{MAX_NUMBER} files of one second")


class OpenFile:
    """A file as a `File`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @property
    def path(self) -> str:
        """Its path."""
        return str(self._path)

    def write(self, data: bytes) -> None:
        """Write all of it at the end."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def truncate(self, size: int) -> None:
        """Cut the file to this size, and write on there."""
        os.ftruncate(self._descriptor, size)
        os.lseek(self._descriptor, size, os.SEEK_SET)

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        os.fsync(self._descriptor)

    def place(self) -> Place:
        """Return whether the file is still found by its path."""
        own = os.fstat(self._descriptor)
        try:
            found = os.stat(self._path)
        except OSError:
            found = None
        if found is not None and os.path.samestat(own, found):
            return "here"
        return "moved" if own.st_nlink else "removed"

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)

    def discard(self) -> None:
        """Close and remove it, as far as that is possible."""
        with suppress(OSError):
            os.close(self._descriptor)
        with suppress(OSError):
            self._path.unlink()


def free_bytes(folder: Path) -> int | None:
    """Return how many bytes can still be written to the disk of a folder; None if that cannot be told."""
    import shutil

    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
