"""The types of values that options of the daemon's commands have beyond click's own."""

import math
from typing import Any
from urllib.parse import urlsplit

import click

from daemon.download_limit.rate_limit import SLOWEST_BYTES_PER_S, parse_rate
from daemon.prefix.disk_budget import Amount, parse_amount
from daemon.source.location import Location, parse_location
from daemon.source.peers import parse_peers

_LONGEST_S = 1e9  # 31 years


class Rate(click.ParamType[int]):
    """A rate in bytes per second, such as `50M`.

    Args:
        least: The lowest rate accepted; 0 is accepted whatever it is.
    """

    name = "bytes"  # as help calls a value

    def __init__(self, least: int = SLOWEST_BYTES_PER_S) -> None:
        self._least = least

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse a rate."""
        try:
            return parse_rate(str(value), self._least)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class DiskAmount(click.ParamType[Amount]):
    """Bytes on a disk, such as `300G`, or a share of it, such as `60%`."""

    name = "bytes"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Amount:
        """Parse an amount."""
        if isinstance(value, Amount):
            return value
        try:
            return parse_amount(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Seconds(click.FloatRange):
    """A duration that a clock can measure: not `nan`, and not longer than a thread can wait.

    Args:
        min: The shortest duration accepted.
    """

    name = "seconds"

    def __init__(self, min: float = 0) -> None:  # noqa: A002 (click's own word)
        super().__init__(min, _LONGEST_S)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 (click's own type)
        """Parse a duration."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):  # every range contains it, as it compares with nothing
            self.fail(f"{value} is not a number of seconds", param, ctx)
        return seconds


class IndexUrl(click.ParamType[str]):
    """A package index: a URL or a folder. Users and passwords in it are checked where they are used."""

    name = "url"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check an index."""
        text = str(value)
        if not text.strip() or not text.isprintable():
            self.fail("is empty, or contains invisible characters", param, ctx)
        if "://" in text and "@" not in text and not _has_host(text):
            self.fail("is not a URL with a host, and a port below 65536 if any", param, ctx)
        return text


class SourceLocation(click.ParamType[Location]):
    """A source of wheels, such as `oci://registry.example/monobase`."""

    name = "source"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Location:
        """Parse a location."""
        try:
            return parse_location(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class PeersAddress(click.ParamType[tuple[str, int]]):
    """The address of a peer-to-peer engine, such as `http://10.0.0.7:4001`."""

    name = "url"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Parse an address."""
        try:
            return parse_peers(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "file" or bool(parts.hostname and parts.port != 0 and " " not in url)
    except ValueError:
        return False
