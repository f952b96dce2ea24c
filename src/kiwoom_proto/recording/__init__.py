"""What is received, kept in files and read again: `read_recording`. docs/recordings.md has the format."""

__all__ = ()
