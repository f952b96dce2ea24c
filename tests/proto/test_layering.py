"""The core is pure and its modules depend on one another in one direction only.

Both are read from the source, so that an import inside a function counts as well. Imports for type checkers alone
(`if TYPE_CHECKING:`) count for the direction, and not for what is loaded: they do not run.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import kiwoom_proto

CORE = Path(kiwoom_proto.__file__).parent
PACKAGES = CORE.parent
ADAPTERS = ("kiwoom_trio", "kiwoom_asyncio")

# The lowest floor first: what is built on a floor stands above it. A name is a module, or a package with all its
# modules.
LAYERS: tuple[tuple[str, ...], ...] = (
    # what everything is made of
    ("display", "known", "secrets"),
    ("codes", "html", "request"),
    ("errors",),
    ("hours",),
    ("config", "headers", "symbol"),
    ("endpoint",),
    # rows, and what is reported
    ("realtime",),
    ("events",),
    # from bytes to messages
    ("wire",),
    # tokens
    ("auth",),
    # the conversation and its two ends; calls of the REST interface
    ("connection", "rest"),
    # what outlives them: in memory, and in files
    ("recording", "session", "token_folder"),
    # what is built on them
    ("client", "simulator", "tables", "testing"),
    # the public names
    ("__init__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

FORBIDDEN = {
    # event loops, and what waits or talks to the network
    *("asyncio", "trio", "anyio", "ssl", "socket", "selectors", "select", "threading", "subprocess", "concurrent"),
    # clocks, entropy, the outside world
    *("time", "random", "secrets", "uuid", "os", "logging"),
}
"""What the core must not import. `random` is for the simulator, which is seeded."""
ALLOWED = {
    ("auth", "os"),
    *((module, "ssl") for module in ("wire/tls", "client/wires", "client/pump", "client/rest_pump")),
    *(("recording/recorder", name) for name in ("os", "threading", "time")),
    ("recording/disk", "os"),
    ("recording/ahead", "threading"),
    ("token_folder", "os"),
    *(("client/tokens", name) for name in ("os", "threading")),
    *(("client/pacings", name) for name in ("os", "threading")),
    *(("tables/scan", name) for name in ("os", "concurrent")),
}
"""But `AppKey.from_env` reads the environment, when it is asked to; TLS is OpenSSL's, over memory buffers; a recorder
owns a thread that writes to a disk, a reader one that decompresses, and a query one for each processor. What a recorder
decides is in `recording/backlog` and `recording/writer`. Tokens are shared by all threads of a process, and through
files."""
DYNAMIC = {"rest/tr/__init__", "realtime/levels"}
"""What imports modules by names that are made at run time: `rest/tr` holds one generated module for each of 306 TRs, of
which a program uses few. It imports its own modules only. `realtime/levels` evaluates an expression, for speed, and
gives it nothing to import with."""
THIRD_PARTY = {
    "attrs",
    "h11",
    "msgspec",
    "platformdirs",
    "websockets",
    "zstandard",
    "duckdb",
    "pyarrow",
    "numba",
    "numpy",
}


@functools.cache
def modules(under: str = "") -> list[str]:
    """Every module of the core, or of a package of it, by its path without the suffix: "errors", "realtime/quotes"."""
    if under:
        return [module for module in modules() if module.startswith(f"{under}/")]
    return sorted(path.relative_to(CORE).with_suffix("").as_posix() for path in CORE.rglob("*.py"))


def layer_of(module: str) -> str:
    """The entry of `LAYERS` that a module belongs to: its own, or else that of its package."""
    while module not in RANK:
        module, found, _ = module.rpartition("/")
        if not found:
            return module
    return module


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def nodes(node: ast.AST, types: bool = False) -> Iterator[ast.AST]:
    """Yield everything below `node` that runs. With `types`, also what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child) and not types:
            assert isinstance(child, ast.If)
            for other in child.orelse:
                yield other
                yield from nodes(other)
            continue
        yield child
        yield from nodes(child, types)


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@functools.cache
def imported_names(path: Path, root: Path = PACKAGES, types: bool = False) -> set[str]:
    """Every dotted name that a file imports, relative ones made absolute."""
    package = path.relative_to(root).parent.parts
    found: set[str] = set()
    for node in nodes(tree_of(path), types):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*start, *((node.module,) if node.module else ())))
            # `from . import x` may name a module, and so may `from package import x`.
            found.update(f"{base}.{alias.name}" for alias in node.names)
            found.add(base)
    return found


@functools.cache
def core_modules_imported_by(module: str) -> set[str]:
    """The modules of the core that a module of the core imports."""
    known = set(modules())
    found: set[str] = set()
    for name in imported_names(CORE / f"{module}.py", types=True):
        if name.split(".")[0] != CORE.name:
            continue
        path = name.replace(".", "/").removeprefix(CORE.name).removeprefix("/")
        for candidate in (path, f"{path}/__init__" if path else "__init__"):
            if candidate in known:
                found.add(candidate)
    # `from .x import y` in a package does not import the package, though its name is the base of the import.
    return found - {module, *_own_packages(module)}


def _own_packages(module: str) -> set[str]:
    parts = module.split("/")[:-1]
    return {"/".join((*parts[:length], "__init__")) for length in range(len(parts) + 1)}


def test_every_module_has_its_place() -> None:
    assert {layer_of(module) for module in modules()} == RANK.keys()  # "" where one has none


def test_imports_point_down() -> None:
    """And none leads to another name of the same layer."""
    wrong = [
        f"{module} imports {other}"
        for module in modules()
        for other in core_modules_imported_by(module)
        if layer_of(other) != layer_of(module) and RANK[layer_of(other)] >= RANK[layer_of(module)]
    ]

    assert wrong == []


