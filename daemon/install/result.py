"""The result of one install."""

from dataclasses import dataclass, field

from gens.errors import MonobaseError


@dataclass(slots=True)
class InstallResult:
    """The result of an install.

    Attributes:
        installed: Environments and toolkits that are new, as `g00003/cuda12.4`.
        sealed: Names of the planned generations that are sealed now.
        partial: Names of those that lack something still.
        latest: The generation that `latest` names, or None.
        fetched_bytes: Bytes of the wheels that were downloaded.
        failures: The errors, by target such as `g00003/cuda12.4`, by generation such as `g00003`, or of
            `latest`.
        seconds: Duration of the install.
        gave_way: Whether the install ended before the last batch, for what a model waits for.
    """

    installed: list[str] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    latest: str | None = None
    fetched_bytes: int = 0
    failures: dict[str, MonobaseError] = field(default_factory=dict)
    seconds: float = 0.0
    gave_way: bool = False
