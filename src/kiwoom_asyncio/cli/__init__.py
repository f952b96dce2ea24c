"""The `kiwoom-proto` command: its arguments, live views, JSON lines, and how it ends."""

from .commands import main

__all__ = ("main",)
