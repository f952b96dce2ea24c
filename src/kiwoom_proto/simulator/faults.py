"""Faults that a simulated exchange injects on demand."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from .rest.link import Cut
from .tokens import TokenAnswer

__all__ = ("Faults", "RestAnswer")

RestAnswer: TypeAlias = Literal["ok", "html", "too_many", "token", "failed", "failed_after"]
"""How REST answers: normally, with the HTML page of a maintenance, with HTTP 429, with 8005 for a good token, or with
HTTP 500 (before the request was carried out, or after)."""


@attrs.define(kw_only=True)
class Faults:
    """The faults in effect. Change the attributes at any time.

    For faults that take effect immediately see `Exchange.drop`, `stall`, `garbage`, `kick`, `close`, `expire_tokens`.

    Attributes:
        ack_delay: additional delay of acknowledgements, in seconds.
        lose_acks: how many of the next acknowledgements are lost.
        mute_conditions: whether condition requests are neither carried out nor answered. This was measured for half a
            minute and more on a connection on which everything else worked.
        condition_delay: additional delay of answers to condition requests, in seconds, on top of `ack_delay`.
        exact_echo: whether an echo of PING counts only if it has the same bytes. The live server accepts any PING
            message.
        split: whether every byte is sent separately.
        http_status: the status of the answer to opening handshakes; 101 is the normal answer.
        token_answer: how the token server answers: "ok", "html" (the page of a maintenance) or "too_many" (HTTP 429).
        rest_answer: how REST answers; see `RestAnswer`.
        rest_cut: whether the connection of a REST request is cut: "no", "before" the request was carried out, "half"
            way through its answer, or "after" it was carried out and before its answer.
        rest_times: how many of the next REST requests `rest_answer` and `rest_cut` are for; None for all.
        rest_delay: additional delay of REST answers, in seconds. The request is carried out at once.
        rest_gzip: whether the bodies of REST answers are compressed.
        repeat_next_key: whether every page of a REST reply names itself as the next one.
    """

    ack_delay: float = 0.0
    lose_acks: int = 0
    mute_conditions: bool = False
    condition_delay: float = 0.0
    exact_echo: bool = False
    split: bool = False
    http_status: int = 101
    token_answer: TokenAnswer = "ok"
    rest_answer: RestAnswer = "ok"
    rest_cut: Cut = "no"
    rest_times: int | None = None
    rest_delay: float = 0.0
    rest_gzip: bool = False
    repeat_next_key: bool = False

    def take_rest(self) -> tuple[RestAnswer, Cut]:
        """Return how the next REST request is answered, and count it."""
        if self.rest_times is None or (self.rest_answer == "ok" and self.rest_cut == "no"):
            return self.rest_answer, self.rest_cut
        if self.rest_times <= 0:
            return "ok", "no"
        self.rest_times -= 1
        return self.rest_answer, self.rest_cut
