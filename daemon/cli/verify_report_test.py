import io
from pathlib import Path

import pytest

from daemon.cli.verify_report import check_names, end_verify
from daemon.errors import DamageError
from daemon.prefix.finding import Finding
from daemon.prefix.prefix import Prefix
from daemon.prefix.store_check import strangers
from daemon.report.progress import Reporter
from daemon.upkeep.verify import VerifyResult, verify

_DAMAGE = Finding("monobase/g00002/python3.11", "bin/x", "missing")


def _said(prefix: Prefix, findings: list[Finding], *, repaired: bool) -> str:
    with pytest.raises(DamageError) as caught:
        end_verify(
            prefix, [], VerifyResult(findings=findings), {} if repaired else None, Reporter(io.StringIO()),
            as_json=True,
        )  # fmt: skip
    return str(caught.value)


def test_a_prefix_that_has_nothing_sends_to_an_install(tmp_path: Path) -> None:
    with pytest.raises(DamageError, match="nothing is installed there to verify"):
        check_names(Prefix(tmp_path), [])
    with pytest.raises(DamageError, match="has no g00007 to verify; it has no generation"):
        check_names(Prefix(tmp_path), ["g00007"])
    (tmp_path / "monobase/g00002").mkdir(parents=True)
    with pytest.raises(DamageError, match="has no g00007 to verify; it has g00002"):
        check_names(Prefix(tmp_path), ["g00007"])


def test_what_a_repair_leaves_to_a_person_sends_nobody_to_repair(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path)
    for name in ("monobase/lost+found", "monobase/g00002/lost+found", "cuda/lost+found"):
        (tmp_path / name).mkdir(parents=True)
    found = [*verify(prefix, ["g00002"], 1).findings, *strangers(prefix)]
    strange = [finding for finding in found if finding.path == "lost+found"]
    assert len(strange) == 3
    for repaired in (False, True):
        assert "move it away" in _said(prefix, strange, repaired=repaired)
    assert "run `verify --repair`" in _said(prefix, [*strange, _DAMAGE], repaired=False)
    assert "could not be restored" in _said(prefix, [*strange, _DAMAGE], repaired=True)
