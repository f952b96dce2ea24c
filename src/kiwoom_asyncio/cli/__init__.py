"""The `kiwoom-proto` command: what it takes, the live views, JSON lines, and how it ends."""

from .commands import main

__all__ = ("main",)
