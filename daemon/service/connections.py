"""The connections that a server holds: no more than a bound, and nobody keeps others out.

A probe must be answered while somebody opens connections and says nothing on them. So a new connection always
gets in, and another one is dropped for it when the bound is reached: one that has its answer, else one whose
request is not whole, else one that waits for its answer; of the address that has most of these, the oldest.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum


class Stage(IntEnum):
    """How far a connection is, in the order in which they are dropped."""

    ANSWERED = 0
    READING = 1
    ANSWERING = 2


@dataclass(slots=True)
class _Connection:
    address: str
    stage: Stage = Stage.READING


@dataclass(slots=True)
class Connections:
    """The connections that are open, as the tasks that serve them.

    Attributes:
        most: The bound.
    """

    most: int
    _held: dict[asyncio.Task[None], _Connection] = field(default_factory=dict)  # oldest first

    def __len__(self) -> int:
        """Give how many there are."""
        return len(self._held)

    async def make_room(self) -> None:
        """Drop connections until one more is within the bound, and wait until they are closed."""
        while len(self._held) >= self.most:
            stage = min(connection.stage for connection in self._held.values())
            those = {task: held.address for task, held in self._held.items() if held.stage == stage}
            address = Counter(those.values()).most_common(1)[0][0]
            oldest = next(task for task, of in those.items() if of == address)
            oldest.cancel()
            await asyncio.wait([oldest])
            self._held.pop(oldest, None)

    def add(self, task: asyncio.Task[None], address: str) -> None:
        """Hold a connection until its task ends.

        Args:
            task: What serves it; it ends when it is cancelled.
            address: Where it comes from.
        """
        self._held[task] = _Connection(address)
        task.add_done_callback(lambda ended: self._held.pop(ended, None))

    def reach(self, stage: Stage) -> None:
        """Note how far the connection is that the task of now serves."""
        task = asyncio.current_task()
        if task in self._held:
            self._held[task].stage = stage
