"""Environments of one extra each: what `pip install "kiwoom-proto[EXTRA]"` makes, without asking a package index.

Whatever the development environment has beside it is not there: a program that runs in one of these needs no more than
the install line in the text above it.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
import venv
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

__all__ = ("distributions", "python")

NAME = "kiwoom-proto"
SOURCE = Path(__file__).parent.parent / "src"


def distributions(extra: str) -> dict[str, metadata.Distribution]:
    """Return every distribution that an install with this extra brings along, by name; "" is no extra."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [(NAME, frozenset({extra}))]
    while waiting:
        name, extras = waiting.pop()
        distribution = metadata.distribution(name)
        found[distribution.metadata["Name"].lower()] = distribution
        for text in distribution.requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is not None and not any(marker.evaluate({"extra": wanted}) for wanted in extras | {""}):
                continue
            if requirement.name.lower() not in found or requirement.extras:
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return found


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="kiwoom-proto-", ignore_cleanup_errors=True)


@functools.cache
def python(extra: str, wheel: Path | None = None) -> str:
    """Return the interpreter of an environment with this extra; "" is the core alone.

    Args:
        extra: the extra.
        wheel: a built wheel of this project to install; None: what is in the source tree.
    """
    name = extra or "core"
    root = Path(_folder().name) / (name if wheel is None else f"{name}-wheel")
    venv.create(root, symlinks=os.name != "nt")
    executable = root / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([executable, "-c", ask], capture_output=True, text=True, check=True).stdout.strip())
    for distribution in distributions(extra).values():
        for file in distribution.files or ():
            # An editable install has a file that leads to the source, and maybe to the rest of its environment.
            if file.parts[0] in ("..", "__pycache__") or file.suffix in (".pth", ".pyc"):
                continue
            link = site / file.parts[0]
            if not link.exists():
                target = Path(str(distribution.locate_file(file.parts[0]))).resolve()
                link.symlink_to(target, target_is_directory=target.is_dir())
    if wheel is None:
        (site / "source.pth").write_text(str(SOURCE), encoding="utf-8")
    else:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, "--no-index", "--no-deps", "--target", site, wheel], check=True)
    return str(executable)
