import pytest

from image.errors import RegistryError, TransientError
from image.registry.patience import Patience, persist


class Times:
    """An action that fails some times, and a clock that only notes."""

    def __init__(self, failures: int, retry_after_s: float | None = None) -> None:
        self.left = failures
        self.retry_after_s = retry_after_s
        self.slept: list[float] = []
        self.told: list[str] = []

    def act(self) -> str:
        if self.left:
            self.left -= 1
            raise TransientError("it broke", self.retry_after_s)
        return "done"

    def patience(self, retries: int) -> Patience:
        return Patience(retries, lambda error, _: self.told.append(str(error)), self.slept.append)


def test_what_fails_is_tried_again_after_longer_and_longer_pauses() -> None:
    times = Times(4)

    assert persist(times.act, times.patience(5)) == "done"

    assert len(times.slept) == 4
    assert times.told == ["it broke"] * 4
    assert all(later > earlier * 1.1 for earlier, later in zip(times.slept, times.slept[1:], strict=False))


def test_pauses_have_an_end() -> None:
    times = Times(20)

    persist(times.act, times.patience(20))

    assert max(times.slept) < 40


def test_one_failure_too_many_is_raised() -> None:
    times = Times(3)

    with pytest.raises(TransientError, match="it broke"):
        persist(times.act, times.patience(2))

    assert len(times.slept) == 2


def test_progress_starts_the_count_again() -> None:
    times = Times(0)
    patience = times.patience(1)
    for _ in range(5):
        patience.bear(TransientError("x"))
        patience.progress()

    assert max(times.slept) < 1, "each was a first failure"


def test_a_registry_is_waited_for_as_long_as_it_asks() -> None:
    times = Times(1, retry_after_s=17.0)

    persist(times.act, times.patience(1))

    assert times.slept == [17.0]


def test_a_registry_that_asks_for_too_long_is_not_waited_for() -> None:
    times = Times(1, retry_after_s=3600.0)

    with pytest.raises(TransientError):
        persist(times.act, times.patience(9))

    assert times.slept == []


def test_what_cannot_pass_is_not_tried_again() -> None:
    times = Times(0)

    def fail() -> None:
        raise RegistryError("no")

    with pytest.raises(RegistryError, match="no"):
        persist(fail, times.patience(9))

    assert times.slept == []
