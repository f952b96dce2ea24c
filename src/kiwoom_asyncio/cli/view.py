"""The live views of `kiwoom-proto`: a ladder, a tape or a table, depending on the type."""

from __future__ import annotations

import datetime
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import structs
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.styled import Styled
from rich.table import Table
from rich.text import Text

from kiwoom_proto import REALTIME, Balance, OrderBook, Record, Trade, UsOrderBook, UsTrade
from kiwoom_proto.display import MESSAGE_LIMIT, displayed
from kiwoom_proto.errors import FieldError
from kiwoom_proto.realtime.catalogue import Types
from kiwoom_proto.realtime.codes import Code
from kiwoom_proto.realtime.fields import Direction
from kiwoom_proto.realtime.traits import Scope
from kiwoom_proto.secrets import PERSONAL_FIDS, mask_opaque, redact
from kiwoom_proto.session.lifecycle import SessionState, SubscriptionState

from ..client import Client

__all__ = (
    "EventView",
    "LadderView",
    "TableView",
    "TapeView",
    "View",
    "plural",
    "shown",
    "standing_of",
    "summary_of",
    "view_of",
)

MAX_COLUMNS = 8
ITEM_WIDTH, COLUMN_WIDTH = 24, 11  # approximate widths of the first column and of the others
MAX_ROWS = 40
MAX_LADDERS = 3
LEVELS = 10  # of each side of an order book
MAX_ITEMS = 512  # more than a connection can subscribe to
MAX_ROW_LENGTH = 16_384  # bytes of a row that is kept; a row with 163 FIDs has 2 kB
MAX_NAMED = 3
FRAME_HEIGHT = 9  # title, counts, headings, legend, blank lines
LADDER_WIDTH, TAPE_WIDTH, WIDE_TAPE_WIDTH = 56, 84, 108
SIGNED_KINDS = ("change", "signed quantity", "signed amount", "trade quantity")
TAPE_LENGTH = 20
UP, DOWN = "red", "blue"  # as on Korean screens: red is up or bought, blue is down or sold
COLUMNS = {
    "00": ("time", "stock_name", "order_status", "side", "order_quantity", "unfilled_quantity", "execution_price"),
    "04": ("stock_name", "price", "holding_quantity", "purchase_price", "orderable_quantity", "profit_rate"),
    "0F": ("seller_name_1", "seller_quantity_1", "seller_name_2", "buyer_name_1", "buyer_quantity_1", "buyer_name_2"),
    "0w": ("time", "price", "buy_quantity", "sell_quantity", "net_buy_quantity", "net_buy_amount"),
    "0G": ("time", "price", "change", "nav", "nav_change", "tracking_error_rate", "nav_etf_deviation_rate", "volume"),
    "1h": ("stock_name", "vi_kind", "trigger_price", "trigger_time", "release_time", "trigger_price_change_rate"),
    "F4": ("time", "stock_name", "order_status", "side", "order_quantity", "order_price"),
    "F5": ("time", "stock_name", "order_status", "side", "order_quantity", "unfilled_quantity", "execution_price"),
}
"""The columns of types whose first fields are not the most useful ones."""
STYLE_OF = {Direction.UP: UP, Direction.DOWN: DOWN, Direction.UNCHANGED: "", None: ""}


