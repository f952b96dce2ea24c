"""TokenFolder: access tokens in files, so that programs that run one after the other, or at once, share them.

    key = AppKey.from_env(folder=TokenFolder())

One file for each app key and token server, named by a hash, never by the key. It holds the token, when it expires (KST)
and where it is used. Beside it is a lock, which is the operating system's: it ends with the process that holds it.
Whoever has no token takes the lock, looks into the file again, and only then asks the server. So however many
processes start at once, one of them asks.

A token is worth as much as a password until it expires:

* The folder is for its owner alone (0700), and so are the files (0600). On Windows the folder of the user's profile is.
* A file that somebody else owns or may read, that is a link, or that does not hold what it should, is ignored, and
  replaced by the next token. A folder that others may enter is not used at all. Either is a `TokenFolderWarning`.
* A file is written beside the old one and then takes its place, so that nobody reads half of it.

These functions block, though not for long. `client.tokens` calls them in a thread.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import stat
from pathlib import Path

import msgspec

from .auth import AppKey, Token
from .endpoint import Endpoint
from .errors import UNREADABLE, LocalProtocolError
from .hours import KST
from .secrets import Secret, conceal
from .wire.messages import check_token, encode

__all__ = ("TokenFile", "TokenFolder", "TokenFolderWarning")

MAX_SIZE = 64 * 1024
OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""What a mode must not have: anything for the group or for others."""
POSIX = os.name == "posix"
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


class TokenFolderWarning(UserWarning):
    """A token folder, or a file in it, is not used; the text says why. Tokens are asked for as without one."""


class TokenFolder:
    """A folder of tokens. Pass it to `AppKey`.

    Args:
        path: the folder, which is made when it is first needed; None: "kiwoom-proto" in the user's folder for caches,
            which needs the package platformdirs (the extra "tokens").

    Attributes:
        path: the folder.

    Raises:
        ImportError: platformdirs is not installed.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = _usual_path() if path is None else Path(path)

    def file(self, key: AppKey, endpoint: Endpoint) -> TokenFile:
        """Return the file of a key's tokens for the token server of an endpoint. It need not exist."""
        digest = hashlib.sha256(f"kiwoom-proto token\n{endpoint.token_url}\n{key.appkey.reveal()}".encode())
        return TokenFile(self.path / digest.hexdigest()[:32], endpoint.token_url)

    def __repr__(self) -> str:
        return f"TokenFolder({str(self.path)!r})"


def _usual_path() -> Path:
    try:
        import platformdirs
    except ImportError:
        raise ImportError(
            "TokenFolder() needs platformdirs: pip install 'kiwoom-proto[tokens]'; or name a folder: TokenFolder(path)"
        ) from None
    return Path(platformdirs.user_cache_dir("kiwoom-proto", appauthor=False)) / "tokens"


class TokenFile:
    """The file of one key and token server, and its lock. Made by `TokenFolder.file`.

    Args:
        path: the file, without a suffix.
        server: the token server's URL.

    Attributes:
        path: the file.
        problems: why the file, or the folder, is not used, once it is known. Whoever warns of them clears the list.
    """

    def __init__(self, path: Path, server: str) -> None:
        self.problems: list[str] = []
        self.path = path.with_suffix(".json")
        self._new = path.with_suffix(".new")
        self._lock_file = path.with_suffix(".lock")
        self._server = server
        self._lock: int | None = None

    def try_lock(self) -> bool | None:
        """Take the lock, unless another process has it. Returns whether it was free; None: it cannot be used."""
        try:
            self._make_folder()
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | NO_LINKS, 0o600)
        except OSError as error:
            self._tell(self.path.parent, _words(error))
            return None
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError):  # another process has it
            os.close(descriptor)
            return False
        except OSError as error:
            os.close(descriptor)
            self._tell(self._lock_file, f"it cannot be locked: {_words(error)}")
            return None
        self._lock = descriptor
        return True

    def unlock(self) -> None:
        """Give the lock back. Does nothing without it."""
        descriptor, self._lock = self._lock, None
        if descriptor is not None:
            os.close(descriptor)

    def read(self) -> Token | None:
        """Return the token in the file; None if there is none that may be used."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | NO_LINKS)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell(self.path, _words(error))
            return None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_SIZE:
                self._tell(self.path, "it is not a file of a token")
            elif problem := _problem(status):
                self._tell(self.path, problem)
            else:
                return self._decode(descriptor)
        except OSError as error:
            self._tell(self.path, _words(error))
        finally:
            os.close(descriptor)
        return None

    def write(self, token: Token) -> None:
        """Keep a token in the place of the one before. A token of which nobody knows when it expires is not kept."""
        if token.expires_at is None:
            return
        expires_at = token.expires_at.astimezone(KST).isoformat()
        try:
            self._new.unlink(missing_ok=True)  # a process was killed over it
            descriptor = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINKS, 0o600)
            try:
                # In one expression: a traceback may show variables.
                os.write(descriptor, encode({"token": token.value, "expires_at": expires_at, "server": self._server}))
            finally:
                os.close(descriptor)
            os.replace(self._new, self.path)
        except OSError as error:
            self._tell(self.path, f"it cannot be written: {_words(error)}")

    def erase(self, token: Secret) -> None:
        """Remove the file if it holds this token."""
        found = self.read()
        if found is not None and found.value == token:
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                self._tell(self.path, f"it cannot be removed: {_words(error)}")

    def _make_folder(self) -> None:
        """Make the folder, for its owner alone.

        Raises:
            OSError: it cannot be made, or others may use it.
        """
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if problem := _problem(folder.stat()):
            raise OSError(problem)

    def _decode(self, descriptor: int) -> Token | None:
        try:
            kept = _kept.decode(os.read(descriptor, MAX_SIZE))
            check_token(kept.token)
            expires_at = datetime.datetime.fromisoformat(kept.expires_at)
            if expires_at.tzinfo is None or kept.server != self._server:
                raise ValueError
        except (*UNREADABLE, LocalProtocolError, ValueError):
            self._tell(self.path, "it does not hold what it should")
            return None
        return Token(kept.token, expires_at.astimezone(KST))

    def _tell(self, path: Path, problem: str) -> None:
        self.problems.append(f"{path} is not used: {problem}")


def _problem(status: os.stat_result) -> str:
    """Return why a file or folder is not for its owner alone; "" if it is."""
    if not POSIX:
        return ""
    if status.st_uid != os.getuid():
        return "it belongs to somebody else"
    if status.st_mode & OTHERS:
        return f"others may use it (mode {stat.S_IMODE(status.st_mode):04o}); the token in it may be known to them"
    return ""


def _words(error: OSError) -> str:
    return error.strerror or str(error)


def _lock(descriptor: int) -> None:
    """Lock a file, if it is not locked.

    Raises:
        BlockingIOError, PermissionError: another process has locked it.
        OSError: this file system has no locks.
    """
    if POSIX:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]


class _Kept(msgspec.Struct):
    """What a file holds."""

    token: Secret
    expires_at: str
    server: str


def _conceal_token(type: type, value: object) -> Secret:
    return conceal(value) if isinstance(value, str) else Secret("")


_kept = msgspec.json.Decoder(_Kept, dec_hook=_conceal_token)
