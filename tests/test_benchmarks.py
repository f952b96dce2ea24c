"""The benchmarks run and give figures of the right shape. How good the figures are is not tested here."""

from __future__ import annotations

import json
import pathlib
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("resource", reason="the benchmarks need a POSIX system")

import trustme
from benchmarks import __main__ as command
from benchmarks import (
    chart,
    check,
    core,
    curve,
    data,
    decode,
    loopback,
    memory,
    opponents,
    recording,
    report,
    rest,
    rest_loopback,
    rest_pages,
    rest_server,
    scale,
    streams,
)
from benchmarks.feeder import Feeder
from benchmarks.results import Measurement, Results, Subject
from benchmarks.runner import Bench, Effort, Player
from benchmarks.targets import TARGETS

from kiwoom_proto import MessageDecoder, Record
from kiwoom_proto.realtime import REALTIME

CPU = {"cpu", "wall"}


@pytest.mark.parametrize("shape", data.SHAPES)
@pytest.mark.parametrize("order", data.ORDERS)
def test_messages_are_seeded_and_real(shape: str, order: str) -> None:
    made = data.messages(shape, 20, rows=2, order=order)
    assert made == data.messages(shape, 20, rows=2, order=order)
    rows = [row for payload in made for row in json.loads(payload)["data"]]
    assert len(rows) == 40
    assert {row["type"] for row in rows} <= set(data.types_of(shape))
    keys = list(rows[0]["values"])
    if order == "official":
        assert keys == [field.fid for field in REALTIME[rows[0]["type"]].fields.values()]
    elif order == "sorted":
        assert keys == sorted(keys, key=int)
    orders = {tuple(row["values"]) for row in rows if row["type"] == rows[0]["type"]}
    assert (len(orders) > 1) == (order == "shuffled")


@pytest.mark.parametrize("type_code", ["0E", *data.MARKET])
def test_messages_hold_nothing_but_values(type_code: str) -> None:
    """What is no value would be measured as the error that it is."""
    decoder = MessageDecoder()
    example = decoder.decode(b'{"trnm":"REAL","data":[%s]}' % json.dumps(data._example(type_code)).encode())[0]
    assert isinstance(example, Record)
    for payload in data.messages(type_code, 200):
        (row,) = decoder.decode(payload)
        assert isinstance(row, REALTIME[type_code])
        assert len(row.item) == len(example.item)
        for name in row.fields:
            assert type(getattr(row, name)) is type(getattr(example, name)), name  # a FieldError where it is no value
            if row.fields[name].kind.directional:
                assert row.direction(name) == example.direction(name)


def test_messages_have_real_sizes() -> None:
    sizes = {shape: len(data.messages(shape, 1)[0]) for shape in ("0E", "0B", "0D")}
    assert 120 < sizes["0E"] < 200
    assert 650 < sizes["0B"] < 800
    assert 1_900 < sizes["0D"] < 2_100


@pytest.mark.parametrize(("subject", "shape", "reads"), list(decode.in_process()))
def test_decode(subject: str, shape: str, reads: str) -> None:
    setting = {"subject": subject, "shape": shape, "reads": reads, "count": 3, "order": "official"}
    figures = decode.prepare(setting)({"times": 2})
    assert figures.keys() == CPU
    assert figures["wall"] > 0


@pytest.mark.parametrize(("subject", "reads"), list(rest_pages.in_process()))
def test_rest_pages(subject: str, reads: str) -> None:
    figures = rest_pages.prepare({"subject": subject, "reads": reads, "count": 2})({"times": 1})
    assert figures.keys() == CPU and all(value > 0 for value in figures.values())


@pytest.mark.parametrize(("subject", "shape", "reads"), list(recording.in_process()))
def test_recording(subject: str, shape: str, reads: str) -> None:
    figures = recording.prepare({"subject": subject, "shape": shape, "reads": reads, "count": 40})({"times": 2})
    assert figures.keys() == CPU


@pytest.mark.parametrize(("subject", "shape", "reads", "read"), list(core.in_process()))
def test_core(subject: str, shape: str, reads: str, read: str) -> None:
    setting = {"subject": subject, "shape": shape, "reads": reads, "read": read, "count": 40}
    assert core.prepare(setting)({"times": 2}).keys() == CPU  # it asserts that no event is missing


@pytest.mark.parametrize("unit", [rest_loopback.UNITS["rate"], loopback.THROUGHPUT["rate"]])
def test_of_a_rate_more_is_better(unit: str) -> None:
    slow, fast = Subject((1.0,)), Subject((2.0,))
    found = Measurement("", "", unit, {"slow": slow, "fast": fast}).times_worse("slow", "fast")
    assert found is not None
    assert found.median == 2


