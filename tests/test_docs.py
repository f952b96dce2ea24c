"""What the documents show is true: their Python runs, their links lead somewhere, their diagrams are current."""

from __future__ import annotations

import asyncio
import itertools
import os
import pathlib
import re
import runpy
import socketserver
import subprocess
import threading
import tomllib
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import attrs
import pytest
from tests import environments

import kiwoom_asyncio
import kiwoom_proto
from kiwoom_proto.config import RestConfig
from kiwoom_proto.simulator import Exchange

ROOT = pathlib.Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
BLOCKS = [
    pytest.param(block, id=f"{path.name}-{index}")
    for path in DOCUMENTS
    if not path.name.startswith("README")
    for index, block in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL))
]


class EnoughSeen(Exception):
    """A block that goes on for ever has printed enough."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[kiwoom_proto.Endpoint]:
    """A simulated exchange on a loop in another thread, so that a block can block."""
    started: threading.Event = threading.Event()
    found: dict[str, Any] = {}

    async def main() -> None:
        async with kiwoom_asyncio.serve(Exchange(seed=1, rate=50)) as server:
            found.update(endpoint=server.endpoint, loop=asyncio.get_running_loop(), over=asyncio.Event())
            started.set()
            await found["over"].wait()

    thread = threading.Thread(target=asyncio.run, args=[main()])
    thread.start()
    assert started.wait(10)
    yield found["endpoint"]
    found["loop"].call_soon_threadsafe(found["over"].set)
    thread.join(10)


@pytest.mark.parametrize("block", BLOCKS)
def test_python_blocks_run_and_print(
    block: str, endpoint: kiwoom_proto.Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KIWOOM_TOKEN", "KIWOOM_APPKEY", "KIWOOM_SECRETKEY"):
        monkeypatch.setenv(name, name.lower())
    monkeypatch.setattr(kiwoom_proto, "PRODUCTION", endpoint)
    printed: list[str] = []

    def show(*values: object) -> None:
        printed.append(" ".join(map(str, values)))
        if len(printed) >= 8:
            raise EnoughSeen

    def bind_any(server: socketserver.TCPServer) -> None:
        server.server_address = ("127.0.0.1", 0)
        socketserver.TCPServer.server_bind(server)

    def visit(server: socketserver.TCPServer) -> None:
        """Serve a browser, which asks for an icon too, and reads until enough is seen."""

        def ask(path: str) -> Any:
            threading.Thread(target=server.handle_request, daemon=True).start()
            return urllib.request.urlopen("http://{}:{}/{}".format(*server.server_address, path))

        with server:
            with ask("favicon.ico") as page:
                page.read()
            assert not failed
            with ask("005930") as page:
                for line in page:
                    show(line.decode())

    failed: list[object] = []
    monkeypatch.setattr(ThreadingHTTPServer, "handle_error", lambda _, *request: failed.append(request))
    monkeypatch.setattr(ThreadingHTTPServer, "server_bind", bind_any)
    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", visit)
    try:
        exec(compile(block, "document", "exec"), {"__name__": "__main__", "print": show})
    except EnoughSeen:
        pass
    assert any("005930" in line for line in printed)


KINDS_OF_USER = {
    "async": ("programs.md", "## A stream"),
    "blocking": ("programs.md", "## Without async"),
    "notebook": ("programs.md", "## In a notebook"),
    "web": ("programs.md", "## A web page"),
    "several keys": ("pool.md", "# Several app keys"),
}


@pytest.mark.parametrize("kind", KINDS_OF_USER)
def test_each_kind_of_user_has_a_program_of_15_lines(kind: str) -> None:
    name, heading = KINDS_OF_USER[kind]
    section = f"\n{(ROOT / 'docs' / name).read_text(encoding='utf-8')}".partition(f"\n{heading}")[2]
    block = section.partition("```python\n")[2].partition("```")[0]
    assert block in [parameter.values[0] for parameter in BLOCKS], "it runs in the test above"
    assert len([line for line in block.splitlines() if line.strip()]) <= 15


READMES = ("README.md", "README.ko.md")
INSTALL = re.compile(r'pip install "[^"\n]*?(?:\[(\w+)\])?"$|```python\n(.*?)```', re.MULTILINE | re.DOTALL)


def programs(name: str) -> list[tuple[str, str]]:
    """Every program of a README, with the extra that the last install line above it names."""
    found, extra = [], None
    for line in INSTALL.finditer((ROOT / name).read_text(encoding="utf-8")):
        if line[2] is None:
            extra = line[1] or ""
        else:
            assert extra is not None, "a program without an install line above it"
            found.append((extra, line[2]))
    return found


@pytest.mark.parametrize("name", READMES)
def test_the_programs_need_what_they_say(name: str) -> None:
    assert [extra for extra, _ in programs(name)] == ["asyncio", "asyncio", "asyncio", ""]


RUN = """
import sys
import kiwoom_proto

