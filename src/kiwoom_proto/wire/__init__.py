"""From bytes to messages and back: RFC 6455, and what Kiwoom's JSON messages say."""

__all__ = ()
