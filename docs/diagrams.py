"""Draws the diagrams in docs/ from the tables in the code: `python docs/diagrams.py` brings them up to date.

A test fails when they are not.
"""

from __future__ import annotations

import pathlib

from kiwoom_proto.conversation import LEGAL, PHASE, TRANSITIONS, ConnectionState

DOCUMENT = pathlib.Path(__file__).parent / "protocol.md"
BEGIN, END = "<!-- drawn by diagrams.py -->", "<!-- end -->"


def lifecycle() -> str:
    """Return the lifecycle of a connection as a Mermaid diagram, and its deadlines as a table."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> CONNECTING"]
    for state, moves in TRANSITIONS.items():
        lines += [f"    {state.name} --> {target.name}: {trigger.value}" for trigger, target in moves.items()]
    lines += ["    CLOSED --> [*]", "```", "", "| state | deadline | replies expected |", "|---|---|---|"]
    for state in ConnectionState:
        phase = PHASE.get(state)
        replies = ", ".join(trnm for trnm, states in LEGAL.items() if state in states)
        lines.append(f"| {state.name} | {f'`{phase}_timeout`' if phase else ''} | {replies} |")
    return "\n".join(lines)


def updated(text: str) -> str:
    """Return the document's text with the diagram as the tables have it now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{lifecycle()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(updated(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
