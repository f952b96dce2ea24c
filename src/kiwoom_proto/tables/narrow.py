"""What a query names: only those views and columns need be made for it. A field that is not decoded costs nothing.

DuckDB parses the query itself. Wherever it may mean columns that it does not name (`*`, NATURAL, a whole row), or is no
SELECT, nothing is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from .bars import BAR_MACROS, macro_name
from .columns import Column

__all__ = ("EVERYTHING", "Named", "named_in")


@attrs.frozen
class Named:
    """The names in a query.

    Attributes:
        names: every name in it, in lower case; None: all there are.
        any_column: whether it may mean columns that it does not name.
    """

    names: frozenset[str] | None = None
    any_column: bool = True

    def has(self, name: str) -> bool:
        """Return whether a view or macro is named."""
        return self.names is None or name.lower() in self.names

    def columns(self, columns: Sequence[Column]) -> Sequence[Column]:
        """Return the columns that are needed; always one at least, since a view has to have some."""
        if self.names is None or self.any_column:
            return columns
        return [each for each in columns if each.name.lower() in self.names] or columns[:1]


EVERYTHING = Named()
"""What a query that is not known may name."""


def named_in(connection: Any, sql: str) -> Named:
    """Return the names in a query.

    Args:
        connection: a connection of DuckDB.
        sql: the query.
    """
    ((tree,),) = connection.execute("SELECT json_serialize_sql(CAST(? AS VARCHAR))", [sql]).fetchall()
    parsed = json.loads(tree)
    if parsed["error"]:  # no SELECT, or wrong: DuckDB says so when it is run
        return EVERYTHING
    nodes = [*_nodes(parsed)]
    names = {text.lower() for node in nodes for text in _texts(node)}
    for macro in BAR_MACROS:
        if macro_name(macro) in names:
            names.update(re.findall(r"\w+", macro.lower()))
    tables = {str(node.get(key, "")).lower() for node in nodes for key in ("table_name", "alias")}
    return Named(frozenset(names), any(map(_means_more, nodes)) or any(_is_row(node, tables) for node in nodes))


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    for child in children:
        yield from _nodes(child)


def _texts(node: dict[str, Any]) -> Iterator[str]:
    for value in node.values():
        yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))


def _means_more(node: dict[str, Any]) -> bool:
    """Return whether a part of a query may mean columns that it does not name."""
    return (
        "STAR" in (node.get("class"), node.get("type"))
        or node.get("type") in ("PIVOT", "SHOW_REF")
        or node.get("class") == "POSITIONAL_REFERENCE"
        or node.get("ref_type") == "NATURAL"
        or bool(node.get("column_name_alias"))
    )


def _is_row(node: dict[str, Any], tables: set[str]) -> bool:
    """Return whether a part of a query is a whole row: `SELECT trade FROM trade`."""
    names: list[str] = node.get("column_names", []) if node.get("class") == "COLUMN_REF" else []
    return names[-1:] != [] and names[-1].lower() in tables - {""}
