"""Answers that many clients share: asking often costs no more than asking once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from daemon.service.answers import Question, Response

_THREADS = 4  # more than there are questions


@dataclass(slots=True)
class SharedAnswers:
    """Finds each answer in a thread, one at a time for each question, for all who asked before it began.

    Attributes:
        find: Finds an answer; it may take long.
    """

    find: Callable[[Question], Response]
    _waiting: dict[Question, asyncio.Task[Response]] = field(default_factory=dict)
    _turns: dict[Question, asyncio.Lock] = field(default_factory=dict)
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, thread_name_prefix="answer")
    )

    async def answer(self, question: Question) -> Response:
        """Return an answer whose search began after the question was asked."""
        task = self._waiting.get(question)
        if task is None:
            task = self._waiting[question] = asyncio.create_task(self._find(question))
        return await asyncio.shield(task)  # a client that goes away cancels it for nobody else

    async def _find(self, question: Question) -> Response:
        async with self._turns.setdefault(question, asyncio.Lock()):
            del self._waiting[question]  # a client that asks from now on wants a newer answer
            return await asyncio.get_running_loop().run_in_executor(self._threads, self.find, question)
