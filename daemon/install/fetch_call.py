"""Groups wheels into as few calls of uv as possible.

Two uv processes that need the same uncached wheel both download and unpack it, and one process cannot install
two versions of a package. So each wheel is in exactly one call, and a call has one index and one Python.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from daemon.install.wanted import WheelToFetch
from daemon.source.body import Source
from gens.lock import LockedWheel

_PART_BYTES = 50_000_000  # a call of uv takes a quarter of a second more than its downloads


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


def divide_call(call: FetchCall) -> Sequence[FetchCall]:
    """Divide a call into wheels that may hold Python sources, and the others, if both have many bytes.

    The sources take as long to compile as all wheels take to download. One uv downloads all of its wheels at
    once, so that the largest, which is Torch, would come last, and its compilation would follow.

    Returns:
        The calls in the order in which they are to download.
    """
    first, second = (
        {name: item for name, item in call.items.items() if may_hold_sources(item.wheel) is wanted}
        for wanted in (True, False)
    )
    if min(sum(item.wheel.size_bytes for item in part.values()) for part in (first, second)) < _PART_BYTES:
        return [call]
    return [replace(call, items=first), replace(call, items=second)]


def may_hold_sources(wheel: LockedWheel) -> bool:
    """Return whether a wheel may hold many Python sources, by its tags.

    A wheel for one platform, but for any Python (`py3-none-manylinux…`), holds libraries and programs.
    """
    *_, abi, platform = wheel.filename.removesuffix(".whl").split("-")
    return abi != "none" or platform == "any"


def format_requirements(wheels: Iterable[LockedWheel]) -> str:
    """Write the requirements file of one uv call."""
    return "".join(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels)
