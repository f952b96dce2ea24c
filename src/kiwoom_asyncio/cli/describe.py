"""What `kiwoom-proto call --describe` shows: the TRs, and what one of them takes and returns."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kiwoom_proto.display import quoted
from kiwoom_proto.rest.catalogue import CATALOGUE, nearest
from kiwoom_proto.rest.elements import Element
from kiwoom_proto.rest.request import Request

__all__ = ("describe", "list_trs")

PRINTED_WIDTH = 200  # columns, if the output is not a terminal
SAFETY = {
    "read": "reads",
    "account_read": "reads the account",
    "order_write": "places, amends or cancels an order",
    "auth_write": "issues or revokes a token",
}
MOCK = {True: "yes", False: "no", None: "not known"}


def list_trs(words: Sequence[str]) -> None:
    """Print the TRs that have all of these words in their id, name, group or summary; without words, all.

    Raises:
        click.BadParameter: there are none.
    """
    wanted = [word.lower() for text in words for word in text.split()]
    found = [cls for cls in CATALOGUE.values() if all(word in _text_of(cls) for word in wanted)]
    if not found:
        hint = nearest(" ".join(words))
        raise click.BadParameter(
            f"no TR has {quoted(' '.join(words))} in its id, name or summary{hint}", param_hint="TR"
        )
    console = _console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("TR", "name", "Korean", "group", "what it does"):
        table.add_column(column, no_wrap=column in ("TR", "name"), overflow="fold")
    for cls in found:
        style = "yellow" if cls.safety == "order_write" else ""
        table.add_row(
            Text(cls.api_id, "bold"), Text(cls.__name__, "cyan"), cls.label, cls.group, summary(cls), style=style
        )
    console.print(table)
    console.print(Text(f"\n{len(found)} of {len(CATALOGUE)} TRs. kiwoom-proto call --describe TR shows one.", "dim"))


def describe(cls: type[Request[Any]]) -> None:
    """Print what a TR takes and returns."""
    console = _console()
    console.print(Text.assemble((cls.api_id, "bold"), f"  {cls.label}  ", (cls.__name__, "cyan")))
    console.print(Text(f"{summary(cls)}. {cls.group}, POST {cls.path}; it {SAFETY[cls.safety]}.", "dim"))
    facts = [f"In mock trading: {MOCK[cls.mock]}.", "A reply may be one page of several." if cls.pages else ""]
    console.print(Text(" ".join(filter(None, facts)), "dim"))
    for paragraph in _facts(cls):
        console.print(Text(paragraph, "dim"))
    console.print(Text("\nRequest", "bold"))
    if cls.elements:
        table = _table("element", "Korean", "required", "length", "what it is")
        for name, each in cls.elements.items():
            required = "yes" if each.is_required else "no"
            what = _joined(each.format, each.unit, each.note, _codes(each.codes))
            table.add_row(Text(name, "bold"), each.label, required, str(each.length or ""), what)
        console.print(table)
    else:
        console.print("no elements", style="dim")
    reply = cls.reply_type
    console.print(Text.assemble(("\nReply", "bold"), ("  exact texts: reply.element(name)", "dim")))
    _print_elements(console, reply.elements)
    if reply.row_type is not None:
        console.print(Text.assemble(("\nRows", "bold"), (f"  reply.rows, on the wire {reply.list_element}", "dim")))
        _print_elements(console, reply.row_type.elements)


def summary(cls: type[Request[Any]]) -> str:
    """Return what a TR does, in English."""
    first = (inspect.getdoc(cls) or "").partition("\n")[0]
    return first.removesuffix(".").removesuffix(f" ({cls.label})")


def _text_of(cls: type[Request[Any]]) -> str:
    """Return what words are looked for in. The name of the class also as words: "stock quote"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", cls.__name__)
    return " ".join((cls.api_id, cls.__name__, spaced, cls.label, cls.group, cls.market, summary(cls))).lower()


def _facts(cls: type[Request[Any]]) -> list[str]:
    """Return the paragraphs of the docstring that say what was measured."""
    paragraphs = (inspect.getdoc(cls) or "").split("\n\n")
    return [" ".join(each.split()) for each in paragraphs if each.startswith(("[", "Doubtful"))]


def _print_elements(console: Console, elements: Mapping[str, Element[Any]]) -> None:
    if not elements:
        console.print("no elements", style="dim")
        return
    table = _table("element", "Korean", "kind", "value", "what it is")
    for name, each in elements.items():
        value = each.kind.python_type.__name__ + (" and direction" if each.kind.directional else "")
        what = _joined(each.unit, each.note, _codes(each.codes))
        shown = name if each.attribute == name else f"{name} (.{each.attribute})"
        table.add_row(Text(shown, "bold"), each.label, each.kind.name, value, what)
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("element", "kind", "value"))
    return table


def _codes(codes: Mapping[str, str]) -> str:
    return ", ".join(f"{code} {meaning}".strip() for code, meaning in codes.items())


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=PRINTED_WIDTH)
