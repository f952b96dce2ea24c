"""A type that is declared outside the package, over a socket and in the command: one class is all that it takes."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from tests.adapters.independent import IndependentServer, Session
from tests.adapters.kit import ITEM, Loop, until

from kiwoom_asyncio.cli.table import table_of_types
from kiwoom_asyncio.cli.view import EventView, TableView, view_of
from kiwoom_proto import REALTIME, AfterHoursQuote, ClientConfig, Endpoint, Record
from kiwoom_proto.realtime import Scope, fields
from kiwoom_proto.realtime.fields import Field


class MarginCall(Record, tag="ZA"):
    """The account has to deposit money."""

    label = "증거금추가납부"
    scope = Scope.ACCOUNT

    amount_due = Field("932", fields.amount, "추가납부금액", unit="KRW")


TYPES: dict[str, type[Record]] = {**REALTIME, "ZA": MarginCall}


def printed(renderable: Any) -> str:
    out = io.StringIO()
    Console(file=out, width=160, height=60).print(renderable)
    return out.getvalue()


async def test_a_new_account_type_is_never_dropped_and_is_restored_first(loop: Loop) -> None:
    registered: list[list[str]] = []

    async def script(session: Session) -> None:
        await session.login()
        for _ in range(2):
            request = await session.acknowledge()
            registered.extend(element["type"] for element in request["data"])
        if len(registered) == 2:
            row = {"values": {"932": "70000"}, "type": "ZA", "name": "", "item": ITEM}
            await session.send({"data": [row], "trnm": "REAL"})
            for number in range(500):
                await session.rows(number)
        else:
            await session.until_closed()

    config = ClientConfig(request_interval=0, buffer_size=10, overflow="drop_oldest", backoff_min=0.01)
    with IndependentServer(script) as server:
        async with loop.connect(Endpoint(server.url), config=config, types=[MarginCall]) as client:
            await client.subscribe(AfterHoursQuote, ITEM, group="1")
            await client.subscribe(MarginCall, group="2")
            await until(lambda: len(registered) == 4)  # while nothing is read
            assert client.stats().dropped > 0
            async for event in client:
                if isinstance(event, MarginCall):
                    assert event.amount_due == 70000
                    break
    assert registered == [["0E"], ["ZA"], ["ZA"], ["0E"]]


def test_the_command_lists_it() -> None:
    assert "ZA" not in printed(table_of_types(REALTIME))
    [line] = [line for line in printed(table_of_types(TYPES)).splitlines() if line.startswith("ZA")]
    assert line.split(maxsplit=3)[1:3] == ["MarginCall", "증거금추가납부"]
    assert line.rstrip().endswith("The account has to deposit money.")


def test_the_view_shows_it_event_by_event() -> None:
    view = view_of("ZA", "a test", types=TYPES)
    for amount in (70000, 1234):
        view.add(MarginCall("ZA", ITEM, values=b'{"932":"%d"}' % amount))
    shown = printed(view.render(1.0))
    assert isinstance(view, EventView)
    assert "증거금추가납부" in shown and "MarginCall" in shown
    assert shown.index("1,234") < shown.index("70,000")


def test_a_type_is_shown_by_what_its_rows_are_about() -> None:
    shown = {code: type(view_of(code, "a test")) for code in REALTIME}
    events = {code for code, view in shown.items() if view is EventView}
    assert events == {"00", "02", "0s", "1h", "F4", "F5", "S2"}
    assert {shown[code] for code in ("04", "0A", "0E", "0F")} == {TableView}
