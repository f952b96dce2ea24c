"""The catalogue of TRs: `api-id` -> class of its request. A class is imported when it is first asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from ..display import quoted
from . import tr
from .request import Request

__all__ = ("CATALOGUE", "UnknownTr", "nearest")

MAX_NAME = 60
"""Maximum characters of a name that others are compared with."""
SIMILAR = 0.75
"""How like a name another one must be to be suggested, by difflib."""


class UnknownTr(KeyError):
    """There is no TR of this name. `args[0]` says which was meant."""

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError shows its argument quoted


def nearest(name: str) -> str:
    """Return the end of an error message: the TRs with ids or names like this; "" if there are none."""
    suffix = next((each for each in ("Reply", "Row") if name.endswith(each)), "")
    names = [*tr.CLASSES, *(f"{each}{suffix}" for each in tr.CLASSES.values())]
    known = {each.lower(): each for each in names}
    text = name.lower()
    if len(text) > MAX_NAME:
        return ""
    scored = sorted((-difflib.SequenceMatcher(None, text, each).ratio(), each) for each in known)
    close = [text] if text in known else [each for score, each in scored[:3] if -score >= SIMILAR]
    return f"; did you mean {' or '.join(known[each] for each in close)}?" if close else ""


class _Catalogue(Mapping[str, type[Request[Any]]]):
    def __getitem__(self, api_id: str) -> type[Request[Any]]:
        name = tr.CLASSES.get(api_id)
        if name is None:
            hint = nearest(api_id) if isinstance(api_id, str) else ""
            raise UnknownTr(f"no TR {quoted(api_id)}{hint or '; `kiwoom-proto call --describe` lists them'}")
        found: type[Request[Any]] = getattr(tr, name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(tr.CLASSES)

    def __len__(self) -> int:
        return len(tr.CLASSES)

    def __contains__(self, api_id: object) -> bool:
        return api_id in tr.CLASSES

    def __repr__(self) -> str:
        return f"<catalogue of {len(self)} TRs>"


CATALOGUE: Mapping[str, type[Request[Any]]] = _Catalogue()
"""Every TR of the REST API by its api-id, "ka10004"."""
