"""A chat bot that answers "/price 005930": a long-poll loop beside the feed, with Telegram's bot API.

    pip install "kiwoom-proto[asyncio]"
    KIWOOM_APPKEY=... KIWOOM_SECRETKEY=... BOT_URL=https://api.telegram.org/bot<TOKEN> \\
    python examples/frameworks/price_bot.py wss://api.kiwoom.com:10000/api/dostk/websocket 005930 000660

It answers whoever asks. BOT_URL has the bot's token in it, so it is neither printed nor logged.
"""

import asyncio
import json
import os
import sys
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import anyio.to_thread

import kiwoom_asyncio
from kiwoom_proto import AppKey, Endpoint, LocalProtocolError, Trade

PATIENCE = 25  # seconds that the bot API waits for news before it answers that there are none
PAUSE = 5  # seconds before it is asked again after a failure


async def call(method: str, **arguments: object) -> Any:
    """Call the bot API; in a thread, as urllib blocks."""
    request = Request(f"{os.environ['BOT_URL']}/{method}", json.dumps(arguments).encode())
    request.add_header("Content-Type", "application/json")

    def post() -> Any:
        try:
            with urlopen(request, timeout=PATIENCE + 10) as response:
                return json.load(response)["result"]
        except HTTPError as error:
            error.close()  # it is a response too
            raise

    return await anyio.to_thread.run_sync(post, abandon_on_cancel=True)


def answer(client: kiwoom_asyncio.Client, text: str) -> str:
    match text.split():
        case ["/price", code]:
            try:
                trade = client.latest(Trade, code)
            except LocalProtocolError as error:  # nothing is subscribed to it
                return str(error)
            return f"{code}: {trade.price} at {trade.time}" if trade else f"{code}: no trade yet"
        case _:
            return "/price 005930"


async def run(endpoint: Endpoint, items: list[str]) -> None:
    async with (
        kiwoom_asyncio.connect(endpoint, token=AppKey.from_env()) as client,
        client.stream(Trade, *items, overflow="conflate"),
    ):
        for item in items:
            client.latest(Trade, item)  # keep it from now on
        offset = 0
        while True:
            try:
                for update in await call("getUpdates", offset=offset, timeout=PATIENCE):
                    offset = update["update_id"] + 1
                    if message := update.get("message"):
                        text = answer(client, message.get("text", ""))
                        await call("sendMessage", chat_id=message["chat"]["id"], text=text)
            except OSError as error:
                print(f"the bot API: {error}; trying again in {PAUSE} s", file=sys.stderr)
                await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    asyncio.run(run(Endpoint(sys.argv[1]), sys.argv[2:]))
