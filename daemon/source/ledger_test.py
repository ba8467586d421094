"""The counts and failures of sources."""

from daemon.source.failure import SourceFailure
from daemon.source.ledger import Ledger, received_since


def _ledger(clock: list[float], warnings: list[str]) -> Ledger:
    return Ledger(("a", "b"), warnings.append, now=lambda: clock[0])


def test_a_denied_source_rests_and_is_warned_of_once_until_it_sends() -> None:
    clock, warnings = [0.0], list[str]()
    ledger = _ledger(clock, warnings)
    denied = SourceFailure("denied", "answers 401")
    for number in range(3):
        ledger.fail("a", denied, f"{number}" * 64, "x.whl")
    assert ledger.refusal("a", "0" * 64) is denied
    assert ledger.refusal("b", "0" * 64) is None
    clock[0] = 30.0
    assert ledger.refusal("a", "0" * 64) is None
    ledger.fail("a", denied, "1" * 64, "x.whl")
    assert len(warnings) == 1
    ledger.count("a", 10)
    ledger.fail("a", denied, "1" * 64, "x.whl")
    assert len(warnings) == 2


def test_each_reason_of_a_source_is_reported_once() -> None:
    clock, warnings = [0.0], list[str]()
    ledger = _ledger(clock, warnings)
    for failure in (SourceFailure("unreachable", "is down"), *[SourceFailure("denied", "answers 401")] * 2):
        ledger.fail("a", failure, "0" * 64, "x.whl")
    rest = "; it is not asked again for 30 s"
    assert warnings == [f"a: is down{rest}", f"a: answers 401{rest}"]


def test_a_source_rests_as_long_as_it_asks_for() -> None:
    clock = [0.0]
    ledger = _ledger(clock, [])
    ledger.fail("a", SourceFailure("unreachable", "answers 503", wait_s=120.0), "0" * 64, "x.whl")
    clock[0] = 119.0
    assert ledger.refusal("a", "1" * 64) is not None
    clock[0] = 120.0
    assert ledger.refusal("a", "1" * 64) is None


def test_a_wrong_blob_keeps_its_source_from_that_blob_alone_until_the_next_run() -> None:
    warnings: list[str] = []
    ledger = _ledger([0.0], warnings)
    ledger.fail("a", SourceFailure("wrong", "sent another file"), "0" * 64, "x.whl")
    assert ledger.refusal("a", "0" * 64) is not None
    assert ledger.refusal("a", "1" * 64) is None
    assert warnings == ["a: x.whl: sent another file; this run does not ask it for this file again"]
    assert ledger.take_found("0" * 64)
    assert not ledger.take_found("0" * 64)
    ledger.forget_wrong()
    assert ledger.refusal("a", "0" * 64) is None


def test_the_counts_are_in_the_order_of_the_sources() -> None:
    ledger = _ledger([0.0], [])
    ledger.count("b", 5)
    ledger.fail("b", SourceFailure("cut", "broken"), "0" * 64, "x.whl")
    first, second = ledger.counts()
    assert (first.name, first.received_bytes, set(first.failures.values())) == ("a", 0, {0})
    assert (second.name, second.received_bytes, second.failures["cut"]) == ("b", 5, 1)


def test_what_was_received_since_is_named_by_source() -> None:
    now = {"a": 3_000_000, "b": 5_000_000, "c": 7}
    assert received_since({"a": 1_000_000, "b": 5_000_000}, now) == ["2.0 MB of a", "7 bytes of c"]
