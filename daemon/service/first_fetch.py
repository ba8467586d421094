"""Spreads the first fetch of many nodes over a time: each node has a moment of its own in it.

The moment follows from the node's name, and is kept on the prefix: a daemon that is restarted does not wait
again. What a model waits for, and what needs no download, does not wait at all.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from daemon.install.plan import make_plan
from daemon.prefix.turn_record import read_turns, write_turns
from daemon.service.context import ServiceContext
from gens.errors import MonobaseError
from gens.generation import Generation

_DIGITS = 16


@dataclass(slots=True)
class FirstFetch:
    """The waits before first fetches.

    Attributes:
        context: The service.
        time_of_day: Seconds since the epoch.
    """

    context: ServiceContext
    time_of_day: Callable[[], float] = lambda: time.time()  # noqa: PLW0108 (looked up at each call, for tests)
    _waits: dict[str, float] = field(default_factory=dict)  # until when, by generation

    def clear(self) -> None:
        """Forget who waits, before all generations are looked at: what is complete now must not be left."""
        self._waits.clear()
        self.context.state.turn = ""

    def may(self, generation: Generation, names: Sequence[str]) -> bool:
        """Return whether targets of a generation may be installed now.

        Args:
            generation: The generation.
            names: What is missing of it.
        """
        name = generation.directory_name
        until_s = self._until_s(generation, names)
        if until_s is None:
            self._waits.pop(name, None)
        else:
            self._waits[name] = until_s
        self.context.state.turn = self._text()
        return until_s is None

    def _until_s(self, generation: Generation, names: Sequence[str]) -> float | None:
        """Return until when targets wait; None if they may be installed now."""
        jitter_s = self.context.options.first_fetch_jitter_s
        if not jitter_s or not names:
            return None
        key, now_s = self._key(generation), self.time_of_day()
        turns = read_turns(self.context.prefix)
        # A clock that was set back must not make a node wait for longer than the option says.
        until_s = min(turns[key], now_s + jitter_s) if key in turns else None
        if until_s is not None and until_s <= now_s:
            return None
        if not self._downloads(generation, names):
            return None
        if until_s is None:
            until_s = now_s + share_of(self.context.options.node_name) * jitter_s
            self._keep(turns, key, round(until_s))
            self.context.reporter.info(
                f"{generation.directory_name}: begins to fetch in {until_s - now_s:.0f} s "
                f"(--first-fetch-jitter {jitter_s:g})"
            )
        return until_s if until_s > now_s else None

    def left_s(self) -> float | None:
        """Return the time until the next generation may be fetched; None if none waits."""
        if not self._waits:
            return None
        return max(0.0, min(self._waits.values()) - self.time_of_day())

    def _text(self) -> str:
        """Return the wait in words; empty for none."""
        if not self._waits:
            return ""
        at = time.strftime("%H:%M:%S UTC", time.gmtime(min(self._waits.values())))
        return f"waiting until {at}, this node's turn to fetch {', '.join(sorted(self._waits))}"

    def _key(self, generation: Generation) -> str:
        """Return a name of what is to be installed: another selection is another first fetch."""
        names = " ".join(sorted(self.context.selection().required(generation)))
        digest = hashlib.sha256(names.encode()).hexdigest()[:_DIGITS]
        return f"{generation.directory_name} {digest}"

    def _downloads(self, generation: Generation, names: Sequence[str]) -> bool:
        context = self.context
        try:
            plan = make_plan(
                context.prefix, context.catalog, min_gen_id=generation.id, max_gen_id=generation.id,
                selection=context.selection(), due=names,
            )  # fmt: skip
        except MonobaseError:  # the install reports it
            return False
        return bool(plan.fetch)

    def _keep(self, turns: dict[str, int], key: str, until_s: int) -> None:
        """Keep a turn; those of generations that are not active any more go."""
        active = {generation.directory_name for generation in self.context.active()}
        kept = {known: moment for known, moment in turns.items() if known.partition(" ")[0] in active}
        with suppress(OSError):  # a full disk: the install itself reports that
            write_turns(self.context.prefix, {**kept, key: until_s})


def share_of(node_name: str) -> float:
    """Return the part of the time that a node waits, from 0 to 1: always the same one for a name."""
    return int.from_bytes(hashlib.sha256(node_name.encode()).digest()[:8]) / 2**64
