"""A recording as what the exchange pushes: which rows, to whom, when. On virtual time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.adapters.recordings import NINE, SECOND, write_recording
from tests.proto.sim import RawClient, Sim

from kiwoom_proto import MOCK, US_PRODUCTION, LocalProtocolError
from kiwoom_proto.errors import RecordingError
from kiwoom_proto.events import RecordingHole
from kiwoom_proto.recording.format import encode_event, encode_message
from kiwoom_proto.simulator import Playback

REPLY = b'{"trnm":"REG","return_code":0,"return_msg":""}'


def row(type: str, item: str, text: str = "1", more: str = "") -> str:
    return f'{{"values":{{"10": "+{text}"}},"type":"{type}","name":"주식체결","item":"{item}"{more}}}'


def message(*rows: str) -> bytes:
    """A message with a space that no encoder of ours would write."""
    return f'{{"data":[{",".join(rows)}],  "trnm":"REAL"}}'.encode()


def recorded(folder: Path, *payloads: tuple[float, bytes], **options: object) -> Path:
    """A recording of these messages at these seconds after nine."""
    lines = [encode_message(NINE + int(at * SECOND), 1, 1, payload) for at, payload in payloads]
    return write_recording(folder, lines, **options)  # type: ignore[arg-type]


class Playing(Sim):
    """An exchange that plays a recording."""

    def __init__(self, path: Path | Sequence[Path], speed: float = 1.0, **options: object) -> None:
        self.told: list[str] = []
        super().__init__(playback=Playback(path, speed=speed, tell=self.told.append), **options)

    def login(self, token: str = "key", *, us: bool = False) -> RawClient:
        client = self.raw(us=us)
        client.login(token)
        return client


def rows_heard(client: RawClient) -> list[bytes]:
    """The messages of rows heard, byte for byte."""
    return [text for _, text in client.heard if b"REAL" in text]


def items_heard(client: RawClient) -> list[str]:
    return [row["item"] for text in rows_heard(client) for row in json.loads(text)["data"]]


def test_a_message_whose_rows_are_all_registered_comes_byte_for_byte(tmp_path: Path) -> None:
    whole, other = message(row("0B", "005930"), row("0D", "005930")), message(row("0B", "000660"))
    sim = Playing(recorded(tmp_path, (0, whole), (1, other)))
    client = sim.login()
    client.register("005930", type="0B")
    client.register("005930", type="0D")
    sim.advance(5)
    assert rows_heard(client) == [whole]


def test_of_a_message_only_the_registered_rows_come_as_they_were(tmp_path: Path) -> None:
    mixed = message(row("0B", "005930", "1"), row("0B", "000660", "2"), row("0D", "005930", "3"))
    sim = Playing(recorded(tmp_path, (0, mixed)))
    client = sim.login()
    client.register("005930", "035720", type="0B")
    sim.advance(5)
    (heard,) = rows_heard(client)
    assert heard == f'{{"data":[{row("0B", "005930", "1")}],"trnm":"REAL"}}'.encode()


@pytest.mark.parametrize("speed", [0.5, 1, 60])
def test_rows_come_at_their_recorded_distances(speed: float, tmp_path: Path) -> None:
    seconds = [600.0, 600.25, 600.25, 607.0, 4_000.0]  # a reply long before the first row does not count
    path = recorded(tmp_path, (0, REPLY), *((at, message(row("0B", "005930"))) for at in seconds))
    sim = Playing(path, speed)
    client = sim.login()
    sim.advance(100)
    assert not sim.told, "nobody has registered anything"
    begin = sim.clock.now
    client.register("005930", type="0B")
    sim.advance(4_000 / speed)
    times = [at for at, text in client.heard if b"REAL" in text]
    assert times == pytest.approx([begin + 1 + (at - 600) / speed for at in seconds], abs=1e-5)


def test_a_program_that_registers_several_types_misses_none_of_the_beginning(tmp_path: Path) -> None:
    path = recorded(tmp_path, (0, message(row("0B", "005930"))), (0.001, message(row("0D", "005930"))))
    sim = Playing(path, 1000)
    client = sim.login()
    for type in ("0E", "0H", "0B", "0D"):
        client.register("005930", type=type)
    sim.advance(2)
    assert len(rows_heard(client)) == 2


def test_it_goes_on_without_clients_and_later_ones_join_it(tmp_path: Path) -> None:
    path = recorded(tmp_path, *((at, message(row("0B", "005930", str(at)))) for at in range(100)))
    sim = Playing(path)
    first = sim.login()
    first.register("005930", type="0B")
    sim.advance(10.5)
    sim.exchange.drop()
    sim.advance(20)
    second, third = sim.login("one"), sim.login("two")
    second.register("005930", type="0B")
    third.register("000660", type="0B")
    sim.advance(30)
    assert len(rows_heard(first)) == 10
    assert len(rows_heard(second)) == 30
    assert not rows_heard(third)


def test_it_says_when_it_starts_and_when_it_has_ended_and_stays(tmp_path: Path) -> None:
    path = recorded(tmp_path, (0, message(row("0B", "005930"))), (90, message(row("0B", "005930"))))
    sim = Playing(path)
    client = sim.login()
    client.register("005930", type="0B")
    sim.advance(95)
    assert sim.told == [
        "Playback starts at 2026-11-25 09:00:00 KST of the recording.",
        "Playback has ended at 2026-11-25 09:01:30 KST of the recording, after 2 messages.",
    ]
    assert client.register("000660", type="0B")["return_code"] == 0
    sim.advance(100)
    assert sim.exchange.next_timeout() is not None, "it still sends PINGs"


def test_what_the_recording_lacks_is_told_and_the_rest_is_played(tmp_path: Path) -> None:
    row_of_a_trade = message(row("0B", "005930"))
    lines = [
        encode_message(NINE, 1, 1, row_of_a_trade),
        encode_event(NINE + 1, RecordingHole(NINE, NINE + 1, 7, "the disk is full")),
        b"{torn\n",
        encode_message(NINE + SECOND, 1, 9, row_of_a_trade),
    ]
    sim = Playing(write_recording(tmp_path, lines))
    client = sim.login()
    client.register("005930", type="0B")
    sim.advance(5)
    assert len(rows_heard(client)) == 2
    missing = [sentence for sentence in sim.told if sentence.startswith("Not in the recording: ")]
    assert len(missing) == 2
    assert "the disk is full" in missing[0]


def test_a_recording_without_rows_is_told(tmp_path: Path) -> None:
    sim = Playing(recorded(tmp_path, (0, REPLY)))
    client = sim.login()
    client.register("005930", type="0B")
    sim.advance(5)
    assert sim.told == ["The recording holds no rows to play."]


@pytest.mark.parametrize(
    "payload",
    [b"{]", b"[]", b"\xff", b'{"trnm":"PING"}', b'{"trnm":"REAL"}', b'{"trnm":"REAL","data":[1]}', b"[" * 5_000],
)
def test_what_is_no_message_of_rows_is_left_out(payload: bytes, tmp_path: Path) -> None:
    good = message(row("0B", "005930"))
    sim = Playing(recorded(tmp_path, (0, good), (1, payload), (2, good)))
    client = sim.login()
    client.register("005930", type="0B")
    sim.advance(5)
    assert rows_heard(client) == [good, good]


def test_rows_of_the_account_and_the_market_come_whatever_item_was_registered(tmp_path: Path) -> None:
    path = recorded(
        tmp_path,
        (0, message(row("00", "005930", more=',"account":"***"'))),
        (1, message(row("0s", ""))),
        (2, message(row("1h", "000660"))),
        (3, message(row("0U", "MGU"))),
    )
    sim = Playing(path)
    account, market, sector = (sim.login(token) for token in "abc")
    account.register("", type="00")
    market.register("", type="0s")
    market.register("", type="1h")
    sector.register("MGD", type="0U")
    sim.advance(10)
    assert items_heard(account) == ["005930"]
    assert items_heard(market) == ["", "000660"]
    assert items_heard(sector) == ["MGU"], "the server pushes MGD as MGU"


def test_each_market_has_its_path(tmp_path: Path) -> None:
    domestic = recorded(tmp_path, (0, message(row("0B", "005930"))))
    us = recorded(
        tmp_path,
        (0, message(row("FE", "NVDA", more=',"stexTp":"ND"'))),
        endpoint=US_PRODUCTION,
        session="f" * 16,
        name="us.ndjson.zst",
    )
    sim = Playing([domestic, us])
    at_home, abroad = sim.login("home"), sim.login("abroad", us=True)
    at_home.register("005930", type="0B")
    abroad.register("005930", type="0B")
    abroad.register("NVDA:ND", type="FE")
    sim.advance(5)
    assert items_heard(at_home) == ["005930"]
    assert items_heard(abroad) == ["NVDA"]


def test_overlapping_recordings_are_merged_by_time(tmp_path: Path) -> None:
    for number, session in enumerate("ab"):
        recorded(
            tmp_path,
            *((at + number / 2, message(row("0B", "005930", f"{at}{session}"))) for at in range(3)),
            session=session * 16,
            name=f"{session}.ndjson.zst",
        )
    sim = Playing(tmp_path)
    client = sim.login()
    client.register("005930", type="0B")
    sim.advance(10)
    prices = [json.loads(text)["data"][0]["values"]["10"] for text in rows_heard(client)]
    assert prices == ["+0a", "+0b", "+1a", "+1b", "+2a", "+2b"]


def test_the_policy_is_that_of_the_simulated_exchange(tmp_path: Path) -> None:
    path = recorded(tmp_path, *((at, message(row("0B", "005930"))) for at in range(40)))
    sim = Playing(path, item_limit=2)
    client = sim.login()
    assert client.register("1", "2", "3", type="0B")["return_code"] == 105118
    client.register("005930", type="0B")
    client.say({"trnm": "CNSRLST"})
    sim.advance(0.1)
    assert client.take()[-1]["return_code"] == 105108
    sim.advance(11)
    assert any(text == b'{"trnm":"PING"}' for _, text in client.heard)
    sim.login()
    assert any(b"R10001" in text for _, text in client.heard), "a second login with the key ends the first"


def test_a_client_that_does_not_read_loses_rows_and_no_other_does(tmp_path: Path) -> None:
    large = message(row("0B", "005930", "1" * 100_000))
    sim = Playing(recorded(tmp_path, *((at / 10, large) for at in range(100))))
    stalled, reading = sim.login("a"), sim.login("b")
    for client in (stalled, reading):
        client.register("005930", type="0B")
    link = sim.exchange.links[0]
    sim.exchange.stall(link)
    sim.advance(15)
    assert len(rows_heard(reading)) == 100
    assert 0 < link.rows_dropped < 100
    assert sim.exchange.rows_sent == 200 - link.rows_dropped


def test_the_wrong_arguments_are_refused(tmp_path: Path) -> None:
    path = recorded(tmp_path, (0, message(row("0B", "005930"))))
    for speed in (0, -1, float("inf"), float("nan")):
        with pytest.raises(LocalProtocolError, match="speed"):
            Playback(path, speed=speed)
    with pytest.raises(RecordingError, match="no such file"):
        Playback(tmp_path / "none")
    with pytest.raises(LocalProtocolError, match="recording"):
        Playing(path).exchange.place_order("key", "005930", "buy", 1)


def test_a_recording_of_mock_trading_can_be_played(tmp_path: Path) -> None:
    path = recorded(tmp_path, (0, message(row("0B", "005930"))), endpoint=MOCK)
    sim = Playing(path, mock=True)
    client = sim.login()
    client.register("005930", type="0B")
    sim.advance(2)
    assert len(rows_heard(client)) == 1
