"""A live price in a Streamlit page, without async: one client for every visitor.

    pip install "kiwoom-proto[asyncio]" streamlit
    KIWOOM_APPKEY=... KIWOOM_SECRETKEY=... streamlit run examples/frameworks/live_price.py

KIWOOM_URL=ws://... is for a simulated exchange.
"""

import os

import streamlit as st

from kiwoom_asyncio import blocking
from kiwoom_proto import PRODUCTION, AppKey, Endpoint, LocalProtocolError, Trade

ENDPOINT = Endpoint(os.environ.get("KIWOOM_URL", PRODUCTION.url))


# Streamlit runs this file again at each click, each time in a thread of its own. What is cached stays.


@st.cache_resource
def feed() -> blocking.Client:
    return blocking.open(ENDPOINT, token=AppKey.from_env())


@st.cache_resource
def watch(code: str) -> blocking.Stream[Trade]:
    """Subscribe to a stock once. Nobody iterates the stream: its newest row is all that the page shows."""
    return feed().stream(Trade, code, overflow="conflate").__enter__()


@st.fragment(run_every=1)
def show(code: str) -> None:
    trade = feed().latest(Trade, code)
    if trade is None or trade.price is None:
        st.caption("no trade yet")
    else:
        st.metric(f"{trade.symbol} · {trade.time}", f"{trade.price:,}", trade.change)


code = st.text_input("종목코드", "005930")
try:
    watch(code)
    show(code)
except LocalProtocolError as error:  # no such stock
    st.error(str(error))
