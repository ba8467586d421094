import click
import pytest
from click.testing import CliRunner

from daemon.cli.main import main

_SPANS = {
    "install": ["--lock-timeout", "--min-download-window"],
    "run": ["--check-interval", "--scan-interval", "--verify-interval", "--retry-delay", "--max-retry-delay"],
}


def _refused(*arguments: str) -> str:
    done = CliRunner().invoke(main, list(arguments))
    assert done.exit_code == click.UsageError.exit_code, done.output
    return done.output


@pytest.mark.parametrize("value", ["nan", "inf", "1e300", "99999999999999999999", "-1"])
@pytest.mark.parametrize(
    ("command", "flag"), [(name, flag) for name, flags in _SPANS.items() for flag in flags]
)
def test_what_no_clock_can_tell_is_refused(command: str, flag: str, value: str) -> None:
    assert flag in _refused(command, flag, value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "http://",
        "http:///simple",
        "http://[::1/simple",
        "http://host:99999/simple",
        "http://host:x/",
        "a\tb",
    ],
)
def test_what_is_no_index_is_refused(url: str) -> None:
    assert "--index-url" in _refused("install", "--index-url", url)
