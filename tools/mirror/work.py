"""Fills a mirror: interpreters, wheels in parallel, then the names of what is complete."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from gens.errors import MirrorError, MonobaseError
from gens.mirror_shape import InterpreterConfig, LockConfig
from tools.mirror.destination import Destination, Published, Way
from tools.mirror.errors import IncompleteError, InterpreterError, LackingError
from tools.mirror.file_source import FileSource
from tools.mirror.interpreters import Download, InterpreterSupply, item_of
from tools.mirror.pace import StoppedError
from tools.mirror.receive import Supply
from tools.mirror.wanted import Item, Wanted


@dataclass(slots=True)
class Result:
    """The outcome of a run.

    Attributes:
        ways: What happened to each wheel and interpreter, by its path.
        failures: Why something is lacking, by its path or key.
        published: The names that were written.
        interpreters: The interpreters that the mirror has of those wanted, by their keys.
    """

    ways: dict[str, tuple[Item, Way]] = field(default_factory=dict)
    failures: dict[str, MonobaseError] = field(default_factory=dict)
    published: Published = field(default_factory=Published)
    interpreters: dict[str, InterpreterConfig] = field(default_factory=dict)

    def count(self, way: Way) -> tuple[int, int]:
        """Return the number and size of the files that had a fate."""
        sizes = [item.size_bytes for item, found in self.ways.values() if found == way]
        return len(sizes), sum(sizes)

    def refuse_incomplete(self, name: str) -> None:
        """Raise an error if something is lacking.

        Args:
            name: The mirror, for the message.

        Raises:
            IncompleteError: Something is; its exit code is that of the failures if they agree.
        """
        if not self.failures:
            return
        codes = {failure.exit_code for failure in self.failures.values()}
        lines = [f"{name}: is incomplete, {len(self.failures)} files are lacking; the others are there:"]
        raise IncompleteError(
            "\n".join(lines + [f"  {failure}" for failure in self.failures.values()]),
            codes.pop() if len(codes) == 1 else LackingError.exit_code,
        )


def fill(
    wanted: Wanted,
    downloads: Mapping[str, Download],
    destination: Destination,
    supply: Supply,
    interpreters: InterpreterSupply,
    *,
    jobs: int,
    stop: threading.Event,
) -> Result:
    """Send what a mirror lacks, and name what is complete in it.

    Args:
        wanted: The locks and wheels.
        downloads: The interpreters, by their keys.
        destination: The mirror.
        supply: The sources.
        interpreters: Receives interpreters.
        jobs: Number of wheels at a time.
        stop: Set after a failure, so that threads which still wait stop.

    Returns:
        What was done. A file that no source has does not stop the others.

    Raises:
        MonobaseError: The mirror refuses, is full or cannot be reached.
    """
    result = Result()
    destination.prepare(wanted, downloads, supply)
    present = _present(destination) if downloads else {}
    _send_interpreters(downloads, present, destination, interpreters, result)
    for item, way in _send_all(wanted.items, destination, supply, jobs, stop):
        if isinstance(way, MonobaseError):
            result.failures[item.path] = way
        else:
            result.ways[item.path] = (item, way)
    result.published = destination.publish(
        complete(wanted.configs, result.failures, wanted.items), present | result.interpreters
    )
    return result


def complete(
    configs: Iterable[LockConfig], failures: Mapping[str, object], items: Iterable[Item]
) -> list[LockConfig]:
    """Return the locks whose wheels are all there."""
    broken = {tag for item in items if item.path in failures for tag in item.users}
    return [config for config in configs if config.tag not in broken]


def _present(destination: Destination) -> dict[str, InterpreterConfig]:
    try:
        return dict(destination.interpreters())
    except MirrorError:
        return {}  # its list is malformed, and written again


def _send_interpreters(
    downloads: Mapping[str, Download],
    present: Mapping[str, InterpreterConfig],
    destination: Destination,
    interpreters: InterpreterSupply,
    result: Result,
) -> None:
    for key, download in downloads.items():
        known = present.get(key)
        if known is not None and known.path == download.path and destination.fault(item_of(known)) is None:
            result.interpreters[key] = known
            result.ways[item_of(known).path] = (item_of(known), "kept")
            continue
        try:
            with interpreters.received(download) as (config, path):
                item = item_of(config)
                supply = Supply([FileSource(path)], interpreters.patience, lambda _count: None)
                result.ways[item.path] = (item, destination.send(item, supply))
                result.interpreters[key] = config
        except (InterpreterError, LackingError, MirrorError) as error:
            result.failures[key] = error


def _send_all(
    items: Sequence[Item], destination: Destination, supply: Supply, jobs: int, stop: threading.Event
) -> list[tuple[Item, Way | LackingError]]:
    waiting: SimpleQueue[Item] = SimpleQueue()
    ended: SimpleQueue[tuple[Item, Way | LackingError] | BaseException] = SimpleQueue()
    for item in items:
        waiting.put(item)
    send: Callable[[Item], Way] = lambda item: destination.send(item, supply)  # noqa: E731
    for number in range(min(jobs, len(items))):
        # Daemon threads: after a failure or Ctrl-C, the process does not wait for a hanging connection.
        threading.Thread(
            target=_work, args=(send, waiting, ended, stop), name=f"file-{number}", daemon=True
        ).start()
    found = []
    try:
        for _ in items:
            one = ended.get()
            if isinstance(one, BaseException):
                raise one
            found.append(one)
    except BaseException:
        stop.set()
        raise
    return found


def _work(
    send: Callable[[Item], Way],
    waiting: SimpleQueue[Item],
    ended: SimpleQueue[tuple[Item, Way | LackingError] | BaseException],
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        try:
            item = waiting.get_nowait()
        except Empty:
            return
        try:
            ended.put((item, send(item)))
        except StoppedError:
            return
        except LackingError as error:
            ended.put((item, error))
        except BaseException as error:
            ended.put(error)
            return
