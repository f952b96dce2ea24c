"""The opponents: packages from the registry, each in an environment of its own under benchmarks/.peers/.

`make bench-peers` (or `python -m benchmarks peers`) makes the environments. An opponent that cannot be had is not left
out: it stands in the results with the reason. Versions are pinned, because the drivers were written against them.
"""

from __future__ import annotations

import atexit
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from .data import messages

__all__ = ("OPPONENTS", "Opponent", "Status", "find", "payload_file", "set_up")

PLACE = pathlib.Path(__file__).parent / ".peers"


@attrs.frozen
class Opponent:
    """One package.

    Attributes:
        name: what it is called in the results.
        requirements: what pip installs.
        check: a statement that runs where it is installed.
        python: the oldest Python that it takes.
    """

    name: str
    requirements: tuple[str, ...]
    check: str
    python: tuple[int, int] = (3, 11)


OPPONENTS = (
    Opponent("kwcli", ("kwcli==1.0.3",), "import kiwoom.realtime", (3, 13)),
    Opponent("kiwoom-restful", ("kiwoom-restful==0.4.0",), "import kiwoom.api"),
    Opponent("cluefin-openapi", ("cluefin-openapi==1.0.0",), "import cluefin_openapi.kiwoom"),
    Opponent("picows", ("picows==2.3.1", "msgspec==0.22.0"), "import picows, msgspec"),
    Opponent("httpx", ("httpx==0.28.1",), "import httpx"),
    Opponent("aiohttp", ("aiohttp==3.14.5",), "import aiohttp"),
)


@attrs.frozen
class Status:
    """Whether an opponent can be measured.

    Attributes:
        python: its interpreter; None: it cannot.
        error: why not.
        packages: where its packages are; "": nowhere.
    """

    python: str | None
    error: str = ""
    packages: str = ""


def find(name: str) -> Status:
    """Whether this opponent's environment is there."""
    marker = PLACE / f"{name}.json"
    try:
        return Status(**json.loads(marker.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Status(None, "not set up: make bench-peers")


def set_up() -> list[tuple[Opponent, Status]]:
    """Make the environments that are not there yet."""
    PLACE.mkdir(exist_ok=True)
    result = []
    for opponent in OPPONENTS:
        status = find(opponent.name)
        if status.python is None:
            status = _install(opponent)
            (PLACE / f"{opponent.name}.json").write_text(json.dumps(attrs.asdict(status)), encoding="utf-8")
        result.append((opponent, status))
    return result


def _install(opponent: Opponent) -> Status:
    version = ".".join(map(str, opponent.python))
    base = next((path for path in _interpreters(opponent.python) if _is_at_least(path, opponent.python)), None)
    if base is None:
        return Status(None, f"needs Python {version}, and there is none here")
    place = PLACE / opponent.name
    python = str(place / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *opponent.requirements]
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    for command in ([base, "-m", "venv", "--clear", str(place)], pip, [python, "-c", opponent.check]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
            errors = [line for line in lines if line.startswith("ERROR")] or lines
            return Status(None, f"cannot be installed: {errors[-1].strip()[:200]}")
    packages = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True).stdout.strip()
    return Status(python, "", packages)


def _interpreters(oldest: tuple[int, int]) -> Iterator[str]:
    """Interpreters that may do, ours first, so that as many as possible run on the same one."""
    yield sys.executable
    for minor in range(oldest[1], oldest[1] + 3):
        name = f"python3.{minor}"
        if (found := shutil.which(name)) is not None:
            yield found
        if (pyenv := shutil.which("pyenv")) is not None:
            root = subprocess.run([pyenv, "root"], capture_output=True, text=True).stdout.strip()
            yield from map(str, sorted(pathlib.Path(root, "versions").glob(f"3.{minor}.*/bin/{name}"), reverse=True))


def _is_at_least(python: str, version: tuple[int, int]) -> bool:
    test = f"import sys, venv; sys.exit(sys.version_info[:2] < {version!r})"
    return subprocess.run([python, "-c", test], capture_output=True).returncode == 0


_scratch: list[tempfile.TemporaryDirectory[str]] = []


def scratch() -> pathlib.Path:
    """A folder for the length of the run."""
    if not _scratch:
        _scratch.append(tempfile.TemporaryDirectory())
        atexit.register(_scratch[0].cleanup)
    return pathlib.Path(_scratch[0].name)


def payload_file(setting: Mapping[str, Any]) -> str:
    """The messages of a measurement as a file, one a line, for subjects that cannot make them."""
    path = scratch() / f"{setting['shape']}-{setting['count']}-{setting['order']}.jsonl"
    if not path.exists():
        payloads = messages(setting["shape"], setting["count"], order=setting["order"])
        path.write_bytes(b"\n".join(payloads) + b"\n")
    return os.fspath(path)
