"""The settings of the commands: what they refuse, and what follows from them."""

import pytest
from click.testing import CliRunner

from daemon.cli.main import main
from daemon.cli.settings import SourceSettings, WorkSettings
from daemon.uv.least_rate import LeastRate


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("install --min-gen-id 3 --max-gen-id 2", "--min-gen-id 3 is above --max-gen-id 2: no generation"),
        ("ready --min-gen-id 3 --max-gen-id 2", "no generation is active"),
        ("prune --min-gen-id 3 --max-gen-id 2", "no generation is active"),
        ("prune", "Missing option '--min-gen-id'"),
        ("run --prune-old-gen", "--prune-old-gen needs --min-gen-id"),
        ("run --retry-delay 20 --max-retry-delay 10", "--max-retry-delay 10 is below --retry-delay 20"),
        ("run --python-mirror http://m/ --no-python-downloads", "contradict each other"),
        ("run --compile-cache /srv/r8/monobase/cache", "not an absolute path outside of the prefix"),
        ("run --compile-cache cache", "not an absolute path outside of the prefix"),
        ("run --compile-cache-size 3", "give a unit"),
        ("run --eager python*", "--eager needs --on-demand"),
        ("ready --eager python*", "--eager needs --on-demand"),
        ("evict", "evict needs --disk-budget or --keep-free"),
        ("install --disk-budget 300", "'300' is less than 1M; give a unit, such as 300G"),
        ("run --disk-budget 300g", "'300g' is neither a number of bytes, such as 300G"),
        ("run --keep-free 0%", "'0%' is not a share of the disk"),
        ("run --features-dir /nowhere", "does not exist"),
        ("install --jobs 0", "--jobs"),
        ("run --first-fetch-jitter -1", "--first-fetch-jitter"),
        ("install --max-download-rate 1", "--max-download-rate"),
        ("install --source mirror", "'mirror' is not a source: write oci://REGISTRY/REPOSITORY"),
        ("run --p2p 10.0.0.7", "'10.0.0.7' is not the address of a peer-to-peer engine"),
        ("run --p2p http://me:secretword@h:1", "'http://h:1' is not the address of a peer-to-peer engine"),
    ],
)
def test_what_means_nothing_is_wrong_usage(arguments: str, reason: str) -> None:
    done = CliRunner().invoke(main, arguments.split())
    assert done.exit_code == 2
    assert reason in done.output


@pytest.mark.parametrize(
    "pattern", ["", " ", "a b", "[p\nselection x]*", "[\t]*", "*\r", "[\x1b]*", "*\udcff*"]
)
@pytest.mark.parametrize("verb", ["install", "ready", "run", "prune --min-gen-id 0", "evict --keep-free 1%"])
def test_a_pattern_that_is_not_one_word_is_wrong_usage(verb: str, pattern: str) -> None:
    done = CliRunner().invoke(main, [*verb.split(), "--only", pattern])
    assert done.exit_code == 2
    assert f"--only {pattern!a} is not a pattern" in done.output


def _work(min_download_rate: int, max_download_rate: int | None) -> WorkSettings:
    return WorkSettings(
        jobs=1,
        copy=False,
        index_url=None,
        sources=SourceSettings(source=(), registry_config=None, p2p=None),
        max_download_rate=max_download_rate,
        min_download_rate=min_download_rate,
        min_download_window=30.0,
        python_downloads=True,
    )


def test_an_index_is_not_slow_where_the_limit_of_all_downloads_is() -> None:
    assert _work(1000, None).least_rate == LeastRate(1000, 30.0)
    assert _work(1000, 8000).least_rate == LeastRate(500, 30.0)
    assert _work(1000, 1_000_000).least_rate == LeastRate(1000, 30.0)


def test_no_rate_is_too_slow_where_none_is_given() -> None:
    assert _work(0, None).least_rate is None
    assert _work(0, 8000).least_rate is None
