"""What is installed: the lock file holds what the project asks for, checked by hash; the sdist holds no corpus."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCK = ROOT / ".ci" / "requirements.txt"

pytestmark = pytest.mark.skipif(not LOCK.exists(), reason="an sdist has no lock file")


def locked() -> dict[str, Version]:
    """Name and version of everything in the lock file."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return {name.lower(): Version(version) for name, version in lines}


def wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*project["dependencies"], *(text for texts in project["optional-dependencies"].values() for text in texts)]
    build = (ROOT / ".ci" / "build.in").read_text(encoding="utf-8").splitlines()
    texts += [line for line in build if line and not line.startswith("#")]
    return [requirement for requirement in map(Requirement, texts) if requirement.name != project["name"]]


def test_the_lock_file_holds_what_the_project_asks_for() -> None:
    """Where it does not: make lock."""
    versions = locked()
    missing = [
        str(requirement)
        for requirement in wanted()
        if requirement.name.lower() not in versions or versions[requirement.name.lower()] not in requirement.specifier
    ]
    assert missing == []


def test_every_file_is_checked_by_hash_and_comes_from_nowhere_in_particular() -> None:
    text = LOCK.read_text(encoding="utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    assert [entry for entry in entries if entry.strip() and "--hash=sha256:" not in entry] == []
    assert "://" not in text and "--index-url" not in text


def test_the_sdist_has_no_corpus(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="the builder is installed in CI alone")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as sdist:
        names = sdist.getnames()
    assert not [name for name in names if "corpus/" in name]
    assert [name for name in names if name.endswith("src/kiwoom_proto/__init__.py")]
