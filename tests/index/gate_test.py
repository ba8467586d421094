import http.client
import threading
import urllib.request
from contextlib import suppress

import pytest

from tests.index.gate import Gate
from tests.index.server import HOST, LocalIndex
from tests.index.wheel import Wheel, WheelSpec

pytest_plugins = ["tests.index.fixture"]

_LONG_S = 300


def _get(index: LocalIndex, wheel: Wheel) -> int:
    url = f"{index.origin}/packages/{wheel.sha256}/{wheel.filename}"
    with urllib.request.urlopen(url, timeout=_LONG_S) as answer:  # noqa: S310 (an index of the test's own)
        answer.read()
        return int(answer.status)


def _get_in_vain(index: LocalIndex, wheel: Wheel) -> None:
    with suppress(OSError):
        _get(index, wheel)


def test_an_answer_is_held_until_the_gate_is_open(local_index: LocalIndex) -> None:
    wheel = local_index.add(WheelSpec("foo", "1.0"))
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(_get(local_index, wheel))

    with local_index.gate("*.whl") as gate:
        asking = threading.Thread(target=ask)
        asking.start()
        gate.wait_reached()
        assert not local_index.log.requests()
        assert statuses == []
        gate.open()
        asking.join(_LONG_S)
        assert statuses == [200]


def test_a_gate_holds_only_the_paths_that_it_is_for(local_index: LocalIndex) -> None:
    wheel = local_index.add(WheelSpec("foo", "1.0"))
    with local_index.gate("*/bar-*.whl") as gate:
        assert _get(local_index, wheel) == 200
        assert not gate.is_reached()


def test_leaving_the_block_opens_the_gate(local_index: LocalIndex) -> None:
    wheel = local_index.add(WheelSpec("foo", "1.0"))
    with local_index.gate("*.whl") as gate:
        asking = threading.Thread(target=_get, args=(local_index, wheel))
        asking.start()
        gate.wait_reached()
    asking.join(_LONG_S)
    assert local_index.log.wheel_downloads() == {wheel.filename: 1}


def test_an_index_that_stops_opens_its_gates() -> None:
    with LocalIndex() as index:
        wheel = index.add(WheelSpec("foo", "1.0"))
        asking = threading.Thread(target=_get_in_vain, args=(index, wheel))
        with index.gate("*.whl") as gate:
            asking.start()
            gate.wait_reached()
            index.stop()
            asking.join(_LONG_S)
            assert not asking.is_alive()


def test_a_gate_that_no_request_reaches_is_told() -> None:
    with pytest.raises(TimeoutError, match=r"not asked for \*\.whl within"):
        Gate("*.whl").wait_reached(timeout_s=0.01)


def test_a_client_that_left_is_not_answered_when_the_gate_opens(local_index: LocalIndex) -> None:
    wheel = local_index.add(WheelSpec("foo", "1.0"))
    with local_index.gate("*.whl") as gate:
        connection = http.client.HTTPConnection(HOST, local_index.port, timeout=_LONG_S)
        connection.request("GET", f"/packages/{wheel.sha256}/{wheel.filename}")
        gate.wait_reached()
        connection.close()
        gate.open()
        assert _get(local_index, wheel) == 200
    local_index.stop()
    assert local_index.log.wheel_attempts() == {wheel.filename: 1}
