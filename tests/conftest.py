"""What every test shares: how Hypothesis chooses and reports, and the root of the tree.

A failing property prints the blob that replays it; `pytest --hypothesis-seed=N` repeats a whole run with its examples.
The environment variable HYPOTHESIS_PROFILE picks another profile: `thorough` looks ten times as long.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Everywhere, and not imported where they are used: each import would be a fixture, and a server, of its own.
pytest_plugins = ("tests.servers.fixtures",)

# No deadline: two cores are shared with real hosts, and a slow example is not a wrong one.
# Never derandomized: continuous integration should find what yesterday's run did not.
_SUPPRESSED = (HealthCheck.too_slow,)
settings.register_profile(
    "fleet", deadline=None, derandomize=False, print_blob=True, max_examples=60, suppress_health_check=_SUPPRESSED
)
settings.register_profile("thorough", settings.get_profile("fleet"), max_examples=600)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fleet"))


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The root of the source tree that these tests belong to."""
    return Path(__file__).resolve().parents[1]
