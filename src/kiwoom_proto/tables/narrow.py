"""What a query names: only those views need be made for it.

DuckDB parses the query itself. If it is no SELECT, or asks what views there are, nothing is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .bars import BAR_MACROS, macro_name

__all__ = ("names_in",)


def names_in(connection: Any, sql: str) -> frozenset[str] | None:
    """Return every name in a query, in lower case; None if it may mean any.

    Args:
        connection: a connection of DuckDB.
        sql: the query.
    """
    ((tree,),) = connection.execute("SELECT json_serialize_sql(CAST(? AS VARCHAR))", [sql]).fetchall()
    parsed = json.loads(tree)
    if parsed["error"]:  # no SELECT, or wrong: DuckDB says so when it is run
        return None
    nodes = [*_nodes(parsed)]
    if any(node.get("type") == "SHOW_REF" for node in nodes):
        return None
    names = {text.lower() for node in nodes for text in _texts(node)}
    for macro in BAR_MACROS:
        if macro_name(macro) in names:
            names.update(re.findall(r"\w+", macro.lower()))
    return frozenset(names)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    for child in children:
        yield from _nodes(child)


def _texts(node: dict[str, Any]) -> Iterator[str]:
    for value in node.values():
        yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))
