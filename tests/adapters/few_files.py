"""A simulated exchange in a process that may open few files: `python -m tests.adapters.few_files trio 64`."""

from __future__ import annotations

import resource
import sys

import anyio

from kiwoom_proto.simulator import Exchange

from .kit import Loop


def main(name: str, files: int) -> None:
    loop = Loop(name)  # type: ignore[arg-type]

    async def serve() -> None:
        async with loop.serve(Exchange(rate=20)) as server:
            sys.stdout.write(f"{server.endpoint.url}\n")
            sys.stdout.flush()
            await anyio.to_thread.run_sync(sys.stdin.readline)

    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    anyio.run(serve, **loop.backend())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
