"""How fast the core is. `python -m benchmarks --help`."""