class View:
    """Base class of the views. It keeps the newest row of each item, and draws the title with the counts.

    Args:
        type_code: the type shown.
        source: where the rows come from, for the title.
        labels: item -> a name to show beside it.
        types: type code -> the class of its rows.
    """

    _shows_items = True  # shows each item, not only the latest rows

    def __init__(
        self, type_code: str, source: str, labels: Mapping[str, str] | None = None, types: Types = REALTIME
    ) -> None:
        self.type_code = type_code
        self._cls = types.get(type_code)
        self.rows = 0
        self._source = source
        self._labels = {} if labels is None else dict(labels)
        self._console = Console()
        self._newest: dict[str, Record] = {}
        self._counts: dict[str, int] = {}
        self._left_out = 0
        self._asked: frozenset[str] = frozenset()  # subscribed items; filled once there are too many items
        self._client: Client | None = None

    def watch(self, client: Client) -> None:
        """Show the state of this client's subscriptions."""
        self._client = client

    def add(self, record: Record) -> None:
        """Show a row.

        The memory used does not grow with what a server sends. A row that is too long is only counted. So is a row of
        an item that was not subscribed to, once there are too many items.
        """
        self.rows += 1
        if len(record.values) + len(record.item) + len(record.name) > MAX_ROW_LENGTH:
            self._left_out += 1
            return
        if record.extra is not None:
            record = structs.replace(record, extra=None)
        item = record.item or str(record.symbol or "")
        if item in self._newest or self._has_room_for(item):
            self._newest[item] = record
            self._counts[item] = self._counts.get(item, 0) + 1
        elif self._shows_items:
            self._left_out += 1
        self._take(item, record)

    def _take(self, item: str, record: Record) -> None:
        """Keep what a subclass shows of a row besides the newest of each item."""

    def _has_room_for(self, item: str) -> bool:
        """Whether one more item can be kept. A subscribed item replaces one that is not."""
        if len(self._newest) < MAX_ITEMS:
            return True
        if not self._asked and self._client is not None:
            self._asked = frozenset(each.item.partition(":")[0] for each in self._client.subscriptions)
        other = next((each for each in self._newest if each not in self._asked), None)
        if item not in self._asked or other is None:
            return False
        del self._newest[other], self._counts[other]
        return True

    @property
    def _width(self) -> int:
        return self._console.width

    @property
    def _height(self) -> int:
        """Number of lines available for the body."""
        return self._console.height - FRAME_HEIGHT if self._console.is_terminal else MAX_ROWS

    def render(self, seconds: float) -> RenderableType:
        """Return the current view, `seconds` after the start."""
        cls = self._cls
        rate = self.rows / seconds if seconds > 0 else 0.0
        title = Text.assemble(
            (self.type_code, "bold"),
            f" {cls.label}".rstrip() if cls else "",
            (f" {cls.__name__}" if cls else "", "cyan"),
            (f" · {displayed(self._source)}", "dim"),
        )
        status = Text(f"{plural(self.rows, 'row')} · {rate:.1f} a second · {seconds:.0f} s", style="dim")
        if self._left_out:
            status.append(f" · {plural(self._left_out, 'row')} left out")
        away = None
        if self._client is not None:
            status.append(f" · {displayed(standing_of(self._client))}")
            away = self._client.disconnected
        body = self._body() if self._newest else Text("waiting for rows …", style="dim")
        if away is None:
            return Group(title, status, Text(), body)
        return Group(title, status, Text(displayed(str(away), MESSAGE_LIMIT), style="bold yellow"), Styled(body, "dim"))

    def _body(self) -> RenderableType:
        raise NotImplementedError

    def _name(self, item: str) -> Text:
        return Text.assemble(
            displayed(redact(item)) or "-", (f" {self._labels[item]}" if item in self._labels else "", "dim")
        )


