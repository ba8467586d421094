"""Failures of the parts of the service: logged, counted, and tried again."""

from pathlib import Path

import pytest

from daemon.errors import DiskError, IndexAccessError
from daemon.install.options import InstallOptions
from daemon.upkeep.known_file import read_known
from daemon.upkeep.scan import ScanInterruptedError
from gens.errors import DefinitionError
from gens.selection import Selection
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService


@pytest.fixture
def service(tmp_path: Path) -> FakeService:
    fake = FakePrefix(tmp_path)
    for number in range(3):
        fake.install(number)
    return FakeService(fake, InstallOptions(min_gen_id=1))


def _fail_with(error: Exception) -> None:
    raise error


def test_the_active_generations_are_listed_newest_first(service: FakeService) -> None:
    assert [generation.id for generation in service.context.active()] == [2, 1]
    assert service.context.old_generations() == ["g00000"]


def test_patterns_that_match_nothing_are_refused_at_the_start(tmp_path: Path) -> None:
    fake = FakePrefix(tmp_path)
    fake.define(0)
    with pytest.raises(DefinitionError, match="matches nothing"):
        FakeService(fake, InstallOptions(selection=Selection(("pyhton*",))))


def test_what_failed_is_not_tried_before_its_delay_has_expired(service: FakeService) -> None:
    context = service.context
    assert not context.attempt("count", lambda: _fail_with(DiskError("full")))
    assert not context.attempt("count", lambda: pytest.fail("it is too early"))
    assert service.failed == ["count"]
    assert service.log == [f"error: full; trying again in {3600 * context.retries.jitter:.1f} s"]
    assert [(error.kind, error.subject) for error in context.state.last_errors()] == [("disk", "count")]


def test_what_succeeds_is_not_waiting_any_more(service: FakeService) -> None:
    context = service.context
    done: list[str] = []
    assert context.attempt("prune", lambda: done.append("prune"))
    assert (done, service.failed, service.log) == (["prune"], [], [])


@pytest.mark.parametrize("error", [RuntimeError("what"), MemoryError()])
def test_an_unexpected_error_is_logged_with_its_traceback(service: FakeService, error: Exception) -> None:
    service.context.fail("prune", error)
    assert "a fault of monobase itself" in service.log[0]
    assert "Traceback" not in service.log[0]  # it was not raised
    assert service.context.state.last_errors()[0].kind == "internal"


def test_passwords_are_in_no_retry_and_no_log(service: FakeService) -> None:
    service.context.fail("install", IndexAccessError("https://me:secret@host/ lost it"), "; more room")
    (retry,) = service.context.retries.pending()
    assert retry.reason == "https://host/ lost it; more room"
    assert "secret" not in service.log[0]


def test_nothing_is_attempted_once_the_service_is_to_stop(service: FakeService) -> None:
    service.context.stop.set()
    assert not service.context.attempt("prune", lambda: pytest.fail("it was to stop"))


def test_an_interrupted_scan_is_not_a_failure(service: FakeService) -> None:
    assert not service.context.attempt("check", lambda: _fail_with(ScanInterruptedError()))
    assert service.failed == []


def test_probes_read_what_the_service_knows(service: FakeService) -> None:
    service.context.retries.failed("install g00002/python3.11", "lost")
    service.context.write_known()
    assert read_known(service.fake.prefix).failures == {"g00002/python3.11": "lost"}
