"""Counts the environments that use each interpreter, wheel and bytecode file, as one after the other goes.

Environments share nearly all of that. A thousand of them, each with the names of its five thousand files of
bytecode, would take a gigabyte, and joining them after each removal an hour. So environments are counted for
each list of bytecode, and lists for each file.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from daemon.prefix.prefix import Prefix
from daemon.prefix.unused import Used, bytecode_of, wheel_records

_Item = TypeVar("_Item")


class UseCount:
    """The uses of what environments share.

    Args:
        prefix: The prefix.
        always: What stays in use.
        uses: What each environment uses, as `read_uses` reads it.

    Raises:
        DamageError: A list of bytecode cannot be read.
        NewerFormatError: A newer release has written one.
    """

    def __init__(self, prefix: Prefix, always: Used, uses: Iterable[Used]) -> None:
        self._prefix = prefix
        self._toolkits: Counter[str] = Counter()
        self._interpreters: Counter[str] = Counter()
        self._wheels: Counter[str] = Counter()
        self._lists: Counter[Path] = Counter()
        self._bytecode: Counter[str] = Counter()
        for used in (always, *uses):
            self._toolkits.update(used.toolkits)
            self._interpreters.update(used.interpreters)
            self._wheels.update(used.wheels)
            self._lists.update(used.lists)
        self._names = {path: bytecode_of(prefix, path) for path in self._lists}
        for names in self._names.values():
            self._bytecode.update(names)
        self._keys = Counter(_key(name) for name in self._bytecode)
        self._records = wheel_records(prefix)

    @property
    def used(self) -> Used:
        """All that is in use now."""
        return Used(
            set(self._toolkits), set(self._interpreters), set(self._wheels), set(self._lists),
            set(self._bytecode),
        )  # fmt: skip

    def has_wheel(self, digests: Iterable[str]) -> bool:
        """Return whether a wheel with one of some digests is in use now."""
        return any(digest in self._wheels for digest in digests)

    def remove(self, used: Used) -> Used:
        """Count what an environment uses as not used by it any more, and return what nothing uses now."""
        gone = Used(
            interpreters=_remove(self._interpreters, used.interpreters),
            wheels=_remove(self._wheels, used.wheels),
            lists=_remove(self._lists, used.lists),
        )
        for path in gone.lists:
            gone.bytecode |= _remove(self._bytecode, self._names.pop(path))
        _remove(self._keys, [_key(name) for name in gone.bytecode])
        return gone

    def records(self, gone: Used) -> Iterator[str]:
        """Yield the paths of the records and the bytecode of what nothing uses any more.

        Args:
            gone: As `remove` has just returned it.
        """
        yield from sorted(map(str, gone.lists))
        for wheel in sorted(gone.wheels):
            yield from self._records.get(wheel, ())
        store = self._prefix.bytecode
        for name in sorted(gone.bytecode):
            key, _, stem = name.partition("/")
            if key in self._keys:
                yield f"{store}/{key}/{stem[:2]}/{stem}.pyc"
        emptied = {_key(name) for name in gone.bytecode} - self._keys.keys()
        yield from sorted(f"{store}/{key}" for key in emptied)


def _key(bytecode: str) -> str:
    return bytecode.partition("/")[0]


def _remove(counter: Counter[_Item], items: Collection[_Item]) -> set[_Item]:
    """Count items once less, and return those that are not left."""
    gone = set()
    for item in items:
        counter[item] -= 1
        if counter[item] <= 0:
            del counter[item]
            gone.add(item)
    return gone
