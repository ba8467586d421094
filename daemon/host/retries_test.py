"""Subjects that failed and when each is tried again."""

from dataclasses import dataclass

from daemon.host.retries import Retries, Retry, retry_delay_s


@dataclass
class _Clock:
    s: float = 1000.0

    def __call__(self) -> float:
        return self.s


def _retries(clock: _Clock, of_day: _Clock) -> Retries:
    return Retries(5, 60, clock, of_day)


def test_the_delay_doubles_up_to_its_bound() -> None:
    assert [retry_delay_s(count, 5, 60, 1.0) for count in range(1, 7)] == [5, 10, 20, 40, 60, 60]


def test_a_thousand_failures_are_no_overflow() -> None:
    assert retry_delay_s(1000, 5, 600, 1.0) == 600


def test_jitter_spreads_the_nodes() -> None:
    assert retry_delay_s(2, 10, 600, 0.5) == 10
    assert retry_delay_s(2, 10, 600, 1.5) == 30


def test_each_subject_has_a_delay_of_its_own() -> None:
    clock = _Clock()
    retries = _retries(clock, _Clock(5_000.0))
    assert retries.failed("repair g00000", "lost") == 5
    assert retries.failed("repair g00000", "lost") == 10
    assert retries.may("install g00001")
    assert not retries.may("repair g00000")
    retries.failed("install g00001", "down")
    assert retries.soonest_s(clock.s) == 5
    clock.s += 5
    assert retries.may("install g00001")
    assert not retries.may("repair g00000")
    assert retries.next_s("repair g00000") == 5
    assert [item.attempts for item in retries.pending()] == [1, 2]
    assert retries.soonest_s(clock.s) == 5  # the install could be tried by then
    clock.s += 100
    assert retries.soonest_s(clock.s - 100) == 0
    assert retries.soonest_s(clock.s) is None


def test_what_succeeds_is_forgotten() -> None:
    retries = _retries(_Clock(), _Clock())
    retries.failed("prune", "busy")
    retries.succeeded("prune")
    retries.succeeded("prune")
    assert retries.may("prune")
    assert retries.pending() == []
    assert retries.soonest_s(0) is None
    assert retries.failed("prune", "busy") == 5


def test_the_time_of_day_is_shown_and_not_waited_for() -> None:
    clock, of_day = _Clock(), _Clock(50_000.0)
    retries = _retries(clock, of_day)
    retries.failed("prune", "busy")
    assert retries.pending() == [Retry("prune", 1, "busy", 50_005)]
    of_day.s -= 3600
    clock.s += 4.9
    assert not retries.may("prune")
    of_day.s += 100_000
    assert not retries.may("prune")
    clock.s += 0.2
    assert retries.may("prune")


def test_subjects_that_do_not_exist_any_more_are_forgotten() -> None:
    retries = _retries(_Clock(), _Clock())
    for subject in ("repair g00000", "repair g00001", "install g00000"):
        retries.failed(subject, "lost")
    retries.keep_only("repair", {"g00001"})
    assert [item.subject for item in retries.pending()] == ["install g00000", "repair g00001"]
