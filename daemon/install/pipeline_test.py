"""One install: what is sealed, what is refused with which message, and what is left when a stage fails."""

import io
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from daemon.errors import DiskError, IndexUnreachableError, InterpreterError, WheelContentError
from daemon.install import batches, pipeline
from daemon.install.compile import Compiler
from daemon.install.fetch import Fetcher
from daemon.install.gpu_architectures import LIBRARY
from daemon.install.install_progress import InstallProgress
from daemon.install.options import InstallOptions, make_uv
from daemon.install.pipeline import install
from daemon.install.result import InstallResult
from daemon.install.wanted import Wanted, WheelToFetch
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.environments_file import read_list
from daemon.prefix.finding import Finding
from daemon.prefix.generation import is_sealed
from daemon.prefix.inventory import Inventory
from daemon.prefix.manifest import MANIFEST_NAME
from daemon.prefix.mark import read_mark
from daemon.prefix.mark_check import check_mark
from daemon.prefix.prefix import Prefix
from daemon.prefix.progress_file import ProgressLine, read_progress
from daemon.prefix.tree_check import Digests, verify_tree
from daemon.prefix.writer_lock import writer_lock
from daemon.report.progress import Reporter, Stage
from gens.errors import DefinitionError, MonobaseError
from gens.selection import Selection
from tests.fake_prefix.fake_prefix import SITE_PACKAGES, FakePrefix
from tests.fake_uv.fake_uv import FakeUv
from tests.index.wheel import Wheel
from tests.synthetic.catalog import PYTHON, environment_cell, toolkit_cell

_TORCH = "torch2.4.1-cpu"
_LONG_S = 300  # reached only where two steps do not overlap
_CUDNN = {"nvidia/cudnn/include/cudnn.h": b"#define CUDNN_MAJOR 9\n"}


