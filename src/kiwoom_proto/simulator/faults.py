"""Faults: how a simulated exchange misbehaves on demand."""

from __future__ import annotations

import attrs

from .tokens import TokenAnswer

__all__ = ("Faults",)


@attrs.define(kw_only=True)
class Faults:
    """What goes wrong from now on. Change it whenever you like; see also `Exchange.drop`, `stall`, `garbage`, `kick`,
    `close`, `expire_tokens`.

    Attributes:
        ack_delay: seconds by which acknowledgements are late.
        lose_acks: how many of the next acknowledgements are not sent.
        mute_conditions: condition requests are neither carried out nor answered, as was measured for half a minute and
            more on a connection on which everything else went on.
        condition_delay: seconds by which answers to condition requests are late, on top of `ack_delay`.
        exact_echo: an echo of PING counts only where it has the same bytes. The live server takes any message that is
            a PING.
        split: every byte is sent on its own.
        http_status: what the next opening handshakes are answered with, 101 being none of a fault.
        token_answer: what the token server answers: "ok", "html" (the page of a maintenance) or "too_many" (HTTP 429).
    """

    ack_delay: float = 0.0
    lose_acks: int = 0
    mute_conditions: bool = False
    condition_delay: float = 0.0
    exact_echo: bool = False
    split: bool = False
    http_status: int = 101
    token_answer: TokenAnswer = "ok"
