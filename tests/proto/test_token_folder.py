"""TokenFolder: what is kept in files, who may read them, and what becomes of files that cannot be trusted."""

from __future__ import annotations

import datetime
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from kiwoom_proto import MOCK, PRODUCTION, US_PRODUCTION, AppKey, Endpoint
from kiwoom_proto.auth import Token
from kiwoom_proto.hours import KST
from kiwoom_proto.token_folder import TokenFile, TokenFolder

KEY = AppKey("the-app-key-of-somebody", "the-secret-key-of-somebody")
EXPIRES_AT = datetime.datetime(2026, 11, 27, 9, 30, tzinfo=KST)
TOKEN = Token("the-token-of-somebody", EXPIRES_AT)

posix = pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")


def make_file(tmp_path: Path, endpoint: Endpoint = PRODUCTION, key: AppKey = KEY) -> TokenFile:
    return TokenFolder(tmp_path / "tokens").file(key, endpoint)


@pytest.fixture
def file(tmp_path: Path) -> TokenFile:
    """The file of a key, locked, with a token in it."""
    file = make_file(tmp_path)
    assert file.try_lock()
    file.write(TOKEN)
    assert file.problems == []
    return file


def test_a_token_is_kept_with_its_expiry_in_korean_time(file: TokenFile, tmp_path: Path) -> None:
    assert make_file(tmp_path).read() == TOKEN

    kept = json.loads(file.path.read_text())
    assert kept == {
        "token": "the-token-of-somebody",
        "expires_at": "2026-11-27T09:30:00+09:00",
        "server": "https://api.kiwoom.com/oauth2/token",
    }


@posix
def test_files_and_folder_are_for_their_owner_alone(file: TokenFile) -> None:
    before = os.umask(0)
    try:
        file.write(TOKEN)
    finally:
        os.umask(before)
    modes = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in file.path.parent.iterdir()}

    assert modes == {".json": 0o600, ".lock": 0o600}
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


def test_the_names_hold_no_key_and_differ_by_key_and_environment(tmp_path: Path) -> None:
    other = AppKey("the-app-key-of-another", "the-secret-key-of-somebody")
    names = [make_file(tmp_path, endpoint).path.name for endpoint in (PRODUCTION, MOCK)]
    names.append(make_file(tmp_path, PRODUCTION, other).path.name)

    assert len(set(names)) == 3
    assert make_file(tmp_path, US_PRODUCTION).path.name == names[0]  # one token for both markets
    assert not any("somebody" in name for name in names)


def test_a_lock_is_for_one_at_a_time_and_ends_with_it(tmp_path: Path) -> None:
    first, second = make_file(tmp_path), make_file(tmp_path)

    assert first.try_lock() is True
    assert second.try_lock() is False
    first.unlock()
    assert second.try_lock() is True
    second.unlock()
    assert (first.problems, second.problems) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "\x00" * 40,
        "[" * 100_000,
        "{}",
        '{"token": 5, "expires_at": "2026-11-27T09:30:00+09:00", "server": "https://api.kiwoom.com/oauth2/token"}',
        '{"token": "a b\\n", "expires_at": "2026-11-27T09:30:00+09:00", "server": "https://api.kiwoom.com/oauth2/token"}',
        '{"token": "abc", "expires_at": "2026-11-27T09:30:00", "server": "https://api.kiwoom.com/oauth2/token"}',
        '{"token": "abc", "expires_at": "tomorrow", "server": "https://api.kiwoom.com/oauth2/token"}',
        '{"token": "abc", "expires_at": "2026-11-27T09:30:00+09:00", "server": "https://mockapi.kiwoom.com/oauth2/token"}',
    ],
)
def test_a_corrupt_file_is_ignored_told_of_and_replaced(file: TokenFile, text: str) -> None:
    file.path.write_text(text)

    assert file.read() is None
    (problem,) = file.problems
    assert str(file.path) in problem
    assert "abc" not in problem

    file.write(TOKEN)
    assert file.read() == TOKEN


@posix
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o666])
def test_a_file_that_others_may_read_is_ignored_and_replaced(file: TokenFile, mode: int) -> None:
    file.path.chmod(mode)

    assert file.read() is None
    assert "others may use it" in file.problems[0]

    file.write(TOKEN)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert file.read() == TOKEN


@posix
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_else_is_ignored_and_replaced(file: TokenFile) -> None:
    os.chown(file.path, 12345, -1)

    assert file.read() is None
    assert "belongs to somebody else" in file.problems[0]

    file.write(TOKEN)
    assert file.read() == TOKEN


@posix
def test_a_link_is_not_followed(file: TokenFile, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    file.path.rename(target)
    file.path.symlink_to(target)

    assert file.read() is None
    assert len(file.problems) == 1

    file.write(TOKEN)
    assert not file.path.is_symlink()
    assert file.read() == TOKEN


@posix
def test_a_folder_that_others_may_enter_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "tokens"
    folder.mkdir()
    folder.chmod(0o755)
    file = make_file(tmp_path)

    assert file.try_lock() is None
    assert "others may use it" in file.problems[0]
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("a file")
    file = make_file(tmp_path)

    assert file.try_lock() is None
    assert len(file.problems) == 1


def test_what_a_killed_process_left_half_written_is_no_obstacle(file: TokenFile) -> None:
    file.path.with_suffix(".new").write_text('{"token": "th')
    later = Token("another-token", EXPIRES_AT)

    file.write(later)

    assert file.read() == later


def test_a_token_without_an_expiry_is_not_kept(tmp_path: Path) -> None:
    file = make_file(tmp_path)
    assert file.try_lock()

    file.write(Token("for-ever", None))

    assert file.read() is None
    assert file.problems == []
    file.unlock()


def test_only_the_token_that_was_revoked_is_erased(file: TokenFile) -> None:
    file.erase(Token("another", None).value)
    assert file.read() == TOKEN
    file.erase(TOKEN.value)
    assert file.read() is None


@pytest.mark.skipif(sys.platform != "linux", reason="the folder differs by system")
def test_the_usual_folder_is_that_of_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert TokenFolder().path == tmp_path / "kiwoom-proto" / "tokens"


def test_without_platformdirs_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "platformdirs", None)

    assert TokenFolder(tmp_path).path == tmp_path
    with pytest.raises(ImportError, match=r"kiwoom-proto\[tokens\]"):
        TokenFolder()
