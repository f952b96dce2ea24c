"""Texts that do something to a terminal, or to whoever reads it, and what of a text may be shown."""

from __future__ import annotations

import unicodedata

HOSTILE = {
    "escape sequences": "\x1b[2J\x1b[35;5m\x1b]0;title\x07\x1b]8;;https://evil.test\x1b\\here\x1b]8;;\x1b\\",
    "C1 controls": "\x9b2J\x9d0;title\x9c\x85\x90",
    "C0 and DEL": "\x00\x07\x08\r\n\t\x0b\x0c\x0e\x7f",
    "bidirectional marks": "\u202aa\u202bb\u202cc\u202dd\u202e \u2066e\u2067f\u2068g\u2069 \u200e\u200f\u061c",
    "invisible": "\u200b\u200c\u200d\u2060\ufeff\u00ad\u3164\uffa0\u115f\u1160\u034f\ufe0f\U000e0101\U000e0041",
    "separators": "\u2028\u2029\u00a0\u3000\u2003",
    "private and unassigned": "\ue000\U0010fffd\uffff\U000e0fff\ufdd0",
    "a tower of marks": "a" + "\u0301\u0489" * 40,
    "a mark in front": "\u20dd\u0301",
    "markup": "급등[/] [bold]x[/bold] [link=https://evil.test]y[/link] [red] :boom: [@click=app.quit]z[/]",
    "long": "가" * 20_000,
    "long and escaped": "\x1b" * 20_000,
}
"""What each is called -> the text."""

EVERYTHING = " ".join(text[:24] for name, text in HOSTILE.items() if not name.startswith("long"))
"""Something of each in one text, which a lot of it is shown of before it is cut."""

INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180f\u3164\uffa0\ufe00\ufe0f\U000e0100\U000e0101")


def unfit(text: str) -> list[str]:
    """The characters of a text that must not be shown, in order."""
    found = []
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        is_unprintable = category[0] == "C" or category in ("Zl", "Zp") or (category == "Zs" and char != " ")
        if is_unprintable or char in INVISIBLE or marks > 2:
            found.append(char)
    return found
