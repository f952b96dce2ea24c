"""Which texts are codes of instruments: one rule for orders and queries.

    Korean stocks    six characters, the first a digit, perhaps with _NX or _AL: stocks, ETFs, ETNs, ELWs
    US stocks        tickers

The letter that some replies have in front (A005930), a code that has lost its zeros (5930) and the like are no codes:
the server would answer with blanks, and an order might be read as another one. The error names the code that was meant.
"""

from __future__ import annotations

import re

from ..display import quoted

__all__ = ("fault_of_stock", "fault_of_us_stock", "is_stock")

is_stock = re.compile(r"[0-9][0-9A-Z]{5}(?:_NX|_AL)?").fullmatch
_LIKE_STOCK = re.compile(r"[AJQ]?([0-9][0-9A-Z]{5}(?:_NX|_AL)?)(?![0-9A-Z])").match
_LIKE_NUMBER = re.compile(r"[0-9]{1,5}").fullmatch
_US_STOCK = re.compile(r"[A-Za-z][^:]*").fullmatch
_CODE_LENGTH = 6


def fault_of_stock(text: str, otherwise: str) -> str:
    """Return why a text is not the code of a Korean stock; "" if it is.

    Args:
        text: the text.
        otherwise: what helps if no code is like it.
    """
    if is_stock(text):
        return ""
    like = _LIKE_STOCK(text.strip().upper())
    meant = like[1] if like else text.zfill(_CODE_LENGTH) if _LIKE_NUMBER(text) else ""
    cure = f"did you mean {quoted(meant)}?" if meant else otherwise
    return f'{quoted(text)} is not six characters such as "005930", "005930_NX" (NXT) or "005930_AL" (SOR); {cure}'


def fault_of_us_stock(text: str) -> str:
    """Return why a text is not the code of a US stock; "" if it is."""
    return "" if _US_STOCK(text) else f'{quoted(text)} is not the code of a US stock such as "NVDA"'
