"""What a type checker knows of the package as users install it: mypy and pyright, both strict, of the built wheel.

The wheel is installed into an environment of its own, and the source tree is out of sight. pyright is the one in
basedpyright, in pyright's own strict mode: its wheel, and the Node.js wheel that it needs, hold everything that runs,
while pyright's own package downloads it at the first run, which no lock file checks.
"""

from __future__ import annotations

import enum
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from tests import environments

from kiwoom_proto import REALTIME, Record

pytest.importorskip("hatchling", reason="the builder is installed in CI alone")

ROOT = Path(__file__).parent.parent
PACKAGES = ("kiwoom_asyncio", "kiwoom_proto", "kiwoom_trio")

STRICT = {
    "typeCheckingMode": "strict",
    # Programs handle the events that concern them: there will be more.
    "reportMatchNotExhaustive": "none",
    "reportUnnecessaryTypeIgnoreComment": "error",
}


MYPY = """
[mypy]
strict = true
# What streamlit imports: it takes longer to check than everything else, and nothing of it is used.
[mypy-altair.*,google.*,narwhals.*,numpy.*,pandas.*,PIL.*,pyarrow.*,pydeck.*,tornado.*]
follow_imports = skip
[mypy-attributes]
disallow_any_expr = True
"""

CHECKED = ["examples", "typed", "attributes.py", "mistakes.py"]
MISTAKES = ("trade.prize", "trade.price + 1", 'trade.price.split(",")', "client.stream(trade)")
MISTAKEN = (
    "import kiwoom_asyncio\n"
    "from kiwoom_proto import Trade\n"
    "def run(client: kiwoom_asyncio.Client, trade: Trade) -> None:\n"
    + "".join(f"    print({mistake})\n" for mistake in MISTAKES)
)
MISTAKEN_LINES = {str(number) for number in range(4, 4 + len(MISTAKES))}


@attrs.frozen
class Installed:
    """A wheel, and an environment that it is installed in.

    Attributes:
        wheel: the file.
        python: the interpreter of the environment.
        programs: a folder with copies of the examples and of what they should be typed as, and a program of mistakes.
    """

    wheel: Path
    python: str
    programs: Path

    def run(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a type checker where there is no configuration of this project."""
        bin = str(Path(self.python).parent)
        return subprocess.run(
            [sys.executable, "-m", tool, *arguments],
            cwd=self.programs,
            env=os.environ | {"PATH": bin + os.pathsep + os.environ["PATH"]},
            capture_output=True,
            text=True,
            encoding="utf-8",
        )


def every_attribute() -> Iterator[str]:
    """Write a program with every attribute of every record, and the type it should have."""
    yield "import datetime"
    yield "from decimal import Decimal"
    yield "from typing import assert_type"
    yield "from kiwoom_proto.realtime import codes"
    classes: list[type[Record]] = [Record, *REALTIME.values()]
    for cls in classes:
        yield f"from {cls.__module__} import {cls.__name__}"
        yield f"def read_{cls.__name__}(row: {cls.__name__}) -> None:"
        for name, field in cls.fields.items():
            kind = field.kind.python_type
            shown = f"codes.{kind.__name__}" if issubclass(kind, enum.Enum) else kind.__qualname__
            shown = f"datetime.{shown}" if kind.__module__ == "datetime" else shown
            yield f"    assert_type(row.{name}, {shown} | None)"
        # mypy refuses these if their type is, or has in it, Any.
        others = {name for name in dir(cls) if isinstance(getattr(cls, name), property)} - set(cls.fields)
        for name in sorted({*others, *Record.__struct_fields__} - {"extra"}):
            if not name.startswith("_"):
                yield f"    print(row.{name})"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("typing")
    built = folder / "wheel"
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(built)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = built.iterdir()
    programs = folder / "programs"
    # Notebooks are left out: mypy cannot read them.
    ignored = shutil.ignore_patterns("__pycache__", "*.ipynb")
    shutil.copytree(ROOT / "examples", programs / "examples", ignore=ignored)
    shutil.copytree(ROOT / "tests" / "typing", programs / "typed", ignore=shutil.ignore_patterns("__pycache__"))
    (programs / "attributes.py").write_text("\n".join(every_attribute()) + "\n", encoding="utf-8")
    (programs / "mistakes.py").write_text(MISTAKEN, encoding="utf-8")
    return Installed(wheel, environments.python("dev", wheel), programs)


def test_the_wheel_says_that_it_is_typed_and_is_what_is_checked(installed: Installed) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    show = f"import {', '.join(PACKAGES)}; print(*(each.__file__ for each in ({', '.join(PACKAGES)})))"
    shown = subprocess.run([installed.python, "-c", show], capture_output=True, text=True, check=True).stdout
    assert "site-packages" in shown
    assert str(ROOT / "src") not in shown


def test_mypy_finds_the_mistakes_and_nothing_else(installed: Installed) -> None:
    (installed.programs / "mypy.ini").write_text(MYPY, encoding="utf-8")
    cache = str(installed.wheel.parent / "mypy")
    checked = installed.run("mypy", "--python-executable", installed.python, "--cache-dir", cache, *CHECKED)
    *found, summary = checked.stdout.splitlines()
    assert [line for line in found if not line.startswith("mistakes.py:")] == [], checked.stdout
    assert summary.startswith("Found "), checked.stdout + checked.stderr
    assert set(re.findall(r"^mistakes.py:(\d+): error: ", checked.stdout, re.MULTILINE)) == MISTAKEN_LINES


def test_pyright_finds_the_mistakes_and_nothing_else(installed: Installed) -> None:
    settings = json.dumps(STRICT | {"include": CHECKED})
    (installed.programs / "pyrightconfig.json").write_text(settings, encoding="utf-8")
    checked = installed.run("basedpyright", "--pythonpath", installed.python, "--outputjson")
    output = json.loads(checked.stdout)
    found = [(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in output["generalDiagnostics"]]
    assert {name for name, _ in found} == {"mistakes.py"}, checked.stdout
    assert {str(line) for _, line in found} == MISTAKEN_LINES
    assert output["summary"]["filesAnalyzed"] > len(CHECKED)
