"""A pytest plugin that runs tests in unusual schedules: `python -m pytest -p tests.schedules.plugin FILE`."""

import os
import secrets

import pytest

from tests.schedules.disturbance import Disturbance, child_environment, disturb

_SEEDS = 1_000_000


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--schedule-seed`."""
    parser.addoption("--schedule-seed", type=int, help="the seed of the delays; random if it is not given")


def pytest_configure(config: pytest.Config) -> None:
    """Disturb this process, and the Python processes that it starts with its environment."""
    seed = config.getoption("--schedule-seed")
    disturbance = Disturbance(secrets.randbelow(_SEEDS) if seed is None else seed)
    config.stash[_KEY] = disturbance
    os.environ.update(child_environment(disturbance.seed))
    disturb(disturbance)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin a test of its own."""
    item.config.stash[_KEY].begin_test()


def pytest_report_header(config: pytest.Config) -> str:
    """Print the seed, with which a schedule can be tried again."""
    return f"disturbed schedules: --schedule-seed {config.stash[_KEY].seed}"


_KEY = pytest.StashKey[Disturbance]()
