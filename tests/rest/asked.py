"""Requests of the tests: small, and independent of the catalogue."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import msgspec

from kiwoom_proto.errors import RemoteProtocolError
from kiwoom_proto.wire.members import read_members

__all__ = ("Buy", "Chart", "Deposit", "Quote", "Reply")


@attrs.frozen
class Reply:
    members: dict[str, Any]

    @property
    def rows(self) -> list[Any]:
        rows: list[Any] = self.members.get("rows", [{}])
        return rows


@attrs.frozen
class Quote:
    """A query."""

    api_id: ClassVar[str] = "ka10004"
    path: ClassVar[str] = "/api/dostk/mrkcond"
    safety: ClassVar[str] = "read"
    stk_cd: str = "005930"

    def to_json(self) -> bytes:
        return msgspec.json.encode(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        return attrs.asdict(self)

    def decode(self, body: bytes) -> Reply:
        members = read_members(body)
        if members is None:
            raise RemoteProtocolError("not an object")
        return Reply(members)


class Chart(Quote):
    """Another query."""

    api_id: ClassVar[str] = "ka10081"
    path: ClassVar[str] = "/api/dostk/chart"


class Deposit(Quote):
    """A query of an account."""

    api_id: ClassVar[str] = "kt00001"
    path: ClassVar[str] = "/api/dostk/acnt"
    safety: ClassVar[str] = "account_read"


@attrs.frozen
class Buy(Quote):
    """An order."""

    api_id: ClassVar[str] = "kt10000"
    path: ClassVar[str] = "/api/dostk/ordr"
    safety: ClassVar[str] = "order_write"
    dmst_stex_tp: str = "KRX"
    ord_qty: str = "10"
    ord_uv: str = "70000"
    trde_tp: str = "0"