class TableView(View):
    """A table: the newest row of each item, one line each."""

    def __init__(
        self, type_code: str, source: str, labels: Mapping[str, str] | None = None, types: Types = REALTIME
    ) -> None:
        super().__init__(type_code, source, labels, types)
        self._unknown_fids: tuple[str, ...] = ()

    def _take(self, item: str, record: Record) -> None:
        if self._cls is None and not self._unknown_fids:
            self._unknown_fids = tuple(fid for fid in record.fids() if fid not in PERSONAL_FIDS)[:MAX_COLUMNS]

    def _body(self) -> RenderableType:
        cls = self._cls
        most = min(MAX_COLUMNS, max(2, (self._width - ITEM_WIDTH) // COLUMN_WIDTH))
        names = (COLUMNS.get(self.type_code) or tuple(cls.fields if cls else ()))[:most]
        fields = [cls.fields[name] for name in names] if cls else []
        table = _table()
        table.add_column("item", no_wrap=True)
        for field in fields:
            table.add_column(field.name.replace("_", " "), justify="right", overflow="fold")
        for fid in self._unknown_fids:
            table.add_column(shown(f"FID {fid}"), justify="right")
        table.add_column("rows", justify="right", style="dim")
        lines = self._lines()
        height = max(3, min(MAX_ROWS, self._height))
        for item, record in lines[:height]:
            cells = [_cell(record, field.name) for field in fields]
            cells += [shown(record.fid(fid) or "") for fid in self._unknown_fids]
            table.add_row(self._name(item), *cells, f"{self._counts.get(item, 0):,}")
        if len(lines) > height:
            table.add_row(f"… {len(lines) - height} more")
        legend = " · ".join(f"{field.name} {field.label}" for field in fields)
        if cls and len(cls.fields) > len(fields):
            legend += f" · {plural(len(cls.fields) - len(fields), 'more field')} with --json"
        return Group(table, Text(), Text(legend, style="dim"))

    def _lines(self) -> list[tuple[str, Record]]:
        """Return the rows to show, one line each."""
        return list(self._newest.items())


class EventView(TableView):
    """A table of events, newest first: orders, condition hits, halts, market phases."""

    _shows_items = False

    def __init__(
        self, type_code: str, source: str, labels: Mapping[str, str] | None = None, types: Types = REALTIME
    ) -> None:
        super().__init__(type_code, source, labels, types)
        self._events: deque[tuple[str, Record]] = deque(maxlen=MAX_ROWS)

    def _take(self, item: str, record: Record) -> None:
        super()._take(item, record)
        self._events.appendleft((item, record))

    def _lines(self) -> list[tuple[str, Record]]:
        return list(self._events)


class LadderView(View):
    """Order books: one ladder per item, with asks above bids and ten levels on each side."""

    def _body(self) -> RenderableType:
        items = list(self._newest)[: max(1, min(MAX_LADDERS, self._width // LADDER_WIDTH))]
        ladders: list[RenderableType] = [self._ladder(item, self._newest[item]) for item in items]
        more = len(self._newest) - len(items)
        rest = [Text(f"… {plural(more, 'more order book')}", style="dim")] if more else []
        return Group(Columns(ladders, padding=(0, 4)), *rest)

    def _ladder(self, item: str, record: Record) -> RenderableType:
        table = _table()
        for name in ("change", "ask"):
            table.add_column(name, justify="right", no_wrap=True, min_width=7)
        table.add_column("price", justify="center", no_wrap=True, min_width=9)
        for name in ("bid", "change"):
            table.add_column(name, justify="left", no_wrap=True, min_width=7)
        depth = max(1, min(LEVELS, (self._height - 3) // 2))
        for number in range(depth, 0, -1):
            cells = [_cell(record, f"ask_{what}_{number}") for what in ("quantity_change", "quantity")]
            table.add_row(*cells, _price(record, f"ask_price_{number}"), "", "")
        for number in range(1, depth + 1):
            cells = [_cell(record, f"bid_{what}_{number}") for what in ("quantity", "quantity_change")]
            table.add_row("", "", _price(record, f"bid_price_{number}"), *cells)
        table.add_section()
        table.add_row(
            _cell(record, "total_ask_quantity_change"),
            _cell(record, "total_ask_quantity"),
            Text("total", style="dim"),
            _cell(record, "total_bid_quantity"),
            _cell(record, "total_bid_quantity_change"),
        )
        head = Text.assemble(self._name(item), "  ", _cell(record, "time"), (f"  {self._counts[item]:,}", "dim"))
        return Group(head, table)


class TapeView(View):
    """Trades: newest first, coloured by the aggressor's side."""

    _shows_items = False

    def __init__(
        self, type_code: str, source: str, labels: Mapping[str, str] | None = None, types: Types = REALTIME
    ) -> None:
        super().__init__(type_code, source, labels, types)
        self._tape: deque[Record] = deque(maxlen=TAPE_LENGTH)

    def _take(self, item: str, record: Record) -> None:
        self._tape.appendleft(record)

    def _body(self) -> RenderableType:
        table = _table()
        table.add_column("time", no_wrap=True)
        table.add_column("item", no_wrap=True)
        names = ["price", "change", "change_rate", "quantity"]
        names += ["volume"] * (self._width >= TAPE_WIDTH) + ["best_ask", "best_bid"] * (self._width >= WIDE_TAPE_WIDTH)
        for name in names:
            heading = "%" if name == "change_rate" else name.replace("_", " ")
            table.add_column(heading, justify="right", no_wrap=True)
        for record in list(self._tape)[: max(3, self._height)]:
            cells = [_side(record) if name == "quantity" else _cell(record, name) for name in names]
            table.add_row(_cell(record, "time"), self._name(record.item), *cells)
        legend = Text.assemble(("quantity: ", "dim"), ("bought 매수", UP), " · ", ("sold 매도", DOWN))
        return Group(table, Text(), legend)


VIEW_OF: Mapping[type[Record], type[View]] = {
    OrderBook: LadderView,
    UsOrderBook: LadderView,
    Trade: TapeView,
    UsTrade: TapeView,
    Balance: TableView,  # each row replaces the one before it
}
"""The types that have their own view."""


def view_of(type_code: str, source: str, labels: Mapping[str, str] | None = None, types: Types = REALTIME) -> View:
    """Return the view for a type. Account-wide and market-wide types are shown event by event.

    Args:
        type_code: the type shown.
        source: where the rows come from, for the title.
        labels: item -> a name to show beside it.
        types: type code -> the class of its rows.
    """
    cls = types.get(type_code, Record)
    of_scope = TableView if cls.scope is Scope.ITEM else EventView
    view = next((view for shown, view in VIEW_OF.items() if issubclass(cls, shown)), of_scope)
    return view(type_code, source, labels, types)


def summary_of(cls: type[Record]) -> str:
    """Return an English summary of a type: the first line of its class's docstring."""
    return (cls.__doc__ or "").partition("\n")[0]


def standing_of(client: Client) -> str:
    """Return the state of a client's subscriptions, such as "2 receiving, 1 confirmed (0E 000660)"."""
    items_of: dict[SubscriptionState, list[str]] = {}
    for subscription in client.subscriptions:
        items_of.setdefault(subscription.state, []).append(f"{subscription.type} {subscription.item}".rstrip())
    parts = [] if client.state is SessionState.READY else [client.state.value]
    for state in (state for state in SubscriptionState if state in items_of):
        items = items_of[state]
        named = state is not SubscriptionState.RECEIVING and len(items) <= MAX_NAMED
        parts.append(f"{len(items)} {state.value}" + (f" ({', '.join(items)})" if named else ""))
    return ", ".join(parts)


def plural(number: int, noun: str) -> str:
    """Return "1 row", "2 rows"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def shown(text: str, style: str = "") -> Text:
    """Return text from outside as rich text: escaped, cut, possible secrets masked, markup shown literally."""
    return Text(displayed(mask_opaque(text)), style=style)


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def _side(record: Record) -> Text:
    """Return the quantity of a trade, with its sign shown as a colour."""
    quantity = _cell(record, "quantity")
    return Text(quantity.plain.lstrip("+-"), style=quantity.style)


def _cell(record: Record, name: str) -> Text:
    """Return one field of a row, coloured by the meaning of its sign."""
    field = record.fields.get(name)
    if field is None:  # a row of a type that was not subscribed to
        return Text("-", style="dim")
    if field.kind.masked:
        return Text("***", style="dim")
    try:
        value: Any = getattr(record, name)
    except FieldError as error:
        return shown(redact(error.text or "unreadable"), "reverse")
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, datetime.time):
        return Text(f"{value:%H:%M:%S}")
    if isinstance(value, Code):
        return shown(value.name.lower().replace("_", " ") if value.is_known else value.value)
    if not isinstance(value, int | Decimal):
        return shown(str(value))
    if field.kind.directional:
        return shown(f"{value:,}", STYLE_OF[record.direction(name)])
    if field.kind.name in SIGNED_KINDS or name.endswith("change_rate"):
        return _signed(value)
    return _number(value)


def _price(record: Record, name: str) -> Text:
    """Return a price of a ladder. A level without orders is empty."""
    cell = _cell(record, name)
    return Text("") if cell.plain.strip("0.-") == "" else cell


def _number(value: int | Decimal | None) -> Text:
    return shown("-" if value is None else f"{value:,}", "dim" if not value else "")


def _signed(value: int | Decimal | None) -> Text:
    if not value:
        return Text("-" if value is None else "0", style="dim")
    return shown(f"{value:+,}", UP if value > 0 else DOWN)
