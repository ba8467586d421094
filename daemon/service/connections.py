"""The open connections of a server: limited in number, and a new one is always accepted.

A probe must be answered while a client opens connections and sends nothing. So at the limit, an old
connection is dropped for a new one: one that has its answer, else one whose request is incomplete, else one
that waits for its answer. Among these it is the oldest of the address that has most of them.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum


class Stage(IntEnum):
    """The stage of a connection; the lowest is dropped first."""

    ANSWERED = 0
    READING = 1
    ANSWERING = 2


@dataclass(slots=True)
class _Connection:
    address: str
    stage: Stage = Stage.READING


@dataclass(slots=True)
class Connections:
    """The open connections, as the tasks that serve them.

    Attributes:
        most: The limit.
    """

    most: int
    _held: dict[asyncio.Task[None], _Connection] = field(default_factory=dict)  # oldest first

    def __len__(self) -> int:
        """Return their number."""
        return len(self._held)

    async def make_room(self) -> None:
        """Drop connections until there is room for one more, and wait until they are closed."""
        while len(self._held) >= self.most:
            stage = min(connection.stage for connection in self._held.values())
            those = {task: held.address for task, held in self._held.items() if held.stage == stage}
            address = Counter(those.values()).most_common(1)[0][0]
            oldest = next(task for task, of in those.items() if of == address)
            oldest.cancel()
            await asyncio.wait([oldest])
            self._held.pop(oldest, None)

    def add(self, task: asyncio.Task[None], address: str) -> None:
        """Count a connection until its task ends.

        Args:
            task: Serves the connection; ends when it is cancelled.
            address: IP address of the client.
        """
        self._held[task] = _Connection(address)
        task.add_done_callback(lambda ended: self._held.pop(ended, None))

    def reach(self, stage: Stage) -> None:
        """Set the stage of the connection that the current task serves."""
        task = asyncio.current_task()
        if task in self._held:
            self._held[task].stage = stage
