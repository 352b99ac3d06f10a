"""What all tests share: Hypothesis profiles, the test data, which form of the code runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

import zhiwei

#: In CI the examples are the same in every run, so that a red run means a change and not a die. No
#: deadline anywhere: no test depends on how fast the machine is today.
settings.register_profile(
    "ci", derandomize=True, max_examples=100, deadline=None, database=None, print_blob=True
)
#: At home every run looks elsewhere, and what failed once is tried again first.
settings.register_profile("dev", max_examples=100, deadline=None)
#: For a long search by hand: `HYPOTHESIS_PROFILE=search make test`.
settings.register_profile(
    "search",
    max_examples=5_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "dev")
)


def runs_compiled() -> bool:
    """The core that is imported is the one that mypyc made."""
    from zhiwei.core import money

    return not str(money.__file__).endswith(".py")


def pytest_report_header() -> str:
    """Say which form of the code is tested."""
    form = "compiled by mypyc" if runs_compiled() else "plain Python"
    return f"zhiwei: {form}, from {Path(zhiwei.__file__).parent}"


def pytest_sessionstart() -> None:
    """End a run that was meant for compiled code and got plain Python, or the reverse."""
    expected = os.environ.get("ZHIWEI_EXPECT")
    actual = "compiled" if runs_compiled() else "plain"
    if expected and expected != actual:
        pytest.exit(f"ZHIWEI_EXPECT={expected}, but the {actual} form was imported", returncode=3)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Where files that tests read are kept: `tests/data`."""
    return Path(__file__).parent / "data"