class _Site:
    """A fake prefix, its uv, and what an install reports."""

    def __init__(self, fake: FakePrefix) -> None:
        self.fake = fake
        self.prefix = fake.prefix
        self.uv = FakeUv(fake)
        self.log = io.StringIO()
        assert fake.interpreter.is_dir()

    def wheel(self, name: str, version: str = "1.0", **files: bytes) -> Wheel:
        """Make a wheel that the index serves and the prefix does not hold."""
        wheel = self.fake.wheel(name, version, files=files or None, cached=False)
        self.uv.serve(wheel)
        return wheel

    def install(self, gives_way: Callable[[], bool] | None = None, **options: object) -> InstallResult:
        """Install what is missing."""
        chosen = InstallOptions(**{"downloads": False, "jobs": 1, **options})  # type: ignore[arg-type]
        reporter = Reporter(self.log, "json")
        return install(self.prefix, self.fake.catalog, self.uv.program, chosen, reporter, gives_way)

    def lines(self) -> list[dict[str, object]]:
        """Return what was reported."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def findings(self, number: int = 0) -> list[Finding]:
        """Return how the trees of a generation differ from their manifests."""
        findings: list[Finding] = []
        for manifest in self.prefix.generation(f"g{number:05}").glob(f"*/{MANIFEST_NAME}"):
            verify_tree(self.prefix, manifest.parent.resolve(), Digests(1), findings)
        check_mark(self.prefix, f"g{number:05}", findings)
        return findings


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Site:
    site = _Site(FakePrefix(tmp_path))
    monkeypatch.setattr(pipeline, "make_uv", lambda *_: site.uv)
    return site


def _two_environments(site: _Site) -> tuple[Wheel, Wheel]:
    """Define an environment with one wheel, and one with two."""
    alpha, beta = site.wheel("alpha"), site.wheel("beta")
    site.fake.define(0, environment_cell([alpha]), environment_cell([alpha, beta], "2.4.1"))
    return alpha, beta


def _statuses(site: _Site) -> dict[str, tuple[int, int]]:
    """Return inode and time of change of each file of the first environment, but of no folder."""
    tree = site.fake.tree(0)
    found = {str(path): path.lstat() for path in tree.rglob("*") if not path.is_dir()}
    return {path: (status.st_ino, status.st_mtime_ns) for path, status in found.items()}


def test_an_install_seals_the_generation_and_points_latest_to_it(site: _Site) -> None:
    alpha = site.wheel("alpha")
    site.uv.serve(cudnn := site.fake.wheel("nvidia-cudnn-cu12", "9.1.0.70", files=_CUDNN, cached=False))
    site.fake.define(0, environment_cell([alpha]), toolkit_cell([cudnn], "9.1.0.70", "12"))
    result = site.install()
    assert result.failures == {}
    assert result.installed == ["g00000/cudnn9-cuda12", f"g00000/{site.fake.environment}"]
    assert (result.sealed, result.partial, result.latest) == (["g00000"], [], "g00000")
    assert result.fetched_bytes == alpha.size_bytes + cudnn.size_bytes
    assert site.findings() == []
    assert (site.fake.tree(0) / SITE_PACKAGES / "alpha.py").is_file()
    assert not site.prefix.staging.exists()


def test_each_stage_reports_one_line(site: _Site) -> None:
    _two_environments(site)
    site.install()
    facts = {str(line["stage"]): line for line in site.lines() if "stage" in line}
    assert list(facts) == ["plan", "fetch", "link", "compile", "lay out", "seal"]
    assert facts["plan"]["to_install"] == facts["link"]["environments"] == facts["seal"]["installed"] == 2
    assert facts["fetch"]["wheels"] == facts["compile"]["sources"] == 2


def test_a_sealed_generation_takes_no_call_of_uv(site: _Site) -> None:
    _two_environments(site)
    site.install()
    site.uv.calls.clear()
    result = site.install()
    assert site.uv.calls == []
    assert (result.installed, result.sealed, result.latest) == ([], ["g00000"], "g00000")


def test_the_newest_generation_is_installed_first(site: _Site) -> None:
    alpha = site.wheel("alpha")
    for number in (0, 1):
        site.fake.define(number, environment_cell([alpha]))
    result = site.install()
    assert result.installed == [f"g00001/{site.fake.environment}", f"g00000/{site.fake.environment}"]
    assert result.latest == "g00001"
    assert site.uv.asked == [["alpha"]]


def test_one_generation_of_the_range_can_be_installed_alone(site: _Site) -> None:
    alpha = site.wheel("alpha")
    for number in (0, 1):
        site.fake.define(number, environment_cell([alpha]))
    assert site.install(generation_id=0).latest == "g00000"
    assert site.install(generation_id=1).sealed == ["g00001"]
    assert site.install(generation_id=0).latest == "g00001"


def test_a_part_of_a_generation_is_sealed_and_a_wider_selection_adds_to_it(site: _Site) -> None:
    _two_environments(site)
    result = site.install(selection=Selection((site.fake.environment,)))
    assert result.installed == [f"g00000/{site.fake.environment}"]
    assert (result.sealed, result.partial, result.latest) == (["g00000"], [], "g00000")
    assert not is_sealed(site.prefix, site.fake.generation(0))
    assert f"left-out {site.fake.environment}-{_TORCH}" in read_list(site.prefix, "g00000").splitlines()
    assert site.findings() == []
    before = _statuses(site)
    rest = site.install()
    assert rest.installed == [f"g00000/{site.fake.environment}-{_TORCH}"]
    assert rest.sealed == ["g00000"]
    assert is_sealed(site.prefix, site.fake.generation(0))
    assert "generation g00000 sealed" in read_list(site.prefix, "g00000").splitlines()
    assert "selection" not in read_list(site.prefix, "g00000")
    assert _statuses(site) == before
    assert site.findings() == []


def test_a_wider_selection_that_fails_leaves_what_was_sealed(site: _Site) -> None:
    _, beta = _two_environments(site)
    site.install(selection=Selection((site.fake.environment,)))
    site.uv.refuse(beta, WheelContentError(f"{beta.filename}: another hash"))
    result = site.install()
    assert (result.sealed, result.partial, result.latest) == ([], ["g00000"], None)
    assert is_sealed(site.prefix, site.fake.generation(0), {site.fake.environment})
    assert site.prefix.latest.readlink() == Path("g00000")
    assert "generation g00000 partial" in read_list(site.prefix, "g00000").splitlines()
    assert site.findings() == []


def test_another_selection_keeps_what_was_sealed_and_rewrites_the_list(site: _Site) -> None:
    _two_environments(site)
    plain, torch = site.fake.environment, f"{site.fake.environment}-{_TORCH}"
    site.install(selection=Selection((plain,)))
    before = _statuses(site)
    assert site.install(selection=Selection((torch,))).sealed == ["g00000"]
    assert is_sealed(site.prefix, site.fake.generation(0))  # both stand, and neither was asked to go
    assert _statuses(site) == before
    assert site.findings() == []


def test_a_selection_with_another_name_rewrites_mark_and_list(site: _Site) -> None:
    _two_environments(site)
    plain = site.fake.environment
    site.install(selection=Selection((plain,)))
    (site.fake.directory / "gens/pools.json").write_text(json.dumps({"small": [plain]}))
    assert site.install(selection=Selection(pool="small")).installed == []
    assert "selection --pool small" in read_list(site.prefix, "g00000").splitlines()
    mark = read_mark(site.prefix.sealed_mark("g00000"))
    assert mark is not None
    assert mark.is_settled("--pool small")
    assert site.findings() == []


def test_the_list_says_what_a_pool_leaves_out_now_though_the_mark_has_all_that_is_required(
    site: _Site,
) -> None:
    _two_environments(site)
    plain, torch = site.fake.environment, f"{site.fake.environment}-{_TORCH}"
    pools = site.fake.directory / "gens/pools.json"
    for patterns in ([plain], [plain, torch], [torch], ["*"], [plain]):
        pools.write_text(json.dumps({"small": patterns}))
        assert site.install(selection=Selection(pool="small", eager=())).sealed == ["g00000"]
        lines = read_list(site.prefix, "g00000").splitlines()
        left_out = [line.partition(" ")[2] for line in lines if line.startswith("left-out ")]
        assert left_out == [name for name in (plain, torch) if name not in patterns and patterns != ["*"]]
        assert site.findings() == []


def test_what_a_model_asked_for_is_sealed_beside_what_is_required_and_all_together_as_a_whole(
    site: _Site,
) -> None:
    _two_environments(site)
    plain, torch = site.fake.environment, f"{site.fake.environment}-{_TORCH}"
    on_demand = Selection(eager=())
    site.install(selection=on_demand)
    site.install(selection=on_demand, generation_id=0, due=(torch,))
    mark = read_mark(site.prefix.sealed_mark("g00000"))
    assert mark is not None
    assert list(mark.manifests) == [torch]
    site.install(selection=on_demand, generation_id=0, due=(plain,))
    assert is_sealed(site.prefix, site.fake.generation(0))
    assert "generation g00000 sealed" in read_list(site.prefix, "g00000").splitlines()
    assert site.findings() == []


def test_a_damaged_tree_that_nobody_requires_is_named_and_keeps_nothing_else_from_being_sealed(
    site: _Site,
) -> None:
    _, beta = _two_environments(site)
    plain, torch = site.fake.environment, f"{site.fake.environment}-{_TORCH}"
    site.uv.refuse(beta, WheelContentError(f"{beta.filename}: another hash"))
    site.install()
    damaged = site.prefix.generation("g00000") / plain / SITE_PACKAGES / "alpha.py"
    content = damaged.read_bytes()
    damaged.unlink()
    damaged.write_bytes(content.swapcase())
    site.uv.serve(beta)
    result = site.install(selection=Selection((torch,)))
    assert result.sealed == ["g00000"]
    assert list(result.failures) == [f"g00000/{plain}"]
    mark = read_mark(site.prefix.sealed_mark("g00000"))
    assert mark is not None
    assert list(mark.manifests) == [torch]


@pytest.mark.parametrize(
    "selection", [Selection(("pyhton*",)), Selection((f"python{PYTHON}", "cuda12")), Selection(pool="large")]
)
def test_a_selection_that_names_what_does_not_exist_installs_nothing(
    site: _Site, selection: Selection
) -> None:
    _two_environments(site)
    with pytest.raises(DefinitionError, match=r"matches nothing; there are|there is no pool large"):
        site.install(selection=selection)
    assert site.prefix.installed_generations() == []


def test_a_selection_that_leaves_out_all_of_a_generation_makes_no_folder(site: _Site) -> None:
    alpha = site.wheel("alpha")
    site.fake.define(0, environment_cell([alpha]))
    site.fake.define(1, environment_cell([alpha], "2.4.1"))
    result = site.install(selection=Selection(("*torch*",)))
    assert (result.sealed, result.partial) == (["g00001"], [])
    assert not site.prefix.generation("g00000").exists()


def test_a_wheel_that_cannot_be_used_keeps_only_its_environments_away(site: _Site) -> None:
    _, beta = _two_environments(site)
    site.uv.refuse(beta, WheelContentError(f"{beta.filename}: another hash"))
    result = site.install()
    assert list(result.failures) == [f"g00000/{site.fake.environment}-{_TORCH}"]
    assert result.installed == [f"g00000/{site.fake.environment}"]
    assert result.partial == ["g00000"]
    errors = [line for line in site.lines() if line["level"] == "error"]
    assert [(line["target"], line["message"]) for line in errors] == [
        (f"g00000/{site.fake.environment}-{_TORCH}", f"{beta.filename}: another hash")
    ]


def test_an_environment_that_cannot_be_linked_keeps_only_itself_away(site: _Site) -> None:
    _two_environments(site)

    def leave_beta_out(tree: Path) -> None:
        (tree / SITE_PACKAGES / "beta.py").unlink(missing_ok=True)

    site.uv.after["install"] = leave_beta_out
    result = site.install()
    (failure,) = result.failures.values()
    assert "uv left out 1 files" in str(failure)
    assert result.installed == [f"g00000/{site.fake.environment}"]
    assert not site.prefix.staging.exists()


def test_a_toolkit_whose_wheels_hold_none_keeps_only_itself_away(site: _Site) -> None:
    alpha = site.wheel("alpha")
    site.fake.define(0, environment_cell([alpha]), toolkit_cell([site.wheel("beta")], "9.1.0.70", "12"))
    result = site.install()
    assert list(result.failures) == ["g00000/cudnn9-cuda12"]
    assert "its wheels hold no toolkit" in str(result.failures["g00000/cudnn9-cuda12"])
    assert result.partial == ["g00000"]


def test_a_toolkit_of_another_generation_is_read_and_linked(site: _Site) -> None:
    site.fake.install(0)
    site.fake.define(1, *site.fake.default_cells())
    assert site.install().installed == ["g00001/cudnn9-cuda12", f"g00001/{site.fake.environment}"]
    assert site.fake.tree(1, site.fake.toolkit) == site.fake.tree(0, site.fake.toolkit)


def test_a_damaged_toolkit_of_another_generation_is_not_used(site: _Site) -> None:
    site.fake.install(0)
    header = site.fake.tree(0, site.fake.toolkit) / "include/cudnn.h"
    header.unlink()
    header.write_bytes(b"evil")
    site.fake.define(1, *site.fake.default_cells())
    result = site.install()
    assert list(result.failures) == ["g00001/cudnn9-cuda12"]
    assert (result.partial, result.latest) == (["g00001"], "g00000")


def test_what_an_earlier_run_published_is_read_before_it_is_sealed(site: _Site) -> None:
    site.fake.define(0)
    site.fake.publish(0)
    damaged = site.fake.tree(0) / SITE_PACKAGES / "alpha/data"
    damaged.unlink()
    damaged.write_bytes(b"evil\n")
    result = site.install()
    assert list(result.failures) == ["g00000"]
    assert site.fake.environment in str(result.failures["g00000"])
    assert not site.prefix.sealed_mark("g00000").exists()


def test_an_interpreter_that_is_nowhere_keeps_only_its_environments_away(site: _Site) -> None:
    alpha = site.wheel("alpha")
    site.fake.define(0, environment_cell([alpha]), environment_cell([alpha], python="3.99.1"))
    result = site.install()
    assert result.installed == [f"g00000/{site.fake.environment}"]
    assert isinstance(result.failures["g00000/python3.99"], InterpreterError)


def test_without_any_interpreter_nothing_is_fetched(site: _Site) -> None:
    site.fake.define(0, environment_cell([site.wheel("alpha")], python="3.99.1"))
    result = site.install()
    assert list(result.failures) == ["g00000/python3.99"]
    assert site.uv.asked == []


def test_a_full_disk_ends_the_install_and_publishes_nothing(site: _Site) -> None:
    alpha, _ = _two_environments(site)
    site.uv.refuse(alpha, DiskError("no space left"))
    with pytest.raises(DiskError, match="no space left"):
        site.install()
    assert not site.prefix.latest.exists()
    assert not (site.prefix.generation("g00000") / site.fake.environment).exists()


def test_a_full_disk_while_linking_ends_the_install(site: _Site) -> None:
    _two_environments(site)

    def fill(_: Path) -> None:
        raise DiskError("no space left")

    site.uv.after["venv"] = fill
    with pytest.raises(DiskError, match="no space left"):
        site.install()
    site.uv.after.clear()
    assert site.install().sealed == ["g00000"]
    assert "removing what an earlier install" in site.log.getvalue()


def test_a_file_in_place_of_a_generations_folder_keeps_no_other_generation_away(site: _Site) -> None:
    alpha = site.wheel("alpha")
    for number in (0, 1):
        site.fake.define(number, environment_cell([alpha]))
    site.prefix.generation("g00001").write_text("a file")
    result = site.install()
    assert list(result.failures) == ["g00001"]
    assert str(site.prefix.generation("g00001")) in str(result.failures["g00001"])
    assert (result.sealed, result.latest) == (["g00000"], "g00000")
    assert site.prefix.generation("g00001").read_text() == "a file"


def test_a_folder_in_place_of_latest_is_a_failure_of_its_own(site: _Site) -> None:
    site.fake.define(0, environment_cell([site.wheel("alpha")]))
    (site.prefix.latest / "of an operator").mkdir(parents=True)
    result = site.install()
    assert (result.sealed, list(result.failures)) == (["g00000"], ["latest"])
    assert str(site.prefix.latest) in str(result.failures["latest"])


def test_a_definition_that_cannot_be_planned_is_reported_and_leaves_the_rest_alone(site: _Site) -> None:
    alpha = site.wheel("alpha")
    for number in (0, 1):
        site.fake.define(number, environment_cell([alpha]))
    (site.fake.directory / "gens/g00001" / f"{site.fake.environment}.txt").write_text("junk")
    result = site.install()
    assert list(result.failures) == [f"g00001/{site.fake.environment}"]
    assert result.sealed == ["g00000"]


def test_what_another_uv_keeps_in_another_form_is_removed_with_a_warning(site: _Site) -> None:
    site.fake.define(0, environment_cell([site.wheel("alpha")]))
    (site.prefix.uv_cache / "wheels-v1").mkdir()
    site.install()
    assert not (site.prefix.uv_cache / "wheels-v1").exists()
    assert any("wheels-v1" in str(line.get("message")) for line in site.lines() if line["level"] == "warning")


def test_a_failure_of_the_index_is_reported_for_each_environment(site: _Site) -> None:
    alpha, beta = _two_environments(site)
    for wheel in (alpha, beta):
        site.uv.refuse(wheel, IndexUnreachableError("the index cannot be reached"))
    result = site.install()
    assert len(result.failures) == 2
    assert (result.installed, result.fetched_bytes) == ([], 0)
    facts = next(line for line in site.lines() if line.get("stage") == "fetch")
    assert facts["failed_wheels"] == 2


def test_uv_is_run_as_the_options_say(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    with writer_lock(prefix, 1, lambda _: None) as writer:
        plain = make_uv(Path("uv"), writer, InstallOptions())
        assert (plain.link_mode, plain.proxy_variables) == ("hardlink", {})
        assert plain.inherit == writer.descriptors
        other = make_uv(Path("uv"), writer, InstallOptions(copy=True, proxy_url="http://u:p@127.0.0.1:1"))
        assert other.link_mode == "copy"
        assert other.proxy_variables["HTTPS_PROXY"] == "http://u:p@127.0.0.1:1"


def test_the_list_has_the_gpu_architectures_of_each_torch_and_an_unknown_one_is_only_a_warning(
    site: _Site,
) -> None:
    known = site.wheel("torch", "2.14.0", **{LIBRARY: b"\0sm_80 sm_90\0"})
    unknown = site.wheel("torch", "2.15.0")
    site.fake.define(
        0, environment_cell([known], "2.14.0", "cu130"), environment_cell([unknown], "2.15.0", "cu132")
    )
    assert site.install().sealed == ["g00000"]
    lines = site.prefix.environments_file("g00000").read_text().splitlines()
    name = site.fake.generation(0).environments[0].name
    assert [line for line in lines if line.startswith("architectures")] == [
        f"architectures {name} sm_80 sm_90"
    ]
    warnings = [str(line["message"]) for line in site.lines() if line["level"] == "warning"]
    assert [text for text in warnings if "architectures are unknown" in text and "2.15.0" in text]


# --- steps ----------------------------------------------------------------------------------------


@pytest.fixture
def _one_environment_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_STEP_BYTES", 1)


@pytest.mark.usefixtures("_one_environment_a_step")
def test_an_environment_is_published_while_the_wheels_of_the_next_one_are_fetched(
    site: _Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, beta = _two_environments(site)
    published, was_published = threading.Event(), []
    leave = InstallProgress.leave

    def note(progress: InstallProgress, items: Iterable[Wanted]) -> None:
        leave(progress, items)
        published.set()

    def hold_back_beta(archive: Path) -> None:
        if archive == site.fake.archive(beta):
            was_published.append(published.wait(_LONG_S) and site.fake.tree(0).is_dir())

    monkeypatch.setattr(InstallProgress, "leave", note)
    site.uv.after["unpack"] = hold_back_beta
    result = site.install()
    assert was_published == [True]
    assert site.uv.asked == [["alpha"], ["beta"]]
    assert (result.sealed, result.failures) == (["g00000"], {})
    assert site.findings() == []


@pytest.mark.usefixtures("_one_environment_a_step")
def test_a_wheel_that_failed_is_not_asked_for_again_by_the_next_environment(site: _Site) -> None:
    alpha, beta, bad = (site.wheel(name) for name in ("alpha", "beta", "bad"))
    site.uv.refuse(bad, WheelContentError("bad: is malformed"))
    site.fake.define(0, environment_cell([alpha, bad]), environment_cell([beta, bad], "2.4.1"))
    result = site.install()
    together, *alone, next_one = site.uv.asked
    assert (together, sorted(alone), next_one) == (["alpha", "bad"], [["alpha"], ["bad"]], ["beta"])
    assert len(result.failures) == 2
    assert result.installed == []


@pytest.mark.usefixtures("_one_environment_a_step")
def test_a_full_disk_while_the_next_environment_is_fetched_keeps_what_was_published(site: _Site) -> None:
    _, beta = _two_environments(site)
    site.uv.refuse(beta, DiskError("no space left"))
    with pytest.raises(DiskError, match="no space left"):
        site.install()
    assert site.fake.tree(0).is_dir()
    assert site.findings() == []


@pytest.mark.usefixtures("_one_environment_a_step")
def test_a_full_disk_while_linking_ends_the_fetch_of_the_next_environment(site: _Site) -> None:
    alpha, beta = _two_environments(site)
    gamma = site.wheel("gamma")
    site.fake.define(0, environment_cell([alpha]), environment_cell([alpha, beta, gamma], "2.4.1"))
    fetching, stopped = threading.Event(), threading.Event()

    def fail(_: Path) -> None:
        assert fetching.wait(_LONG_S)
        raise DiskError("no space left")

    def is_ended(archive: Path) -> None:
        if archive == site.fake.archive(beta):
            fetching.set()
            assert stopped.wait(_LONG_S)
            raise IndexUnreachableError("uv was ended")

    site.uv.after |= {"venv": fail, "unpack": is_ended}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeUv, "end_all", lambda _: stopped.set())
        with pytest.raises(DiskError, match="no space left"):
            site.install()
    assert site.uv.asked == [["alpha"], ["beta", "gamma"]]
    site.uv.after.clear()
    assert site.install().sealed == ["g00000"]
    assert site.findings() == []


@pytest.mark.usefixtures("_one_environment_a_step")
def test_wheels_that_the_prefix_holds_are_compiled_while_others_are_fetched(
    site: _Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha = site.fake.wheel("alpha", files={"alpha.py": b"alpha = 1\n"})  # without bytecode
    beta = site.wheel("beta")
    site.fake.define(0, environment_cell([alpha, beta]))
    ahead: list[str] = []
    compile_ahead = Compiler.compile_ahead

    def note(compiler: Compiler, archive: Path, inventory: Inventory, users: Sequence[Interpreter]) -> None:
        ahead.append(inventory.wheel_sha256)
        compile_ahead(compiler, archive, inventory, users)

    monkeypatch.setattr(Compiler, "compile_ahead", note)
    assert site.install().sealed == ["g00000"]
    assert ahead == [alpha.sha256, beta.sha256]
    assert site.findings() == []


# --- giving way -----------------------------------------------------------------------------------


def test_an_install_that_may_give_way_publishes_batch_by_batch(site: _Site) -> None:
    alpha, beta = _two_environments(site)
    published: list[bool] = []

    def look() -> bool:
        published.append(site.fake.tree(0).exists())
        return False

    result = site.install(look)
    assert published == [False, True]
    assert site.uv.asked == [["alpha"], ["beta"]]
    assert (result.sealed, result.gave_way) == (["g00000"], False)
    assert result.fetched_bytes == alpha.size_bytes + beta.size_bytes
    assert site.findings() == []


def test_an_install_that_gives_way_leaves_the_rest_to_the_next_one(site: _Site) -> None:
    _two_environments(site)
    result = site.install(lambda: site.fake.tree(0).exists())
    assert result.installed == [f"g00000/{site.fake.environment}"]
    assert (result.sealed, result.partial, result.gave_way) == ([], ["g00000"], True)
    assert not site.prefix.staging.exists()
    assert site.install().sealed == ["g00000"]
    assert site.findings() == []


def test_while_an_install_runs_models_can_read_its_progress(site: _Site) -> None:
    alpha, beta = _two_environments(site)
    seen: list[list[ProgressLine]] = []
    fetch = Fetcher.fetch

    def look(fetcher: Fetcher, items: Sequence[WheelToFetch], stage: Stage) -> dict[str, MonobaseError]:
        seen.append(read_progress(site.prefix))
        return fetch(fetcher, items, stage)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fetcher, "fetch", look)
        site.install(lambda: False)
    other = f"{site.fake.environment}-{_TORCH}"
    assert seen == [
        [
            ProgressLine("g00000", site.fake.environment, "fetch", 0, alpha.size_bytes),
            ProgressLine("g00000", other, "queued"),
        ],
        [ProgressLine("g00000", other, "fetch", 0, beta.size_bytes)],
    ]
    assert read_progress(site.prefix) == []


def test_the_progress_of_an_install_that_fails_is_removed(site: _Site) -> None:
    _two_environments(site)

    def fail() -> bool:
        raise DiskError("no room")

    with pytest.raises(DiskError):
        site.install(fail)
    assert read_progress(site.prefix) == []
