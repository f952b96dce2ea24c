"""The catalogue of TRs: `api-id` -> class of its request. A class is imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import tr
from .request import Request

__all__ = ("CATALOGUE",)


class _Catalogue(Mapping[str, type[Request[Any]]]):
    def __getitem__(self, api_id: str) -> type[Request[Any]]:
        found: type[Request[Any]] = getattr(tr, tr.CLASSES[api_id])
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
