"""Public names: what `__all__` promises exists, is told once, and is documented."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import kiwoom_proto

SOURCE = Path(kiwoom_proto.__file__).parents[1]
MODULES = sorted(
    [
        kiwoom_proto.__name__,
        *(found.name for found in pkgutil.walk_packages(kiwoom_proto.__path__, f"{kiwoom_proto.__name__}.")),
    ]
)


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


def test_every_module_says_what_is_public() -> None:
    for name in MODULES:
        module = load(name)
        assert isinstance(module.__all__, tuple), name
        assert module.__all__ or hasattr(module, "__path__"), f"{name}: a package may have no names of its own"
        assert len(module.__all__) == len(set(module.__all__)), name
        assert [missing for missing in module.__all__ if not hasattr(module, missing)] == [], name


def test_no_public_name_looks_private() -> None:
    assert [f"{name}.{public}" for name in MODULES for public in load(name).__all__ if public.startswith("_")] == []


def test_every_module_and_every_public_class_and_function_has_a_docstring() -> None:
    undocumented = [
        f"{name}.{public}"
        for name in MODULES
        for public in load(name).__all__
        if (inspect.isclass(value := getattr(load(name), public)) or inspect.isfunction(value))
        and not (vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__)
    ]

    assert [name for name in MODULES if not load(name).__doc__] == []
    assert undocumented == []


def test_the_package_exports_exactly_what_it_imports() -> None:
    tree = ast.parse(Path(kiwoom_proto.__file__).read_text(encoding="utf-8"))
    imported = [
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]

    assert sorted(imported) == sorted(kiwoom_proto.__all__)


def test_the_package_has_about_thirty_names_beside_the_types() -> None:
    names = set(kiwoom_proto.__all__) - {cls.__name__ for cls in kiwoom_proto.REALTIME.values()}

    assert 25 <= len(names) <= 35


def test_what_other_modules_import_is_public_where_it_stands() -> None:
    """`__all__` is true: a module's names that others of this project's packages use are in it."""
    secret: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        package = path.relative_to(SOURCE).parent.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                continue
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*start, *((node.module,) if node.module else ())))
            if module in MODULES:
                public = {*load(module).__all__, *(name.rpartition(".")[2] for name in MODULES)}
                if missing := {alias.name for alias in node.names} - public:
                    secret.setdefault(module, set()).update(missing)

    assert secret == {}


def test_the_package_defines_nothing_itself() -> None:
    tree = ast.parse(Path(kiwoom_proto.__file__).read_text(encoding="utf-8"))
    docstring, *rest = tree.body

    assert isinstance(docstring, ast.Expr)
    assert all(isinstance(node, ast.ImportFrom | ast.Assign) for node in rest)
    assert [ast.unparse(node.targets[0]) for node in rest if isinstance(node, ast.Assign)] == ["__all__"]


def test_a_star_import_gives_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from kiwoom_proto import *", names)

    assert names.keys() - {"__builtins__"} == set(kiwoom_proto.__all__)