def test_an_import_that_runs_upwards_is_found(tmp_path: Path) -> None:
    """The test of the test: also inside a function, and for type checkers alone."""
    file = tmp_path / "kiwoom_proto/wire/new.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from ..session.session import Session\n"
        "def later() -> None:\n    from ..client.pump import BaseClient\n"
    )

    found = imported_names(file, tmp_path, types=True)

    assert {"kiwoom_proto.session.session", "kiwoom_proto.client.pump"} <= found
    assert "kiwoom_proto.session.session" not in imported_names(file, tmp_path)
    assert RANK["wire"] < RANK["session"] < RANK["client"]


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {module: core_modules_imported_by(module) for module in modules()}

    order = list(TopologicalSorter(graph).static_order())  # raises CycleError and names the circle

    assert sorted(order) == modules()


def test_the_real_time_types_import_nothing_for_type_checkers_alone() -> None:
    """So there is no hidden circle between them."""

    def imports(nodes: Iterable[ast.AST]) -> list[str]:
        return sorted(ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))

    assert modules("realtime")
    for module in modules("realtime"):
        tree = tree_of(CORE / f"{module}.py")
        assert imports(ast.walk(tree)) == imports(nodes(tree)), module


@pytest.mark.parametrize("rank", range(1, len(LAYERS) - 1))
def test_every_layer_needs_the_one_below_it(rank: int) -> None:
    """Else the two could be one: the table says no more than the imports do."""
    imported = {
        layer_of(other)
        for module in modules()
        if layer_of(module) in LAYERS[rank]
        for other in core_modules_imported_by(module)
    }

    assert imported & set(LAYERS[rank - 1])


def test_the_core_imports_nothing_that_waits_talks_or_tells_time() -> None:
    for module in modules():
        allowed = {"random"} if module.startswith("simulator/") else set()
        allowed |= {name for allowed_in, name in ALLOWED if allowed_in == module}
        roots = {name.split(".")[0] for name in imported_names(CORE / f"{module}.py")}
        assert roots & FORBIDDEN - allowed == set(), module


def test_the_core_depends_on_its_declared_packages_only() -> None:
    known = sys.stdlib_module_names | THIRD_PARTY | {CORE.name}
    # The parts of the websockets package that open connections.
    waiting = tuple(f"websockets.{part}" for part in ("asyncio", "sync", "legacy"))
    for module in modules():
        names = imported_names(CORE / f"{module}.py")
        assert {name.split(".")[0] for name in names} - known == set(), module
        assert not any(name.startswith(waiting) for name in names), module


def test_the_simulator_draws_from_seeded_generators_only() -> None:
    assert modules("simulator")
    for module in modules("simulator"):
        everything = list(nodes(tree_of(CORE / f"{module}.py")))
        used = {
            ast.unparse(node)
            for node in everything
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random"
        }
        unseeded = [
            ast.unparse(node)
            for node in everything
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "random.Random" and not node.args
        ]
        assert used <= {"random.Random"}, module
        assert unseeded == [], module
        assert not any(isinstance(node, ast.ImportFrom) and node.module == "random" for node in everything), module


@functools.cache
def called_by(module: str) -> set[str]:
    """Every function that a module calls, as it is written there."""
    return {ast.unparse(node.func) for node in nodes(tree_of(CORE / f"{module}.py")) if isinstance(node, ast.Call)}


def test_the_core_reads_no_file_and_prints_nothing() -> None:
    forbidden = {"open", "print", "input", "breakpoint"}
    for module in modules():
        assert called_by(module) & forbidden == set(), module


def test_the_core_imports_by_name_only_what_this_file_can_see() -> None:
    """Else the directions of imports would be proven of a part of them only."""
    importers = {"__import__", "import_module", "importlib.import_module", "exec", "eval"}
    found = {module for module in modules() if called_by(module) & importers}

    assert found == DYNAMIC


def test_the_core_reads_no_clock_of_the_datetime_module() -> None:
    for module in modules():
        names = [name for name in called_by(module) if name.startswith("date")]
        assert not any(name.endswith((".now", ".utcnow", ".today")) for name in names), module


def test_the_core_knows_no_adapter() -> None:
    for module in modules():
        assert not any(name.startswith(ADAPTERS) for name in imported_names(CORE / f"{module}.py"))


@pytest.mark.parametrize(("adapter", "other"), [ADAPTERS, ADAPTERS[::-1]])
def test_the_adapters_never_import_each_other(adapter: str, other: str) -> None:
    paths = sorted((PACKAGES / adapter).rglob("*.py"))

    assert paths
    for path in paths:
        assert not any(name.split(".")[0] == other for name in imported_names(path)), path.name


def test_importing_the_core_loads_no_event_loop() -> None:
    program = "import sys; before = set(sys.modules); import kiwoom_proto; print(*sorted(set(sys.modules) - before))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)

    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "kiwoom_proto" in loaded
    assert loaded & {"asyncio", "trio", "anyio", "ssl", "_ssl", "h11"} == set()
    assert loaded & set(ADAPTERS) == set()


def test_what_is_due_is_told_without_reading_the_clock() -> None:
    # A second reading would forget what became due since the first. (A replay that is over is due at once.)
    for path in CORE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "next_timeout" and path.name != "replayed.py":
                names = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
                assert "_clock" not in names and [each.arg for each in node.args.args] == ["self"], path


@pytest.mark.parametrize("package", [CORE.name, *ADAPTERS])
def test_no_file_has_more_than_500_lines(package: str) -> None:
    lengths = {
        path.relative_to(PACKAGES).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in (PACKAGES / package).rglob("*.py")
    }

    assert {path: length for path, length in lengths.items() if length > 500} == {}