kiwoom_proto.PRODUCTION = kiwoom_proto.Endpoint(sys.argv[1])
exec(compile(sys.stdin.read(), "README", "exec"), {"__name__": "__main__"})
"""


@pytest.mark.parametrize(
    "extra, program",
    [pytest.param(*program, id=f"{name}-{index}") for name in READMES for index, program in enumerate(programs(name))],
)
def test_a_program_of_a_readme_runs_with_what_was_installed(
    extra: str, program: str, endpoint: kiwoom_proto.Endpoint
) -> None:
    keys = {name: name.lower() for name in ("KIWOOM_TOKEN", "KIWOOM_APPKEY", "KIWOOM_SECRETKEY")}
    process = subprocess.Popen(
        [environments.python(extra), "-u", "-c", RUN, endpoint.url],
        env=os.environ | keys | {"PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(program)
        process.stdin.close()
        # Most programs go on for ever.
        lines = list(itertools.islice(process.stdout, 40))
        process.kill()
    watchdog.cancel()
    assert any("005930" in line for line in lines)


def test_both_readmes_show_the_same_commands() -> None:
    english, korean = (re.findall(r"^(make \w+|kiwoom-proto \w+|\.venv\S+ \S+)", text, re.M) for text in texts())
    assert english == korean


def texts() -> list[str]:
    return [(ROOT / name).read_text(encoding="utf-8") for name in READMES]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_are_there(path: pathlib.Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (path.parent / target).exists()]
    assert not missing


def test_make_targets_named_in_the_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for path in DOCUMENTS:
        for target in re.findall(r"(?:`|^)make (\w+)", path.read_text(encoding="utf-8"), re.M):
            assert re.search(rf"^{target}:", makefile, re.M), (path.name, target)


def test_the_diagrams_are_drawn_from_the_tables_as_they_are() -> None:
    diagrams = runpy.run_path(str(ROOT / "docs" / "diagrams.py"))
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert diagrams["updated"](text) == text


def test_every_setting_is_explained() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    missing = [field.name for field in attrs.fields(kiwoom_proto.ClientConfig) if f"`{field.name}" not in text]
    assert not missing


def test_every_setting_of_calls_is_explained() -> None:
    text = (ROOT / "docs" / "rest.md").read_text(encoding="utf-8")
    missing = [field.name for field in attrs.fields(RestConfig) if f"`{field.name}`" not in text]
    assert not missing


def test_the_tables_of_the_types_are_those_of_the_catalogue() -> None:
    realtime = runpy.run_path(str(ROOT / "docs" / "realtime.py"))
    text = (ROOT / "docs" / "realtime.md").read_text(encoding="utf-8")
    assert realtime["updated"](text) == text
    for name in ("Trade", "OrderBook", "UsConditionHit", "MarketPhaseCode"):
        assert f" {name}\n" in text


def test_the_changelog_begins_with_the_version_of_the_project() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)
    assert version is not None
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert headings[0] == version[1]


def test_the_oldest_dependencies_tried_are_the_oldest_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    allowed = {*project["dependencies"], *(name for extra, names in extras.items() if extra != "dev" for name in names)}
    tried = (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8").split()
    assert sorted(tried) == sorted(name.partition(",")[0].replace(">=", "==") for name in allowed)


def test_the_map_names_every_module_of_the_core() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9_]+)`", text[text.index("## Where each rule lives") :]))
    core = pathlib.Path(kiwoom_proto.__file__).parent
    paths = [path for path in core.rglob("*.py") if "simulator" not in path.parts and path.parent.name != "tr"]
    modules = {path.stem for path in paths} - {"__init__"}

    assert modules - named == set()


def test_the_map_names_no_module_that_is_gone() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    tables = text[text.index("## Where each rule lives") : text.index("## What may import what")]
    first_cells = re.findall(r"^\| (`[^|]*) \|", tables, re.MULTILINE)
    modules = {path.stem for path in pathlib.Path(kiwoom_proto.__file__).parent.rglob("*.py")}

    assert {name for cell in first_cells for name in re.findall(r"`([a-z0-9_]+)`", cell)} - modules == set()
