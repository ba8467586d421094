"""The operations of a mirror, whatever it is: a folder, a registry or an archive."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from gens.mirror_shape import InterpreterConfig, LockConfig
from tools.mirror.interpreters import Download
from tools.mirror.receive import Supply
from tools.mirror.wanted import Item, Wanted

Way = Literal["kept", "mounted", "sent"]


@dataclass(frozen=True, slots=True)
class Published:
    """The names that a run wrote in a mirror.

    Attributes:
        new: Tags of the locks and interpreters that were named or renamed.
        kept: Tags that the mirror had as they are.
    """

    new: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Removed:
    """The files or tags that a prune removed.

    Attributes:
        names: Tags, or paths of files.
        size_bytes: Bytes that were freed; 0 where the registry frees them later.
        left: Why something was left.
    """

    names: tuple[str, ...] = ()
    size_bytes: int = 0
    left: tuple[str, ...] = ()


class Destination(Protocol):
    """A mirror that is written or checked; several threads send files to it.

    Attributes:
        name: The mirror in messages, without credentials.
    """

    name: str

    def interpreters(self) -> Mapping[str, InterpreterConfig]:
        """Return the interpreters that the mirror has, by their keys."""

    def written(self) -> AbstractContextManager[None]:
        """Acquire the lock of the mirror, if several processes cannot write to it at once."""

    def prepare(self, wanted: Wanted, downloads: Mapping[str, Download], supply: Supply) -> None:
        """Check that the mirror has room for what it lacks.

        Args:
            wanted: The locks and wheels that it is to have.
            downloads: The interpreters that it is to have, by their keys.
            supply: The sources.

        Raises:
            DiskError: It has not; both figures are in the message.
            IncompleteError: The mirror can only be written as a whole, and no source has some wheels.
        """

    def send(self, item: Item, supply: Supply) -> Way:
        """Send a file unless the mirror has it.

        Raises:
            LackingError: No source has it; other files can be sent.
            MonobaseError: The mirror refuses, is full or cannot be reached.
        """

    def publish(
        self, configs: Iterable[LockConfig], interpreters: Mapping[str, InterpreterConfig]
    ) -> Published:
        """Name locks and interpreters whose files are all there.

        Args:
            configs: The complete locks.
            interpreters: All interpreters that the mirror is to have, by their keys.
        """

    def fault(self, item: Item) -> str | None:
        """Return what is wrong with a file in the mirror, such as `is missing`; None if it is right."""

    def unnamed(self, configs: Iterable[LockConfig]) -> list[str]:
        """Return the tags of the locks that the mirror does not name, or names with another content."""

    def defects(self) -> list[str]:
        """Return a line for everything else that is wrong in the mirror."""

    def prune(
        self,
        configs: Iterable[LockConfig],
        items: Iterable[Item],
        interpreters: Mapping[str, InterpreterConfig] | None,
        *,
        dry_run: bool,
    ) -> Removed:
        """Remove what is not wanted, and only what mirrors are made of.

        Args:
            configs: The locks that stay.
            items: The wheels that stay.
            interpreters: The interpreters that stay; None for all.
            dry_run: Whether nothing is removed, only reported.
        """
