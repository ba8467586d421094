"""Groups wheels into as few calls of uv as possible.

Two uv processes that need the same uncached wheel both download and unpack it, and one process cannot install
two versions of a package. So each wheel is in exactly one call, and a call has one index and one Python.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.install.wanted import WheelToFetch
from daemon.source.body import Source
from gens.lock import LockedWheel


@dataclass(slots=True)
class FetchCall:
    """The wheels that one call of uv downloads.

    Attributes:
        index_url: Index that serves them; None for the default index.
        platform: Target platform in uv's words.
        python: Full Python version that all of the wheels support.
        items: The wheels, by name of the package.
        refresh: Whether uv requests the pages of these packages again, although it has them in its cache.
        sources: The sources that they come from; None for the index.
    """

    index_url: str | None
    platform: str
    python: str
    items: dict[str, WheelToFetch] = field(default_factory=dict)
    refresh: bool = False
    sources: tuple[Source, ...] | None = None

    def alone(self, item: WheelToFetch) -> "FetchCall":
        """Return a call for one of the wheels."""
        return FetchCall(
            self.index_url, self.platform, self.python, {item.wheel.name: item}, sources=self.sources
        )

    def takes(self, item: WheelToFetch) -> bool:
        """Return whether a wheel can join the call."""
        return (
            self.index_url == item.index_url
            and self.platform == item.platform
            and self.python in item.pythons
            and item.wheel.name not in self.items
        )


def group_calls(items: Iterable[WheelToFetch]) -> list[FetchCall]:
    """Return as few calls as possible that hold each wheel once."""
    calls: list[FetchCall] = []
    # Wheels for one Python only come first: they decide which calls there must be, and the others join them.
    for item in sorted(items, key=lambda item: (len(item.pythons), item.wheel.name, item.wheel.version)):
        call = next((call for call in calls if call.takes(item)), None)
        if call is None:
            call = FetchCall(item.index_url, item.platform, item.pythons[0])
            calls.append(call)
        call.items[item.wheel.name] = item
    return calls


def format_requirements(wheels: Iterable[LockedWheel]) -> str:
    """Write the requirements file of one uv call."""
    return "".join(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels)
