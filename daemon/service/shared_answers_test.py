"""Answers that many clients share."""

import asyncio
import threading
from http import HTTPStatus

import pytest

from daemon.service.answers import Question, Response, plain
from daemon.service.shared_answers import SharedAnswers

_READYZ, _METRICS = Question("/readyz"), Question("/metrics")


class _Disk:
    """Finds answers only when it is let go on."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.go_on = threading.Event()
        self.began = threading.Event()

    def find(self, question: Question) -> Response:
        self.asked.append(question)
        self.began.set()
        self.go_on.wait(60)
        return plain(HTTPStatus.OK, f"{len(self.asked)}\n")


def test_all_who_ask_while_an_answer_is_sought_share_the_next_one() -> None:
    async def ask() -> list[bytes]:
        disk = _Disk()
        answers = SharedAnswers(disk.find)
        first = asyncio.create_task(answers.answer(_READYZ))
        await asyncio.to_thread(disk.began.wait, 60)
        others = [asyncio.create_task(answers.answer(_READYZ)) for _ in range(5)]
        await asyncio.sleep(0)
        disk.go_on.set()
        return [response.body for response in await asyncio.gather(first, *others)]

    assert asyncio.run(ask()) == [b"1\n"] + [b"2\n"] * 5


def test_another_question_does_not_wait() -> None:
    async def ask() -> list[Question]:
        disk = _Disk()
        answers = SharedAnswers(disk.find)
        slow = asyncio.create_task(answers.answer(_READYZ))
        await asyncio.to_thread(disk.began.wait, 60)
        disk.began.clear()
        other = asyncio.create_task(answers.answer(_METRICS))
        await asyncio.to_thread(disk.began.wait, 60)
        disk.go_on.set()
        await asyncio.gather(slow, other)
        return disk.asked

    assert asyncio.run(ask()) == [_READYZ, _METRICS]


def test_a_client_that_goes_away_takes_the_answer_from_nobody_else() -> None:
    async def ask() -> bytes:
        disk = _Disk()
        answers = SharedAnswers(disk.find)
        gone = asyncio.create_task(answers.answer(_READYZ))
        other = asyncio.create_task(answers.answer(_READYZ))
        await asyncio.to_thread(disk.began.wait, 60)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        disk.go_on.set()
        return (await other).body

    assert asyncio.run(ask()) == b"1\n"
