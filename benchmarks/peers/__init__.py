"""Drivers of the opponents, each run by the Python of its own environment. They import nothing of kiwoom-proto."""
