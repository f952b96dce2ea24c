"""Faults that a simulated exchange injects on demand."""

from __future__ import annotations

import attrs

from .tokens import TokenAnswer

__all__ = ("Faults",)


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
    """

    ack_delay: float = 0.0
    lose_acks: int = 0
    mute_conditions: bool = False
    condition_delay: float = 0.0
    exact_echo: bool = False
    split: bool = False
    http_status: int = 101
    token_answer: TokenAnswer = "ok"
