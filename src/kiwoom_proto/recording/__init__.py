"""What is received, kept in files and read again. docs/recordings.md has the format.

Recorder          keeps what a client hears and says: `connect(..., record=Recorder(folder))`
read_recording    yields the events of files and folders
"""

from .reader import read_recording
from .recorder import Recorder, RecorderStats

__all__ = ("Recorder", "RecorderStats", "read_recording")