@pytest.mark.parametrize("subject", [*rest_loopback.SUBJECTS, rest_loopback.BLOCKING])
def test_rest_calls(subject: str) -> None:
    port = round(rest_server.prepare({})({})["port"])
    figures = rest_loopback.prepare({"subject": subject, "port": port})({"count": 3})
    assert figures.keys() == {"rate", "cpu"}


@pytest.mark.parametrize("subject", list(rest.SUBJECTS))
def test_rest(subject: str) -> None:
    assert rest.prepare({"subject": subject, "count": 3})({"times": 1}).keys() == CPU


@pytest.fixture(params=["plain", "TLS"])
def feeder(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[tuple[Feeder, dict[str, str | None]]]:
    authority = certificate = None
    if request.param == "TLS":
        made = trustme.CA()
        authority, certificate = str(tmp_path / "authority.pem"), str(tmp_path / "server.pem")
        made.cert_pem.write_to_path(authority)
        made.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    feeder = Feeder("0B", certificate=certificate, pool=50)
    scheme = "ws" if authority is None else "wss"
    yield feeder, {"url": f"{scheme}://127.0.0.1:{feeder.port}/api/dostk/websocket", "authority": authority}
    feeder.close()


@pytest.mark.parametrize("subject", list(loopback.SUBJECTS))
def test_loopback(subject: str, feeder: tuple[Feeder, dict[str, str | None]]) -> None:
    server, setting = feeder
    size = server.plan(120, 0)
    figures = loopback.prepare({**setting, "subject": subject, "shape": "0B"})({"count": 120, "rate": 0, "bytes": size})
    assert figures.keys() == {"rate", "cpu"}
    assert figures["rate"] > 0


@pytest.mark.parametrize("subject", ["ours (asyncio)", "ours (trio)", "floor"])
def test_latency(subject: str, feeder: tuple[Feeder, dict[str, str | None]]) -> None:
    server, setting = feeder
    server.plan(60, 2_000)
    figures = loopback.prepare({**setting, "subject": subject, "shape": "0B"})({"count": 60, "rate": 2_000})
    assert 0 < figures["p50"] <= figures["p99"] <= figures["p999"] < 10_000_000
    assert server.report()["p50"] >= 0


@pytest.mark.parametrize("face, loop", streams.CASES)
def test_streams(face: str, loop: str) -> None:
    registrations = streams.REGISTRATIONS.get(face, 1)
    feeder = Feeder("0B", pool=100)
    try:
        feeder.plan(200, 0, registrations)
        url = f"ws://127.0.0.1:{feeder.port}/api/dostk/websocket"
        setting = {"face": face, "loop": loop, "shape": "0B", "url": url}
        figures = streams.prepare(setting)({"count": 200, "rate": 0, "registrations": registrations})
    finally:
        feeder.close()
    assert figures.keys() == {"rate", "cpu"}
    assert figures["rate"] > 0


@pytest.mark.parametrize("what", list(memory.WHAT))
def test_memory(what: str) -> None:
    figures = memory.prepare({"what": what, "shape": "0E", "subject": "ours"})({"count": 2_000})
    if what == "buffered":
        assert 150 < figures["bytes"] < 10_000
    elif what == "objects":
        assert 1 <= figures["blocks"] < 100
        assert figures["tracked"] < 10
    else:
        assert figures["peak"] > 1_000


@pytest.mark.parametrize("what", list(scale.SIZES))
def test_scale(what: str) -> None:
    for size in scale.SIZES[what][:2]:
        assert scale.prepare({"what": what, "size": size, "count": 100})({}).keys() == CPU


def test_subjects_take_turns_and_fail_alone() -> None:
    shown: list[Measurement] = []
    bench = Bench(Effort(2, 0.01), show=shown.append)
    setting = {"shape": "0E", "reads": "usual", "count": 5, "order": "official"}
    players = [
        Player("ours", "benchmarks.decode", {**setting, "subject": "ours"}),
        Player("stranger", "benchmarks.decode", {**setting, "subject": "stranger"}),
        Player("absent", "benchmarks.decode", python=None, error="not set up"),
        Player("gone", "benchmarks.decode", python="/nowhere/python"),
    ]
    bench.compare("decode", "a case", players, {"cpu": "ns", "wall": "ns of wall"}, {"times": 1})
    assert [measurement.unit for measurement in shown] == ["ns", "ns of wall"]
    subjects = shown[0].subjects
    assert len(subjects["ours"].figures) == 2
    assert subjects["stranger"] == Subject((), "KeyError: 'stranger'")
    assert subjects["absent"].error == "not set up"
    assert subjects["gone"].error.startswith("its Python cannot be run")
    assert "not set up" in report.table(shown[0])


def _results() -> Results:
    results = Results.begun()
    figures = {"ours": Subject((1.0, 2.0, 2.0)), "kwcli": Subject((5.0, 12.0, 12.0)), "floor": Subject((), "none")}
    results.measurements.append(Measurement("decode", "0B, usual fields read", "ns of CPU per message", dict(figures)))
    rates = {"ours (asyncio)": Subject((90.0,)), "kwcli": Subject((15.0,))}
    results.measurements.append(Measurement("loopback", "0B, plain", "messages per second", rates))
    results.notes.append("a note")
    return results


def test_results_are_kept(tmp_path: pathlib.Path) -> None:
    results = _results()
    file = tmp_path / "results.json"
    file.write_text(results.to_json(), encoding="utf-8")
    assert Results.load(file) == results
    file.write_text('{"schema": 2}', encoding="utf-8")
    with pytest.raises(ValueError, match="schema 2"):
        Results.load(file)


def test_ratios_are_paired() -> None:
    results = _results()
    found = results.find("decode", "0B, usual fields read", "ns of CPU per message")
    assert found is not None
    ratio = found.times_worse("kwcli", "ours")
    assert ratio is not None
    assert (ratio.median, ratio.least, ratio.most) == (6.0, 5.0, 6.0)
    assert found.times_worse("ours", "floor") is None
    rates = results.find("loopback", "0B, plain", "messages per second")
    assert rates is not None and (ratio := rates.times_worse("kwcli", "ours (asyncio)")) is not None
    assert ratio.median == 6.0


def test_targets_are_judged() -> None:
    text = report.targets(_results())
    assert len(text.splitlines()) == len(TARGETS) + 1
    assert "✓ decode 0B against kwcli" in text
    assert "not measured" in text
    assert "not measured" not in report.targets(_results(), everything=False)


def test_chart_is_well_formed() -> None:
    bars = (chart.Bar("a < b & c", 2.0, "2 µs", "ours"), chart.Bar("nothing", 0.0, "0", "other"))
    for text in (
        chart.render([chart.Panel("<title>", "µs", bars)], "a & b"),
        chart.chart_of(_results()),
        chart.render([]),
    ):
        root = ElementTree.fromstring(text)
        assert root.tag.endswith("svg")
    assert "kwcli (official)" in chart.chart_of(_results())


def test_command_line(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.json"
    file.write_text(_results().to_json(), encoding="utf-8")
    assert command.main(["targets", str(file)]) == 0
    assert "decode 0B against kwcli" in capsys.readouterr().out
    assert command.main(["run", "nonsense"]) == 2
    assert "no such layer: nonsense" in capsys.readouterr().err
    assert command.main([]) == 0
    assert "python -m benchmarks run decode core" in capsys.readouterr().out


def test_check_notices_what_has_become_slower(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "expected.json"
    file.write_text("{}", encoding="utf-8")
    monkeypatch.setattr(check, "EXPECTED", file)
    monkeypatch.setattr(check, "CASES", check.CASES[:1])
    effort = Effort(2, 0.01)
    assert check.check(update=False, effort=effort) == 2
    assert check.check(update=True, effort=effort) == 0
    kept = json.loads(file.read_text(encoding="utf-8"))
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    (name,) = kept[python]
    for factor, status in ((10.0, 0), (0.01, 1)):
        file.write_text(json.dumps({python: {name: kept[python][name] * factor}}), encoding="utf-8")
        assert check.check(update=False, effort=effort) == status
    assert "SLOWER" in capsys.readouterr().out


def test_an_opponent_that_is_not_there_is_reported(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opponents, "PLACE", tmp_path)
    status = opponents.find("kwcli")
    assert status.python is None
    assert "make bench-peers" in status.error
    find: Callable[[str], opponents.Status] = opponents.find
    assert all(find(opponent.name).error for opponent in opponents.OPPONENTS)


def test_the_curve_names_rows_and_files_and_gives_a_line_for_each_way(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("duckdb")

    assert curve.main(["0.002", "--shape", "0D", "--ways", "listed", "six columns"]) == 0

    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("0.002 GB of lines, ") and first.endswith(" in 1 files")
    assert [line.split("  ")[1] for line in lines] == ["listed", "six columns"]
    assert all("ns of CPU" in line and line.endswith(" MB") for line in lines)
