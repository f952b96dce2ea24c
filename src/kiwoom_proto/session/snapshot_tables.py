"""Which TR has the state of a real-time type, and which of its elements are which FIDs.

An element is listed if it means the same as the FID: the same label, apart from abbreviations, and the same unit, or
one that converts exactly. An element that may mean something else is left out, so a snapshot says nothing about that
FID. The comments name what looks alike and is not listed.

How the TRs name stocks was measured: ka10004 ignores "_AL" and answers with the book of KRX, ka10087 knows plain codes
only, ka10003 and ka10095 know all three forms. Those of six characters take plain codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import attrs

from ..rest.instruments import is_stock

__all__ = ("NO_SOURCE", "SOURCES", "TRADES", "Convert", "Form", "Source")

Convert: TypeAlias = Callable[[str], str | None]
"""Turns the text of an element into that of a FID; None if it has no such text."""
Fields: TypeAlias = Mapping[str, tuple[str, Convert]]
"""FID -> element, and how its text is turned into that of the FID."""
TRADES = "0B"


def _same(text: str) -> str:
    return text


def _signed(text: str) -> str:
    """A change: "--2" is "-2" [measured]."""
    return text[1:] if text.startswith("--") else text


def _unpadded(text: str) -> str | None:
    """A padded whole number: "-00000000012" is "-12"."""
    sign, digits = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    if not (digits.isascii() and digits.isdigit()):
        return None
    return sign + (digits.lstrip("0") or "0")


def _hundredths(text: str) -> str | None:
    """A whole number of hundredths: "27412" is "274.12"."""
    whole = _unpadded(text)
    if whole is None:
        return None
    sign, digits = (whole[0], whole[1:]) if whole[:1] in ("+", "-") else ("", whole)
    digits = digits.zfill(3)
    return f"{sign}{digits[:-2]}.{digits[-2:]}"


def _clock(text: str) -> str | None:
    """A time: "21:46:06" is "214606"."""
    digits = text.replace(":", "")
    return digits if len(digits) == 6 and digits.isascii() and digits.isdigit() else None


def _side(text: str) -> str | None:
    """매도수구분 of 주문구분: "-매도" is "1", "+매수정정" is "2"."""
    word = text.lstrip("+-")
    return "1" if word.startswith("매도") else "2" if word.startswith("매수") else None


class Form:
    """How a TR names its item. Each returns the parameters for items as registered, or None if it cannot name them."""

    @staticmethod
    def whole(items: tuple[str, ...]) -> dict[str, str] | None:
        """No item: the whole account, or the whole market."""
        return {}

    @staticmethod
    def any_venue(items: tuple[str, ...]) -> dict[str, str] | None:
        """A code, with the suffix of its venue; several are joined. Gold has the types of stocks, and is none."""
        return {"stk_cd": "|".join(items)} if all(map(is_stock, items)) else None

    @staticmethod
    def not_combined(items: tuple[str, ...]) -> dict[str, str] | None:
        """A code at KRX or NXT."""
        return None if items[0].endswith("_AL") or not is_stock(items[0]) else {"stk_cd": items[0]}

    @staticmethod
    def plain(items: tuple[str, ...]) -> dict[str, str] | None:
        """A code at KRX."""
        return None if items[0][-3:] in ("_AL", "_NX") or not is_stock(items[0]) else {"stk_cd": items[0]}

    @staticmethod
    def sector(items: tuple[str, ...]) -> dict[str, str] | None:
        """The code of a sector. `mrkt_tp` has no effect [measured]."""
        return {"mrkt_tp": "0", "inds_cd": items[0]}

    @staticmethod
    def us_stock(items: tuple[str, ...]) -> dict[str, str] | None:
        """A US stock and its exchange."""
        code, _, exchange = items[0].partition(":")
        return {"stex_tp": exchange, "stk_cd": code} if exchange else None


@attrs.frozen(kw_only=True)
class Source:
    """A TR that has the state of a real-time type.

    Attributes:
        api_id: the TR.
        fields: which FID is which element.
        form: how it names the item.
        fixed: its other parameters. "{date}" stands for today's date.
        rows: whether the state is in its list. The first row of it, unless `each` or `code`.
        each: whether each row of the list is a record of its own: an order, a holding, an interruption.
        code: the element of a row that names its item, if one call can ask for several items; "" otherwise.
        venues: what the TR cannot name, for the reason why there is no snapshot.
    """

    api_id: str
    fields: Fields
    form: Callable[[tuple[str, ...]], dict[str, str] | None] = Form.any_venue
    fixed: Mapping[str, str] = MappingProxyType({})
    rows: bool = False
    each: bool = False
    code: str = ""
    venues: str = ""

    def why_not(self, item: str) -> str:
        """Return why it has no state of an item; "" if it has."""
        if self.form((item,)) is not None:
            return ""
        if not is_stock(item) and ":" not in item:
            return f"{self.api_id} knows the codes of stocks only"
        return self.venues or "the item does not name its exchange"

    @property
    def max_items(self) -> int:
        """The maximum number of items in one call: 100 where it takes several [measured: 101 are refused, 1634]."""
        return 100 if self.code else 1


def _plain_fields(**elements: str) -> dict[str, tuple[str, Convert]]:
    return {fid.removeprefix("f"): (element, _same) for fid, element in elements.items()}


def _signed_fields(**elements: str) -> dict[str, tuple[str, Convert]]:
    return {fid.removeprefix("f"): (element, _signed) for fid, element in elements.items()}


_NO_ALL = 'ka10004 answers "_AL" with the order book of KRX'
_PLAIN_ONLY = "{api_id} knows codes without a venue only"


def _book() -> Fields:
    fields = _plain_fields(f21="bid_req_base_tm", f121="tot_sel_req", f125="tot_buy_req")
    fields |= _signed_fields(f122="tot_sel_req_jub_pre", f126="tot_buy_req_jub_pre")
    for level in range(1, 11):
        for side, price, quantity, change in (("sel", 40, 60, 80), ("buy", 50, 70, 90)):
            name = f"{side}_fpr" if level == 1 else f"{side}_{level}th_pre"
            fields[str(price + level)] = f"{name}_bid", _same
            fields[str(quantity + level)] = f"{name}_req", _same
            fields[str(change + level)] = f"{side}_{level}th_pre_req_pre", _signed
    return fields


def _us_book() -> Fields:
    # Not bid_tm, which has no seconds.
    fields = _plain_fields(f121="tot_sel_req", f125="tot_buy_req")
    fields |= _signed_fields(f122="sel_bid_tot_req_jub_pre", f126="buy_bid_tot_req_jub_pre")
    for level in range(1, 11):
        for side, price, quantity, change in (("sel", 40, 60, 80), ("buy", 50, 70, 90)):
            fields[str(price + level)] = f"{side}_{level}bid", _same
            fields[str(quantity + level)] = f"{side}_{level}bid_req", _same
            fields[str(change + level)] = f"{side}_{level}bid_jub_pre", _signed
    return fields


def _brokers() -> Fields:
    # Quantities have a sign that those of rows have not: a magnitude with the side in front.
    fields: dict[str, tuple[str, Convert]] = {
        "261": ("frgn_sel_prsm_sum", _magnitude),
        "262": ("frgn_sel_prsm_sum_chang", _signed),
        "263": ("frgn_buy_prsm_sum", _magnitude),
        "264": ("frgn_buy_prsm_sum_chang", _signed),
    }
    for rank in range(1, 6):
        for side, name, code, quantity, change in (("sel", 140, 145, 160, 165), ("buy", 150, 155, 170, 175)):
            fields[str(name + rank)] = f"{side}_trde_ori_{rank}", _same
            fields[str(code + rank)] = f"{side}_trde_ori_cd_{rank}", _same
            fields[str(quantity + rank)] = f"{side}_trde_ori_qty_{rank}", _magnitude
            fields[str(change + rank)] = f"{side}_trde_ori_irds_{rank}", _signed
    return fields


def _magnitude(text: str) -> str:
    return text.lstrip("+-")


# Of the latest trades. Not acc_trde_prica, which is in won where FID 14 is in million won and how it is rounded is not
# known; not pri_sel_bid_unit and pri_buy_bid_unit, whose labels say "unit".
_TRADE = _plain_fields(f20="tm", f10="cur_prc", f15="cntr_trde_qty", f13="acc_trde_qty", f25="sign", f9081="stex_tp")
_TRADE |= _signed_fields(f11="pred_pre", f12="pre_rt") | _plain_fields(f228="cntr_str")

# Not trde_pre (거래대비), which may be FID 30.
_STOCK = _plain_fields(f10="cur_prc", f13="trde_qty", f16="open_pric", f17="high_pric", f18="low_pric")
_STOCK |= _plain_fields(f25="pre_sig", f311="mac") | _signed_fields(f11="pred_pre", f12="flu_rt")
_LIMITS = _plain_fields(f305="upl_pric", f306="lst_pric", f307="base_pric")

_SECTOR = _plain_fields(f10="cur_prc", f25="pred_pre_sig", f13="trde_qty", f14="trde_prica")
_SECTOR |= _signed_fields(f11="pred_pre", f12="flu_rt")
_INDEX = {**_SECTOR, **_plain_fields(f16="open_pric", f17="high_pric", f18="low_pric")}
_BREADTH = {
    **_SECTOR,
    **_plain_fields(f252="rising", f251="upl", f253="stdns", f255="fall", f254="lst"),
    **_plain_fields(f256="trde_frmatn_stk_num"),
    **_signed_fields(f257="trde_frmatn_rt"),
}
# Not dispty_rt (괴리율): FIDs 265 and 266 are two such rates.
_NAV = _plain_fields(f36="nav", f39="trace_eor_rt") | _signed_fields(f37="navpred_pre", f38="navflu_rt")
# Not elwinnr_vltl, whose scale is not known.
_ELW_PRICE = {**_plain_fields(f10="cur_prc"), "670": ("elwtheory_pric", _hundredths)}
_ELW = _plain_fields(f666="elwprty", f667="elwgear") | _signed_fields(f668="elwpl_qutr_rt")
# Not trde_qty (거래량), which may be the volume of one time.
_PROGRAM = _plain_fields(f20="tm", f10="cur_prc", f25="pre_sig", f202="prm_sell_qty", f204="prm_sell_amt")
_PROGRAM |= _plain_fields(f206="prm_buy_qty", f208="prm_buy_amt") | _signed_fields(
    f11="pred_pre",
    f12="flu_rt",
    f210="prm_netprps_qty",
    f211="prm_netprps_qty_irds",
    f212="prm_netprps_amt",
    f213="prm_netprps_amt_irds",
)
# Not open_pric_pre_flu_rt, the rate against the opening price.
_INTERRUPTION = _plain_fields(
    f9001="stk_cd",
    f302="stk_nm",
    f13="acc_trde_qty",
    f1221="motn_pric",
    f1223="trde_cntr_proc_time",
    f1224="virelis_time",
    f1225="viaplc_tp",
    f1236="static_stdpc",
    f1237="dynm_stdpc",
    f1238="static_dispty_rt",
    f1239="dynm_dispty_rt",
    f1490="vimotn_cnt",
)
# ka10076 has the time of the order (ord_tm), not that of the execution: not FID 908.
_FILLED = _plain_fields(
    f9203="ord_no",
    f9001="stk_cd",
    f913="ord_stt",
    f302="stk_nm",
    f900="ord_qty",
    f901="ord_pric",
    f902="oso_qty",
    f904="orig_ord_no",
    f905="io_tp_nm",
    f906="trde_tp",
    f910="cntr_pric",
    f911="cntr_qty",
    f938="tdy_trde_cmsn",
    f939="tdy_trde_tax",
    f2134="stex_tp",
    f2135="stex_tp_txt",
    f2136="sor_yn",
)
_FILLED["907"] = "io_tp_nm", _side
_OPEN = {
    **_plain_fields(f9201="acnt_no", f9205="mang_empno"),
    **_FILLED,
    **_plain_fields(f903="cntr_tot_amt", f908="tm", f909="cntr_no", f914="unit_cntr_pric", f915="unit_cntr_qty"),
    **_plain_fields(f10="cur_prc", f27="sel_bid", f28="buy_bid"),
}
# Not cur_prc, which lacks the sign that says the direction; not prft_rt, which is not of what was sold.
_HOLDING = {
    **_plain_fields(f9001="stk_cd", f302="stk_nm", f917="crd_tp", f916="crd_loan_dt"),
    "930": ("rmnd_qty", _unpadded),
    "931": ("pur_pric", _unpadded),
    "932": ("pur_amt", _unpadded),
    "933": ("trde_able_qty", _unpadded),
}
_US_ORDER = {
    **_plain_fields(f9203="ord_no", f904="orig_ord_no", f8043="crnc_code", f9001="stk_cd", f302="frgn_stk_nm"),
    **_plain_fields(f907="slby_tp", f50072="slby_tp_nm", f50073="frgn_trde_nm", f901="ord_uv", f50810="stop_pric"),
    **_plain_fields(f913="ord_stat", f1091="natn_nm"),
    "900": ("ord_qty", _unpadded),
}
_US_OPEN = {
    **_US_ORDER,
    **_plain_fields(f905="ord_cntr_tp", f906="frgn_trde_tp"),
    "908": ("ord_time", _clock),
}
_US_EXECUTED = {
    **_US_ORDER,
    "902": ("ord_remnq", _unpadded),
    "910": ("cntr_uv", _same),
    "911": ("cntr_qty", _unpadded),
    "908": ("cntr_time", _clock),
}
_US_HOLDING = {
    **_plain_fields(f9001="stk_cd", f302="frgn_stk_nm", f8043="crnc_code", f1091="natn_nm", f931="frgn_stk_book_uv"),
    "930": ("poss_qty", _unpadded),
}
_US_TRADE = _plain_fields(f10="cur_prc", f13="acc_trde_qty", f16="open_pric", f17="high_pric", f18="low_pric")
_US_TRADE |= _plain_fields(f25="pred_pre_sig") | _signed_fields(f11="pred_pre", f12="flu_rt")

_AFTER_HOURS = _plain_fields(f21="bid_req_base_tm", f131="ovt_sel_bid_tot_req", f135="ovt_buy_bid_tot_req")
_AFTER_HOURS |= _signed_fields(f132="ovt_sel_bid_tot_req_jub_pre", f136="ovt_buy_bid_tot_req_jub_pre")

_ALL_INTERRUPTIONS = {
    **dict.fromkeys(("bf_mkrt_tp", "motn_tp", "trde_qty_tp", "trde_prica_tp", "motn_drc"), "0"),
    **dict.fromkeys(("min_trde_qty", "max_trde_qty", "min_trde_prica", "max_trde_prica"), "0"),
    "mrkt_tp": "000",
    "skip_stk": "0" * 9,
    "stex_tp": "3",
}


def _account(api_id: str, fields: Fields, **fixed: str) -> Source:
    return Source(api_id=api_id, fields=fields, form=Form.whole, fixed=fixed, rows=True, each=True)


def _plain(api_id: str, fields: Fields, rows: bool = False, **fixed: str) -> Source:
    return Source(
        api_id=api_id, fields=fields, form=Form.plain, fixed=fixed, rows=rows, venues=_PLAIN_ONLY.format(api_id=api_id)
    )


def _many(fields: Fields) -> Source:
    return Source(api_id="ka10095", fields=fields, rows=True, code="stk_cd")


SOURCES: Mapping[str, tuple[Source, ...]] = MappingProxyType(
    {
        "00": (
            _account("ka10075", _OPEN, all_stk_tp="0", trde_tp="0", stex_tp="0"),
            _account("ka10076", _FILLED, qry_tp="0", sell_tp="0", stex_tp="0"),
        ),
        "04": (_account("kt00018", _HOLDING, qry_tp="2", dmst_stex_tp="KRX"),),
        "0A": (Source(api_id="ka10001", fields=_STOCK),),
        TRADES: (Source(api_id="ka10003", fields=_TRADE, rows=True),),
        "0C": (_many(_plain_fields(f27="sel_bid", f28="buy_bid")),),
        "0D": (Source(api_id="ka10004", fields=_book(), form=Form.not_combined, venues=_NO_ALL),),
        "0E": (_plain("ka10087", _AFTER_HOURS),),
        "0F": (_plain("ka10040", _brokers()),),
        "0G": (_plain("ka40009", _NAV, rows=True),),
        # Not exp_cntr_qty, which may be FID 13 or FID 15.
        "0H": (_many(_plain_fields(f10="exp_cntr_pric")),),
        "0J": (Source(api_id="ka20001", fields=_INDEX, form=Form.sector),),
        "0U": (Source(api_id="ka20001", fields=_BREADTH, form=Form.sector),),
        "0g": (Source(api_id="ka10001", fields=_LIMITS),),
        "0m": (_plain("ka30012", _ELW_PRICE),),
        "0u": (_plain("ka30012", _ELW),),
        "0w": (_plain("ka90008", _PROGRAM, rows=True, amt_qty_tp="1", date="{date}"),),
        "1h": (_account("ka10054", _INTERRUPTION, **_ALL_INTERRUPTIONS),),
        "F4": (_account("ust21050", _US_OPEN),),
        "F5": (_account("ust21510", _US_EXECUTED), _account("ust21070", _US_HOLDING)),
        "FE": (Source(api_id="usa20100", fields=_US_TRADE, form=Form.us_stock),),
        "FT": (Source(api_id="usa20101", fields=_us_book(), form=Form.us_stock),),
    }
)
"""Type code -> the TRs that have its state, one after the other."""
NO_SOURCE: Mapping[str, str] = MappingProxyType(
    {
        "0s": "no TR has the phase of the market: its next row does",
        "0I": "no TR has the international gold price",
    }
)
"""Type code -> why there is no snapshot. For a type that is in neither table no TR is known."""
