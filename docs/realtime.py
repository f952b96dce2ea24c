"""Writes the tables of docs/realtime.md from the catalogue: `python docs/realtime.py` brings them up to date.

A test fails when they are not.
"""

from __future__ import annotations

import enum
import pathlib
from collections.abc import Iterator
from typing import Any

from kiwoom_proto import REALTIME, Record
from kiwoom_proto.realtime import Code, codes
from kiwoom_proto.realtime.fields import Field

DOCUMENT = pathlib.Path(__file__).parent / "realtime.md"
BEGIN, END = "<!-- written by realtime.py -->", "<!-- end -->"


def catalogue() -> str:
    """Return every type with its fields, and every enumeration with its codes, as Markdown."""
    lines = ["| type | class | Korean | fields |", "|---|---|---|---|"]
    lines += [
        f"| `{type_code}` | [{cls.__name__}](#{anchor(type_code, cls)}) | {cls.label} | {len(cls.fields)} |"
        for type_code, cls in REALTIME.items()
    ]
    for type_code, cls in REALTIME.items():
        lines += section(type_code, cls)
    lines += ["", "## Codes", "", "The spellings in brackets are read as the same code."]
    for name in codes.__all__:
        value = getattr(codes, name)
        if isinstance(value, type) and value is not Code:
            lines += enumeration(value)
    return "\n".join(lines)


def section(type_code: str, cls: type[Record]) -> Iterator[str]:
    """Yield the lines of one type."""
    summary, *rest = paragraphs(cls)
    yield from ("", f"## {type_code} {cls.__name__}", "", f"{summary.removesuffix('.')} ({cls.label}).")
    for paragraph in rest:
        yield from ("", paragraph)
    yield from ("", "| FID | attribute | Korean | value | unit | codes |", "|---|---|---|---|---|---|")
    for name, field in cls.fields.items():
        yield f"| {field.fid} | `{name}` | {field.label} | {value_of(field)} | {field.unit} | {codes_of(field)} |"
    sequences = [
        (name, value) for name, value in vars(cls).items() if isinstance(value, property) and name not in cls.fields
    ]
    if sequences:
        yield from ("", "| sequence | what it is |", "|---|---|")
        yield from (f"| `{name}` | {value.__doc__} |" for name, value in sequences)


def enumeration(cls: type[enum.Enum]) -> Iterator[str]:
    """Yield the lines of one enumeration."""
    summary, *rest = paragraphs(cls)
    yield from ("", f"### {cls.__name__}", "", summary)
    for paragraph in rest:
        yield from ("", paragraph)
    yield from ("", "| code | member |", "|---|---|")
    for member in cls:
        value, *others = getattr(member, "spellings", (member.value,))
        yield f"| `{value}`{''.join(f' (`{other}`)' for other in others)} | `{member.name}` |"


def value_of(field: Field[Any]) -> str:
    """Return the kind of a field and the Python type of its values."""
    kind = field.kind
    name = kind.python_type.__name__
    if kind.python_type.__module__ == "datetime":
        name = f"datetime.{name}"
    return f"{kind.name}: `{name}`" + (", with direction" if kind.directional else "")


def codes_of(field: Field[Any]) -> str:
    """Return a link to the codes of a field, or nothing where it has none."""
    python_type = field.kind.python_type
    return f"[codes](#{python_type.__name__.lower()})" if issubclass(python_type, Code) else ""


def anchor(type_code: str, cls: type[Record]) -> str:
    """Return the anchor that Markdown viewers give the heading of a type."""
    return f"{type_code} {cls.__name__}".lower().replace(" ", "-")


def paragraphs(cls: type) -> list[str]:
    """Return the docstring's paragraphs without line breaks."""
    return [" ".join(paragraph.split()) for paragraph in (cls.__doc__ or "").strip().split("\n\n")]


def updated(text: str) -> str:
    """Return the document's text with the tables as the catalogue has them now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{catalogue()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(updated(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
