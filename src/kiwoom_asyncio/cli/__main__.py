"""`python -m kiwoom_asyncio.cli` is the `kiwoom-proto` command."""

from .commands import main

main()
