"""A live order book (0D) in the browser: FastAPI, and one feed for every page.

    pip install "kiwoom-proto[asyncio]" fastapi uvicorn uvloop websockets
    KIWOOM_APPKEY=... KIWOOM_SECRETKEY=... uvicorn --loop uvloop --app-dir examples/frameworks live_book:app

Then open http://127.0.0.1:8000/?005930, in as many browsers as you like: pages of one stock share its registration.
KIWOOM_URL=ws://... is for a simulated exchange.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse

import kiwoom_asyncio
from kiwoom_proto import PRODUCTION, AppKey, Endpoint, KiwoomError, OrderBook

ENDPOINT = Endpoint(os.environ.get("KIWOOM_URL", PRODUCTION.url))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    async with kiwoom_asyncio.connect(ENDPOINT, token=AppKey.from_env()) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/")
def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("live_book.html"))


@app.websocket("/books/{code}")
async def books(websocket: WebSocket, code: str) -> None:
    client: kiwoom_asyncio.Client = websocket.app.state.client
    await websocket.accept()
    try:
        # A slow page misses books in between, and delays nobody.
        async with client.stream(OrderBook, code, overflow="conflate") as rows, anyio.create_task_group() as tasks:
            tasks.start_soon(cancel_when_closed, websocket, tasks.cancel_scope)
            async for book in rows:
                levels = {"asks": [*zip(book.ask_prices, book.ask_quantities, strict=True)][:5]}
                levels |= {"bids": [*zip(book.bid_prices, book.bid_quantities, strict=True)][:5]}
                await websocket.send_json({"symbol": str(book.symbol), "time": str(book.time), **levels})
    except* WebSocketDisconnect:
        pass  # the page was closed while a book was on its way
    except* KiwoomError as errors:  # no such stock, no room, or the connection is lost for good
        await websocket.send_json({"error": str(errors.exceptions[0])})
        await websocket.close()


async def cancel_when_closed(websocket: WebSocket, scope: anyio.CancelScope) -> None:
    """End the stream with its page, even if no row comes that could not be sent."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    scope.cancel()
