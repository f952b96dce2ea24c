"""What `kiwoom-proto record` is told to record: types, and items from arguments and files."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from typing import IO

import attrs
import click

from kiwoom_proto import REALTIME, ClientConfig, Endpoint, LocalProtocolError, Record, Session
from kiwoom_proto.realtime.catalogue import type_code_of
from kiwoom_proto.realtime.spelling import check_item, check_type
from kiwoom_proto.realtime.traits import Scope

from .arguments import undeclared

__all__ = ("Wanted", "read_items", "wanted")

_FIRST_WORD = re.compile(r"[^\s,;#]+").match


@attrs.frozen
class Wanted:
    """What to subscribe to.

    Attributes:
        registrations: each type with its items; no items for a type of the whole account or market.
        types: record classes in addition to the catalogue.
    """

    registrations: tuple[tuple[str, tuple[str, ...]], ...]
    types: tuple[type[Record], ...]


def read_items(file: IO[bytes]) -> list[str]:
    """Return the items that a file names: the first word of each line. What follows it, as a name, is ignored, and so
    are empty lines and those that begin with "#".

    Raises:
        click.BadParameter: a line is not UTF-8.
    """
    items = []
    for number, line in enumerate(file, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise click.BadParameter(f"line {number} of {file.name} is not UTF-8", param_hint="--items") from None
        found = _FIRST_WORD(text.strip())
        if found:
            items.append(found[0])
    return items


def wanted(endpoint: Endpoint, config: ClientConfig, codes: Sequence[str], items: Iterable[str]) -> Wanted:
    """Return what to subscribe to: each item for every type that takes items of its form.

    Args:
        endpoint: where to subscribe.
        config: limits.
        codes: type codes.
        items: items of all types.

    Raises:
        LocalProtocolError: a type or an item is misspelt, a type lacks items, or there are more items than one
            connection may have.
    """
    declared = [cls for code in codes for cls in undeclared(code, endpoint)]
    types = {**REALTIME, **{type_code_of(cls): cls for cls in declared}}
    items_of: dict[str, list[str]] = {check_type(endpoint, types, code): [] for code in codes}
    takers = [code for code in items_of if types[code].scope is Scope.ITEM]
    for item in dict.fromkeys(items):
        problems = []
        for code in takers:
            try:
                check_item(endpoint, types, code, item)
            except LocalProtocolError as problem:
                problems.append(problem)
            else:
                items_of[code].append(item)
        if problems and len(problems) == len(takers):
            raise problems[0]
        if not takers:
            raise LocalProtocolError(f"item {item!r}: no type is named that takes items")
    registrations = tuple((code, tuple(found)) for code, found in items_of.items())
    session = Session(endpoint, config, clock=time.monotonic, random=float, types=declared)  # only checks
    for code, found in registrations:
        session.subscribe(code, *found)
    return Wanted(registrations, tuple(declared))
