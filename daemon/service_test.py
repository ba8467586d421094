"""The parts of the loop that need no process; tests/service runs the rest."""

from pathlib import Path

import pytest

from daemon import service as service_module
from daemon.errors import DiskError, IndexAccessError, IndexUnreachableError, NotOnIndexError
from daemon.known_file import read_known, write_known
from daemon.prefix import Prefix
from daemon.progress import Reporter
from daemon.readiness import Known
from daemon.scan import ScanInterruptedError
from daemon.service import Service, ServiceOptions
from daemon.service_state import ServiceState, for_everybody, kind_of
from daemon.verify import Finding
from gens.catalog import Catalog
from gens.generation import Generation


def test_passwords_of_urls_are_not_shown() -> None:
    shown = for_everybody("failed to fetch\nhttps://user:secret@index.example/simple/ twice")
    assert shown == "failed to fetch https://index.example/simple/ twice"


def test_each_error_has_a_kind() -> None:
    assert kind_of(DiskError("")) == "disk"
    assert kind_of(IndexAccessError("")) == "index"
    assert kind_of(IndexUnreachableError("")) == "index"
    assert kind_of(NotOnIndexError("")) == "index"
    assert kind_of(ValueError("")) == "internal"


def test_the_last_errors_are_kept_newest_first() -> None:
    state = ServiceState()
    for number in range(30):
        state.add_error("disk", str(number), "full")
    assert [error.subject for error in state.last_errors()][:2] == ["29", "28"]
    assert len(state.last_errors()) == 20


def test_a_first_scan_that_sigterm_cuts_short_leaves_what_was_told_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = Generation(0, "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", {}, (), ())
    features = tmp_path / "features.d" / "monobase"
    features.parent.mkdir()
    features.write_text("feature.node.kubernetes.io/monobase-ready=true\n")
    prefix = Prefix(tmp_path / "prefix")
    prefix.make_directories()
    known = Known({}, {"g00000": [Finding("monobase/g00000/python3.11", "lib/x.py", "changed")]})
    write_known(prefix, known)
    options = ServiceOptions(features_directory=features.parent)
    catalog = Catalog((generation,), tmp_path)
    service = Service(prefix, lambda: catalog, Path("uv"), options, Reporter())

    def cut_short(*_: object, **__: object) -> None:
        service.stop.set()
        raise ScanInterruptedError

    monkeypatch.setattr(service_module, "scan", cut_short)
    service.run()

    assert features.read_text() == "feature.node.kubernetes.io/monobase-ready=true\n"
    assert read_known(prefix) == known
    assert service.state.damage == known.damage
