"""Tests of the state of the service."""

import time

from daemon.prefix.finding import Finding
from daemon.service.state import ServiceState

_FINDING = Finding("monobase/g00000/python3.11", "lib/x.py", "changed")


def test_the_last_errors_are_kept_newest_first() -> None:
    state = ServiceState()
    for number in range(30):
        state.add_error("disk", str(number), "full")
    assert [error.subject for error in state.last_errors()][:2] == ["29", "28"]
    assert len(state.last_errors()) == 20


def test_damage_of_an_earlier_service_does_not_count_as_scanned() -> None:
    state = ServiceState()
    state.remember_damage({"g00000": [_FINDING]})
    assert (state.known().damage, state.known().scanned) == ({"g00000": [_FINDING]}, False)
    state.set_damage({"g00000": [], "g00001": [_FINDING]})
    assert (state.known().damage, state.known().scanned) == ({"g00001": [_FINDING]}, True)


def test_failures_are_known_by_what_they_concern() -> None:
    state = ServiceState()
    state.retries.failed("install", "full")
    state.retries.failed("install g00001/python3.11", "lost")
    state.retries.failed("scan g00000", "unreadable")
    known = state.known()
    assert known.general == "full"
    assert known.failures == {"g00001/python3.11": "lost"}
    assert known.unchecked == {"g00000": "unreadable"}
    assert len(known.retries) == 3


def test_a_round_has_a_duration_only_while_it_lasts() -> None:
    state = ServiceState()
    assert state.round_s() == 0.0
    state.round_began_s = time.monotonic() - 5
    assert 5 <= state.round_s() < 60
