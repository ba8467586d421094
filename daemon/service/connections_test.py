"""Tests of the choice of the connection that is dropped at the limit."""

import asyncio

from daemon.service.connections import Connections, Stage


async def _held(most: int, *wanted: tuple[str, Stage]) -> tuple[Connections, list[asyncio.Task[None]]]:
    connections = Connections(most)
    tasks = []
    for address, stage in wanted:

        async def serve(stage: Stage = stage) -> None:
            connections.reach(stage)
            await asyncio.Event().wait()

        await connections.make_room()
        tasks.append(asyncio.create_task(serve()))
        connections.add(tasks[-1], address)
        await asyncio.sleep(0)
    return connections, tasks


def _dropped(most: int, *wanted: tuple[str, Stage]) -> list[int]:
    """Open some connections and one more, and give which were dropped."""

    async def run() -> list[int]:
        connections, tasks = await _held(most, *wanted)
        await connections.make_room()
        assert len(connections) < most
        return [number for number, task in enumerate(tasks) if task.done()]

    return asyncio.run(run())


def test_within_the_bound_none_is_dropped() -> None:
    assert _dropped(3, ("a", Stage.READING), ("a", Stage.READING)) == []


def test_the_oldest_of_the_address_with_most_goes() -> None:
    reading = Stage.READING
    assert _dropped(4, ("a", reading), ("b", reading), ("b", reading), ("c", reading)) == [1]


def test_what_has_its_answer_goes_first_and_what_waits_for_one_last() -> None:
    assert _dropped(3, ("a", Stage.READING), ("a", Stage.ANSWERED), ("b", Stage.ANSWERING)) == [1]
    assert _dropped(3, ("a", Stage.ANSWERING), ("a", Stage.ANSWERING), ("b", Stage.READING)) == [2]
    assert _dropped(2, ("a", Stage.ANSWERING), ("b", Stage.ANSWERING)) == [0]


def test_a_connection_that_is_dropped_before_it_was_served_makes_room() -> None:
    async def run() -> int:
        connections = Connections(1)

        async def serve() -> None:
            raise AssertionError

        connections.add(asyncio.create_task(serve()), "a")
        await connections.make_room()
        return len(connections)

    assert asyncio.run(run()) == 0
