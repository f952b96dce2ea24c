"""Layer rest-pages: the body of a REST reply -> its rows, and every field of each read. Charts of 900 ticks (ka10079).

Subjects:

    ours              the reply class of the catalogue; every value is a number, a moment or a code, and checked
    pydantic          json.loads, and models whose validators give the same values
    pydantic (ints)   the same without validators for the sign and the moment: prices keep the sign of the direction,
                      moments stay texts, and an empty text would be an error
    pydantic (texts)  json.loads, and models of texts, as those of cluefin-openapi are
    json.loads        the dicts, and their members looked up, left texts

Each round decodes pages that are all different, so a cache helps only as far as a page repeats itself.
"""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from kiwoom_proto import rest

from .peers.driver import Round, compile_reader, serve, timed
from .runner import Bench, Player

__all__ = ("CASES", "in_process", "measure", "pages", "prepare")

CPU = {"cpu": "ns of CPU per row"}
ROWS = 900
"""Rows of a page [measured]."""
PAGES = 24
CASES = ("every field", "nothing")
FIELDS = ("cur_prc", "trde_qty", "cntr_tm", "open_pric", "high_pric", "low_pric", "pred_pre", "pred_pre_sig")


def measure(bench: Bench) -> None:
    """Make the measurements."""
    count = max(2, round(PAGES * bench.effort.scale))
    for reads in CASES:
        players = [
            Player(name, "benchmarks.rest_pages", {"subject": name, "reads": reads, "count": count})
            for name in SUBJECTS
        ]
        bench.compare("rest-pages", f"900 ticks, {reads} read", players, CPU, {"times": 1})


def pages(count: int) -> list[bytes]:
    """Return bodies of one walk backwards in time."""
    draw = random.Random(79)
    price, base, second = 70_000, 69_500, 15 * 3600 + 30 * 60
    bodies = []
    for _ in range(count):
        rows = []
        for _ in range(ROWS):
            price = max(1_000, price + draw.choice((-100, 0, 0, 0, 100)))
            second = max(9 * 3600, second - draw.choice((0, 0, 1)))
            change = price - base
            sign = "+" if change > 0 else "-" if change < 0 else ""
            text = f"{sign}{price}"
            moment = f"20260917{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"
            direction = "2" if change > 0 else "5" if change < 0 else "3"
            values = (text, str(draw.randint(1, 900)), moment, text, text, text, f"{sign}{abs(change)}", direction)
            rows.append(dict(zip(FIELDS, values, strict=True)))
        body = {"stk_cd": "005930", "last_tic_cnt": "", "stk_tic_chart_qry": rows}
        bodies.append(json.dumps({**body, "return_code": 0, "return_msg": "정상적으로 처리되었습니다"}).encode())
    return bodies


def prepare(setting: dict[str, Any]) -> Round:
    """Set a subject up."""
    bodies = pages(setting["count"])
    rows_of, expression = SUBJECTS[setting["subject"]]()
    read = compile_reader(expression, FIELDS if setting["reads"] == "every field" else ())

    def run() -> int:
        count = 0
        for body in bodies:
            for row in rows_of(body):
                read(row)
                count += 1
        return count

    return lambda command: timed(lambda: sum(run() for _ in range(command["times"])))


def _ours() -> tuple[Callable[[bytes], Any], str]:
    decode = rest.TickChart.decode
    return lambda body: decode(body).rows, "row.{}"


def _by_hand() -> tuple[Callable[[bytes], Any], str]:
    return lambda body: json.loads(body)["stk_tic_chart_qry"], 'row["{}"]'


def _pydantic(number: Any, price: Any, moment: Any) -> tuple[Callable[[bytes], Any], str]:
    import pydantic

    types = {"trde_qty": number, "pred_pre": number, "cntr_tm": moment, "pred_pre_sig": str}
    fields: dict[str, Any] = {name: (types.get(name, price), ...) for name in FIELDS}
    row = pydantic.create_model("Row", **fields)
    texts: dict[str, Any] = dict.fromkeys(("stk_cd", "last_tic_cnt", "return_msg"), (str, ""))
    reply: Any = pydantic.create_model("Reply", stk_tic_chart_qry=(list[row], ...), return_code=(int, 0), **texts)  # type: ignore[valid-type]
    return lambda body: reply(**json.loads(body)).stk_tic_chart_qry, "row.{}"


def _validated() -> tuple[Callable[[bytes], Any], str]:
    from pydantic import AfterValidator, BeforeValidator

    def absent(text: str) -> str | None:
        return text.strip() or None

    def magnitude(value: int | None) -> int | None:
        return None if value is None else abs(value)

    def moment(text: str) -> datetime.datetime | None:
        return datetime.datetime.fromisoformat(f"{text[:8]}T{text[8:]}+09:00") if text.strip() else None

    number = Annotated[int | None, BeforeValidator(absent)]
    price = Annotated[int | None, BeforeValidator(absent), AfterValidator(magnitude)]
    return _pydantic(number, price, Annotated[datetime.datetime | None, BeforeValidator(moment)])


SUBJECTS: dict[str, Callable[[], tuple[Callable[[bytes], Any], str]]] = {
    "ours": _ours,
    "pydantic": _validated,
    "pydantic (ints)": lambda: _pydantic(int, int, str),
    "pydantic (texts)": lambda: _pydantic(str, str, str),
    "json.loads": _by_hand,
}


def in_process() -> Iterator[tuple[str, str]]:
    """Every subject with every case: subject, reads."""
    for subject in SUBJECTS:
        for reads in CASES:
            yield subject, reads


if __name__ == "__main__":
    serve(prepare)
