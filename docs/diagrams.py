"""Draws the diagrams in docs/ from the tables in the code: `python docs/diagrams.py` brings them up to date.

A test fails when they are not.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from kiwoom_proto.connection import lifecycle as connection
from kiwoom_proto.session.lifecycle import TRANSITIONS, SessionState

DOCUMENT = pathlib.Path(__file__).parent / "protocol.md"
END = "<!-- end -->"

SESSION_DEADLINES = {
    SessionState.WAITING: "the time of the next attempt: see `backoff_min`, `backoff_max`, `takeover_wait`",
    SessionState.AUTHORIZING: "`token_timeout`",
    SessionState.CONNECTING: "its connection's: `open_timeout`, then `login_timeout`",
    SessionState.READY: "its connection's: `idle_timeout`, `ack_timeout`; and the nearest `fresh_within`",
    SessionState.CLOSING: "its connection's: `close_timeout`",
    SessionState.CLOSED: "",
}


def lifecycle(transitions: Mapping[Any, Mapping[Any, Any]]) -> list[str]:
    """Return a lifecycle as a Mermaid diagram, a line each."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {next(iter(transitions)).name}"]
    for state, moves in transitions.items():
        lines += [f"    {state.name} --> {target.name}: {trigger.value}" for trigger, target in moves.items()]
    return [*lines, "    CLOSED --> [*]", "```", ""]


def of_a_session() -> str:
    """Return the lifecycle of a session, and its deadlines as a table."""
    lines = [*lifecycle(TRANSITIONS), "| state | deadline |", "|---|---|"]
    lines += [f"| {state.name} | {SESSION_DEADLINES[state]} |" for state in TRANSITIONS]
    return "\n".join(lines)


def of_a_connection() -> str:
    """Return the lifecycle of a connection, and its deadlines as a table."""
    lines = [*lifecycle(connection.TRANSITIONS), "| state | deadline | replies expected |", "|---|---|---|"]
    for state in connection.TRANSITIONS:
        phase = connection.PHASE.get(state)
        replies = ", ".join(trnm for trnm, states in connection.LEGAL.items() if state in states)
        lines.append(f"| {state.name} | {f'`{phase}_timeout`' if phase else ''} | {replies} |")
    return "\n".join(lines)


DRAWN = {"session": of_a_session, "connection": of_a_connection}


def updated(text: str) -> str:
    """Return the document's text with the diagrams as the tables have them now."""
    for name, draw in DRAWN.items():
        begin = f"<!-- drawn by diagrams.py: {name} -->"
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(END)
        if not (found and ended):
            raise ValueError(f"{begin} ... {END} is not in the document")
        text = f"{before}{begin}\n{draw()}\n{END}{after}"
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(updated(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
