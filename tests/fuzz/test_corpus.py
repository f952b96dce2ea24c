"""What fuzzing has found so far, once more: every input of the corpus, and every seed, through its target."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiwoom_proto import Closed, ServerConnection
from kiwoom_proto.connection.server import ClientOpened, RequestReceived
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.testing import ManualClock

from ..proto.wire import CLOSE, TEXT, close_payload, frame
from .seeds import seeds
from .targets import REQUEST, TARGETS

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.skipif(not CORPUS.exists(), reason="an sdist has no corpus")
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_in_the_corpus_is_a_finding(name: str) -> None:
    inputs = {path.name: path.read_bytes() for path in sorted((CORPUS / name).iterdir())}
    assert inputs
    for file, data in inputs.items():
        try:
            TARGETS[name](data)
        except Exception as error:
            error.add_note(f"the input is corpus/{name}/{file}")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_no_seed_is_a_finding(name: str) -> None:
    for data in seeds(name):
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_an_input_may_be_empty(name: str) -> None:
    TARGETS[name](b"")


def test_the_corpus_is_small() -> None:
    sizes = [path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(sizes) < 1_000_000


# What was found and mended, in words.


@pytest.mark.parametrize("last", [frame(CLOSE, close_payload(), mask=b"abcd"), frame(TEXT, b"unmasked")])
def test_a_client_that_opens_and_ends_in_one_read_has_opened(last: bytes) -> None:
    # That it had opened was never reported, while its request was.
    data = REQUEST + frame(TEXT, b'{"trnm":"REG"}', mask=b"abcd") + last
    connection = ServerConnection(clock=ManualClock())
    connection.receive_data(data)
    opened, received, closed = connection.events()
    assert isinstance(opened, ClientOpened) and isinstance(closed, Closed)
    assert isinstance(received, RequestReceived)
    connection.accept(received.request)
    Exchange(clock=ManualClock()).connect().receive_data(data)
