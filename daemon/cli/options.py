"""What the commands of the daemon have in common: options, each an environment variable as well."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from daemon.download_limit.rate_limit import SLOWEST_BYTES_PER_S, parse_rate
from daemon.prefix.prefix import DEFAULT_PREFIX
from daemon.uv.least_rate import DEFAULT_WINDOW_S, LeastRate

_PATH = click.Path(path_type=Path)
_DIRECTORY = click.Path(path_type=Path, exists=True, file_okay=False)
_LONGEST_S = 1e9  # 31 years
_SHARES = 16  # twice as many calls of uv as there are at once
Command = Callable[..., None]


class _Rate(click.ParamType[int]):
    """Bytes a second, such as `50M`.

    Args:
        least: The lowest; 0 is taken whatever it is.
    """

    name = "rate"

    def __init__(self, least: int = SLOWEST_BYTES_PER_S) -> None:
        self._least = least

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read one."""
        try:
            return parse_rate(str(value), self._least)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Seconds(click.FloatRange):
    """A span of time that a clock can tell: neither `nan`, nor one that no thread can wait for.

    Args:
        min: The shortest.
    """

    name = "seconds"

    def __init__(self, min: float = 0) -> None:  # noqa: A002 (click's own word)
        super().__init__(min, _LONGEST_S)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 (click's own type)
        """Read one."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):  # in every range, as it compares with nothing
            self.fail(f"{value} is no number of seconds", param, ctx)
        return seconds


class _IndexUrl(click.ParamType[str]):
    """An index: an URL, or a folder; what is wrong with a user or password is told elsewhere."""

    name = "url"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read one."""
        text = str(value)
        if not text.strip() or not text.isprintable():
            self.fail("is empty, or has invisible characters in it", param, ctx)
        if "://" in text and "@" not in text and not _has_host(text):
            self.fail("is no URL with a host, and a port below 65536 if any", param, ctx)
        return text


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "file" or bool(parts.hostname and parts.port != 0 and " " not in url)
    except ValueError:
        return False


def option(flag: str, **settings: Any) -> Callable[[Command], Command]:  # noqa: ANN401 (click's own type)
    """Make an option that is an environment variable as well: `--min-gen-id` is `MONOBASE_MIN_GEN_ID`."""
    variable = "MONOBASE_" + flag.split("/", maxsplit=1)[0].removeprefix("--").replace("-", "_").upper()
    return click.option(flag, envvar=variable, show_envvar=True, show_default=True, **settings)


prefix_option = option(
    "--prefix", type=_PATH, default=DEFAULT_PREFIX, help="Folder of the node that holds everything."
)
gens_option = option(
    "--gens", type=_DIRECTORY, help="Folder of definitions and locks instead of the built-in ones."
)
uv_option = option("--uv", type=_PATH, help="uv's binary instead of the built-in one.")
log_format_option = option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="For people, or an object a line.",
)
lock_timeout_option = option(
    "--lock-timeout", type=Seconds(), metavar="SECONDS",
    help="How long to wait for another writer of the prefix; without it, as long as it takes.",
)  # fmt: skip
jobs_option = option(
    "--jobs", type=click.IntRange(min=1), default=lambda: min(8, len(os.sched_getaffinity(0))),
    help="How many things are done at once; the number of processors, at most 8, when not given.",
)  # fmt: skip
max_download_rate_option = option(
    "--max-download-rate", type=_Rate(), metavar="BYTES",
    help="Bytes a second that all downloads together may take, such as 50M; no limit when not given.",
)  # fmt: skip
min_download_rate_option = option(
    "--min-download-rate", type=_Rate(least=0), default="1k", metavar="BYTES",
    help="Bytes a second that an index must send over --min-download-window; 0 for as slow as it likes.",
)  # fmt: skip
min_download_window_option = option(
    "--min-download-window", type=Seconds(0.1), default=DEFAULT_WINDOW_S, metavar="SECONDS",
    help="How long a download may be slower than --min-download-rate.",
)  # fmt: skip
concurrent_downloads_option = option(
    "--concurrent-downloads", type=click.IntRange(min=1), help="How many wheels a uv downloads at once."
)
python_mirror_option = option("--python-mirror", metavar="URL", help="Where uv downloads interpreters from.")
index_url_option = option(
    "--index-url", type=_IndexUrl(), metavar="URL",
    help="Default index, instead of the one of uv's own configuration.",
)  # fmt: skip
min_gen_id_option = option("--min-gen-id", type=click.IntRange(min=0), help="Oldest active generation.")
max_gen_id_option = option("--max-gen-id", type=click.IntRange(min=0), help="Newest active generation.")
copy_option = option(
    "--copy", is_flag=True,
    help="Copy files, for a file system without hard links: each environment takes its full size.",
)  # fmt: skip
python_downloads_option = option(
    "--python-downloads/--no-python-downloads", default=True, help="Whether uv may download interpreters."
)


def check_range(min_gen_id: int | None, max_gen_id: int | None) -> None:
    """Refuse a range that no generation can be in.

    Raises:
        click.UsageError: It is one.
    """
    if min_gen_id is not None and max_gen_id is not None and min_gen_id > max_gen_id:
        raise click.UsageError(
            f"--min-gen-id {min_gen_id} is above --max-gen-id {max_gen_id}: no generation is active"
        )


def least_rate(
    min_download_rate: int, min_download_window: float, max_download_rate: int | None
) -> LeastRate | None:
    """Give how slow a download may be.

    Args:
        min_download_rate: Bytes a second; 0 for as slow as it likes.
        min_download_window: Seconds.
        max_download_rate: What all downloads together may take: our own limit makes no index slow.
    """
    rate = min_download_rate
    if max_download_rate is not None:
        rate = min(rate, max_download_rate // _SHARES)
    return LeastRate(rate, min_download_window) if rate else None
