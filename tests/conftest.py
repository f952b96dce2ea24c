"""What all tests share: how Hypothesis searches.

`make test` runs the same examples every time, so that it fails for a change and for nothing else. `make properties`
draws new ones, and more of them; a failure that it finds becomes a test of its own.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadline and no check of how slow an example is: neither may depend on how busy the machine is.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.register_profile(
    "search", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
