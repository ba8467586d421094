"""Whatever is damaged, wherever: one repair restores it, through no link, and leaves the rest alone."""

import gzip
import io
import json
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from daemon.install.options import InstallOptions
from daemon.install.pipeline import install
from daemon.prefix.content_source import ContentSource
from daemon.prefix.content_store import ContentStore
from daemon.prefix.finding import Finding
from daemon.prefix.inventory import InventoryFile, inventory_path
from daemon.prefix.manifest import format_manifest, read_manifest
from daemon.prefix.tree_check import trusted_owners
from daemon.report.progress import Reporter
from daemon.upkeep.repair import RepairResult, repair
from daemon.upkeep.scan import scan
from daemon.upkeep.verify import verify
from daemon.uv.program import find_uv
from gens.catalog import load_catalog
from tests.faults.tree import Tree, read_tree, tree_paths
from tests.index.interpreter_archive import InterpreterMirror, interpreter_mirror
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel
from tests.node.node import BYTECODE_SUFFIX, PLAIN, SITE, Node, make_node
from tests.synthetic.catalog import PYTHON, environment_cell, toolkit_cell

_TORCH = f"{PLAIN}-torch2.4.1-cpu"
_COPY = ("/bin/cp", "-a")  # links stay links
_GENERATIONS = ["g00000", "g00001"]


@dataclass(frozen=True, slots=True)
class Installed:
    """A node with two sealed generations, and a copy of it to start from each time.

    Attributes:
        node: The node.
        mirror: Where its interpreter comes from.
        pristine: The copy of its prefix.
        trees: What stands in each tree.
        alpha: The wheel that all environments hold.
        cublas: The wheel of the toolkit.
    """

    node: Node
    mirror: InterpreterMirror
    pristine: Path
    trees: dict[str, Tree]
    alpha: Wheel
    cublas: Wheel

    def reset(self) -> None:
        """Restore the prefix as it was installed, links included."""
        shutil.rmtree(self.node.root, ignore_errors=True)
        subprocess.run([*_COPY, self.pristine, self.node.root], check=True)

    def repair(self, *names: str, stores: bool = True, downloads: bool = True) -> tuple[RepairResult, str]:
        """Repair; return the result and the log."""
        said = io.StringIO()
        catalog = load_catalog(self.node.gens, keep_broken=True)
        options = InstallOptions(downloads=downloads)
        result = repair(
            self.node.prefix, catalog, find_uv(None), list(names) or _GENERATIONS, options, Reporter(said),
            stores=stores,
        )  # fmt: skip
        return result, said.getvalue()

    def differences(self) -> list[Finding]:
        """Verify everything."""
        return verify(self.node.prefix, self.node.prefix.installed_generations(), 2, stores=True).findings

    @property
    def interpreter(self) -> Path:
        """The folder of the managed interpreter."""
        return next(path for path in self.node.prefix.uv_python.glob("cpython-*") if not path.is_symlink())

    def places(self) -> dict[str, Path]:
        """Name a path of each sort that there is on a prefix."""
        node, prefix = self.node, self.node.prefix
        environment, torch = node.environment(), node.environment(_TORCH)
        return {
            "wheel file": environment / SITE / "alpha" / "__init__.py",
            "executable": environment / SITE / "alpha" / "run",
            "script": environment / "bin" / "alpha-tool",
            "bytecode": environment / SITE / "alpha" / "__pycache__" / f"part.{BYTECODE_SUFFIX}",
            "configuration": environment / "pyvenv.cfg",
            "RECORD": environment / SITE / "alpha-1.0.dist-info" / "RECORD",
            "data": environment / "share" / "alpha" / "model.bin",
            "empty file": environment / SITE / "alpha" / "empty.txt",
            "manifest": torch / ".manifest",
            "program": torch / "bin" / "python",
            "toolkit file": prefix.toolkits / "cuda-12.4.1" / "lib64" / "libcublas.so.12",
            "toolkit link": prefix.toolkits / "cuda-12.4.1" / "lib",
            "link to toolkit": node.environment("cuda12.4"),
            "inventory": inventory_path(prefix, self.alpha.sha256),
            "inventory of a toolkit": inventory_path(prefix, self.cublas.sha256),
            "list": next(prefix.wheels.glob(f"{self.alpha.sha256}.*.pyc.gz")),
            "mark": prefix.sealed_mark("g00001"),
            "environments": prefix.environments_file("g00000"),
            "interpreter": self.interpreter / f"lib/python{PYTHON}/json/decoder.py",
            "interpreter's program": self.interpreter / "bin" / f"python{PYTHON}",
        }


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    directory = tmp_path_factory.mktemp("repair")
    with (
        LocalIndex(directory / "index") as index,
        interpreter_mirror(directory / "mirror", small=True) as mirror,
        pytest.MonkeyPatch.context() as patch,
    ):
        node = make_node(index, directory)
        for name, value in node.environment_variables().items():
            patch.setenv(name, value)
        patch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", mirror.list_url)
        patch.setenv("UV_PYTHON_DOWNLOADS", "manual")
        yield _install(node, mirror)


def _install(node: Node, mirror: InterpreterMirror) -> Installed:
    alpha = node.wheel(
        files={
            "alpha/__init__.py": b"from alpha import part\nNAME = 'alpha'\n\ndef main():\n    print(NAME)\n",
            "alpha/part.py": b"x = 1\n", "alpha/run": b"#!/bin/sh\necho run\n", "alpha/empty.txt": b"",
        },
        executables=frozenset({"alpha/run"}),
        console_scripts={"alpha-tool": "alpha:main"},
        data={"data/share/alpha/model.bin": b"weights"},
    )  # fmt: skip
    cublas = node.wheel(
        "nvidia-cublas-cu12", "12.4.5.8",
        files={"nvidia/cublas/lib/libcublas.so.12": b"\x7fELF cublas", "nvidia/cublas/include/c.h": b"//\n"},
    )  # fmt: skip
    cells = [environment_cell([alpha]), environment_cell([alpha], "2.4.1"), toolkit_cell([cublas], "12.4.1")]
    for number in range(2):
        node.define(*cells, generation=number)
    said = io.StringIO()
    result = install(node.prefix, load_catalog(node.gens), find_uv(None), InstallOptions(), Reporter(said))
    assert not result.failures, said.getvalue()
    pristine = node.directory / "pristine"
    subprocess.run([*_COPY, node.root, pristine], check=True)
    return Installed(node, mirror, pristine, _trees(node), alpha, cublas)


@pytest.fixture
def fresh(installed: Installed) -> Iterator[Installed]:
    installed.reset()
    assert installed.differences() == []
    yield installed
    installed.node.index.go_up()
    installed.mirror.lost.clear()
    for number in range(2):
        away = installed.node.gens / f"away{number}"
        if away.exists():
            away.rename(installed.node.gens / f"g{number:05d}.json")


def _trees(node: Node) -> dict[str, Tree]:
    trees = [*tree_paths(node.prefix), *node.prefix.uv_python.glob("cpython-*")]
    return {str(path.relative_to(node.root)): read_tree(path) for path in trees if not path.is_symlink()}


def _change_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"~")


def _grow_in_place(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _replace(path: Path) -> None:
    mode = path.lstat().st_mode
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(b"~" + content[1:] if content else b"~")
    path.chmod(mode & 0o777)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _to_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def _to_broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _to_folder(path: Path) -> None:
    path.unlink()
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "file").write_text("")


def _to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _to_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as stream:
        here = os.open(path.parent, os.O_RDONLY)
        stream.bind(f"/proc/self/fd/{here}/{path.name}")  # its own path may be longer than a socket's
        os.close(here)


def _open_mode(path: Path) -> None:
    path.chmod(0o777)


def _other_owner(path: Path) -> None:
    os.chown(path, 65534, 65534, follow_symlinks=False)


_DAMAGES: tuple[Callable[[Path], None], ...] = (
    Path.unlink, _change_in_place, _grow_in_place, _replace, _empty, _to_link, _to_broken_link, _to_folder,
    _to_pipe, _to_socket, _open_mode, _other_owner,
)  # fmt: skip
_LINKS = {"program", "toolkit link", "link to toolkit"}
_OF_ENTRIES = {Path.unlink, _to_link, _to_broken_link, _to_folder, _to_pipe, _to_socket}
# What has no mode or owner that anybody compares: it is read only by the installer, or by its own digest.
_NO_MODE = {"inventory", "inventory of a toolkit", "list", "mark", "environments", "manifest"}


def _suits(name: str, damage: Callable[[Path], None]) -> bool:
    if name in _LINKS:
        return damage in _OF_ENTRIES
    if damage in {_open_mode, _other_owner}:
        return name not in _NO_MODE and (damage is _open_mode or os.geteuid() == 0)
    if name == "mark" and damage is Path.unlink:
        return False  # a generation without a mark is incomplete, not damaged
    return not (name == "empty file" and damage in {_change_in_place, _empty})


def _check_whole(installed: Installed) -> None:
    assert _trees(installed.node) == installed.trees
    assert installed.node.is_sealed("g00000")
    assert installed.node.is_sealed("g00001")
    environment = installed.node.environment()
    python, tool = str(environment / "bin" / "python"), str(environment / "bin" / "alpha-tool")
    for command in ([python, "-c", "import alpha; alpha.main()"], [tool]):
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        assert said.stdout == "alpha\n"
    assert installed.differences() == []


@pytest.mark.parametrize("damage", _DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_one_repair_restores_one_kind_of_damage_at_all_places(
    fresh: Installed, damage: Callable[[Path], None]
) -> None:
    places = {name: path for name, path in fresh.places().items() if _suits(name, damage)}
    other = fresh.node.environment(generation="g00001") / SITE / "alpha" / "__init__.py"
    before = other.stat().st_ino
    for path in places.values():
        damage(path)
    assert fresh.differences()
    result, said = fresh.repair()
    assert [str(finding) for finding in result.findings] == [], said
    assert result.failures == {}
    _check_whole(fresh)
    if damage in _OF_ENTRIES | {_replace}:
        assert other.stat().st_ino == before


@pytest.mark.parametrize("seed", range(4))
def test_one_repair_restores_a_mixture_of_damages(fresh: Installed, seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311 (damage of a test)
    places = fresh.places()
    names = choose.sample(sorted(places), 8)
    done = []
    for name in names:
        damage = choose.choice([damage for damage in _DAMAGES if _suits(name, damage)])
        damage(places[name])
        done.append((name, damage.__name__))
    (fresh.node.environment() / SITE / "intruder.py").write_text("")
    result, said = fresh.repair()
    assert [str(finding) for finding in result.findings] == [], f"{done}\n{said}"
    _check_whole(fresh)


def test_everything_is_restored_without_the_index_and_without_uv_s_cache_when_content_is_held(
    fresh: Installed,
) -> None:
    places = fresh.places()
    for name in ("wheel file", "executable", "script", "configuration", "RECORD", "data", "toolkit file"):
        places[name].unlink()
    _open_mode(places["bytecode"])
    _to_folder(places["empty file"])
    shutil.rmtree(fresh.node.prefix.uv_cache)
    with fresh.node.index.down():
        result, said = fresh.repair(downloads=False)
    assert result.findings == [], said
    _check_whole(fresh)


def test_a_damaged_file_comes_back_from_the_index_when_uv_s_cache_is_gone(fresh: Installed) -> None:
    path = fresh.places()["wheel file"]
    _change_in_place(path)
    shutil.rmtree(fresh.node.prefix.uv_cache)
    result, said = fresh.repair()
    assert result.findings == [], said
    assert path.samefile(fresh.node.environment(generation="g00001") / SITE / "alpha" / "__init__.py")
    _check_whole(fresh)


@pytest.mark.parametrize("what", ["tree", "toolkit", "interpreter", "file", "link"])
def test_what_is_gone_as_a_whole_is_made_anew(fresh: Installed, what: str) -> None:
    trees = {
        "tree": fresh.node.environment(),
        "toolkit": fresh.node.prefix.toolkits / "cuda-12.4.1",
        "interpreter": fresh.interpreter,
    }
    path = trees.get(what, fresh.node.environment())
    shutil.rmtree(path)
    if what == "file":
        path.write_text("")
    elif what == "link":
        path.symlink_to("/etc")
    result, said = fresh.repair()
    assert result.findings == [], said
    _check_whole(fresh)


def test_a_link_to_another_toolkit_is_led_back_and_that_toolkit_stays_as_it_is(fresh: Installed) -> None:
    prefix = fresh.node.prefix
    other = prefix.toolkits / "cuda-11.8.0"
    shutil.copytree(prefix.toolkits / "cuda-12.4.1", other, symlinks=True)
    manifest = replace(read_manifest(other / ".manifest"), content="0" * 64)
    (other / ".manifest").write_bytes(format_manifest(manifest))
    before = read_tree(other)
    link = fresh.node.environment("cuda12.4")
    link.unlink()
    link.symlink_to("../../cuda/cuda-11.8.0")
    result, said = fresh.repair("g00000", stores=False)
    assert result.findings == [], said
    assert os.readlink(link) == "../../cuda/cuda-12.4.1"  # noqa: PTH115 (the text is meant)
    assert read_tree(other) == before


def test_wrong_modes_and_missing_folders_are_restored(fresh: Installed) -> None:
    environment = fresh.node.environment()
    (environment / SITE / "alpha").chmod(0o700)
    (environment / "share").chmod(0o777)
    fresh.node.prefix.generation("g00001").chmod(0o700)
    shutil.rmtree(fresh.node.environment(generation="g00001") / SITE / "alpha")
    if os.geteuid() == 0:
        _other_owner(environment / "bin")
    assert len(fresh.differences()) >= 4
    result, said = fresh.repair()
    assert result.findings == [], said
    _check_whole(fresh)


# --- what fails leaves the rest alone ---


def _damage_both(fresh: Installed) -> None:
    for generation in _GENERATIONS:
        environment = fresh.node.environment(generation=generation)
        (environment / SITE / "alpha" / "part.py").unlink()  # others hold its content
        (environment / SITE / "intruder.py").write_text("")


def test_a_generation_that_the_catalog_has_not_is_repaired_from_what_the_prefix_holds(
    fresh: Installed,
) -> None:
    _damage_both(fresh)
    (fresh.node.gens / "g00000.json").rename(fresh.node.gens / "away0")
    result, said = fresh.repair()
    assert result.findings == [], said
    _check_whole(fresh)


def test_what_only_a_lock_tells_stays_and_is_named_and_all_else_is_repaired(fresh: Installed) -> None:
    _damage_both(fresh)
    (fresh.node.environment() / ".manifest").write_bytes(b"junk")
    (fresh.node.gens / "g00000.json").rename(fresh.node.gens / "away0")
    result, said = fresh.repair()
    left = {finding.tree for finding in result.findings}
    assert left == {"monobase/g00000", "monobase/g00000/python" + PYTHON}
    assert "there is no generation 0" in said
    assert list(result.failures) == ["monobase/g00000/python" + PYTHON]
    (fresh.node.gens / "away0").rename(fresh.node.gens / "g00000.json")
    assert fresh.repair()[0].findings == []
    _check_whole(fresh)


def test_a_wheel_that_left_the_index_keeps_no_other_tree_damaged(fresh: Installed) -> None:
    places = fresh.places()
    _change_in_place(places["toolkit file"])
    _change_in_place(places["wheel file"])
    places["script"].unlink()
    fresh.node.index.repository.lose(fresh.cublas.filename)
    try:
        result, said = fresh.repair()
        assert {finding.tree for finding in result.findings} == {"cuda/cuda-12.4.1"}
        assert "nvidia" in str(result.failures["cuda/cuda-12.4.1"])
        assert "could not be restored" in said
    finally:
        fresh.node.index.add(fresh.cublas.spec)
    assert fresh.repair()[0].findings == []
    _check_whole(fresh)


def test_an_interpreter_that_cannot_be_had_keeps_nothing_else_damaged(fresh: Installed) -> None:
    places = fresh.places()
    _change_in_place(places["interpreter"])
    _change_in_place(places["wheel file"])
    fresh.mirror.lost.add(fresh.interpreter.name.split("-")[1])
    result, said = fresh.repair()
    assert {finding.tree for finding in result.findings} == {f"uv/python/{fresh.interpreter.name}"}
    assert "404" in said
    fresh.mirror.lost.clear()
    assert fresh.repair()[0].findings == []
    _check_whole(fresh)


# --- who is sent to `verify --repair` is right there ---


@pytest.mark.parametrize(
    "name",
    ["inventory", "inventory of a toolkit", "list", "manifest", "toolkit's manifest", "mark", "unused"],
)
def test_an_install_that_sends_somebody_to_repair_is_right(fresh: Installed, name: str) -> None:
    node = fresh.node
    toolkit = node.prefix.toolkits / "cuda-12.4.1" / ".manifest"
    path = (fresh.places() | {"toolkit's manifest": toolkit, "unused": toolkit})[name]
    path.unlink()
    path.write_bytes(b"junk")
    if name == "manifest":  # of a generation that is to be completed
        node.prefix.sealed_mark("g00000").unlink()
    if name == "unused":
        for generation in _GENERATIONS:
            shutil.rmtree(node.prefix.generation(generation))
    cells = [environment_cell([fresh.alpha]), toolkit_cell([fresh.cublas], "12.4.1")]
    node.define(*cells, generation=8)
    try:
        told = _install_all(node)
        if told:
            assert all("verify --repair" in text for text in told), told
            said = node.run("verify", "--repair").stderr
            assert "no difference" in said
            assert _install_all(node) == []
        assert all(node.is_sealed(generation) for generation in [*_GENERATIONS, "g00008"])
        assert verify(node.prefix, node.prefix.installed_generations(), 2, stores=True).findings == []
    finally:
        (node.gens / "g00008.json").unlink()


def _install_all(node: Node) -> list[str]:
    catalog = load_catalog(node.gens, keep_broken=True)
    result = install(node.prefix, catalog, find_uv(None), InstallOptions(), Reporter(io.StringIO()))
    return [str(error) for error in result.failures.values()]


# --- what a newer monobase has written ---


def _of_a_newer_format(path: Path) -> None:
    if path.name == ".done":
        path.write_text('{"format": 9}')
        return
    text = gzip.decompress(path.read_bytes())
    first, _, rest = text.partition(b"\n")
    path.write_bytes(gzip.compress(first.rpartition(b" ")[0] + b" 9\n" + rest))


@pytest.mark.parametrize("name", ["manifest", "inventory", "list", "mark", "interpreter's manifest"])
def test_what_a_newer_monobase_has_written_is_no_damage_and_never_touched(
    fresh: Installed, name: str
) -> None:
    places = fresh.places() | {
        "interpreter's manifest": fresh.node.prefix.interpreter_manifest(fresh.interpreter.name)
    }
    path = places[name]
    path.unlink() if name == "mark" else None
    _of_a_newer_format(path)
    before = path.read_bytes()
    damaged = places["toolkit file"]
    damaged.unlink()
    result, said = fresh.repair()
    assert {finding.kind for finding in result.findings} == {"newer"}, said
    assert path.read_bytes() == before
    assert damaged.exists()


# --- what belongs to nobody ---


def test_what_is_extra_in_the_tops_and_stores_is_named_and_removed_and_folders_are_only_named(
    fresh: Installed,
) -> None:
    prefix = fresh.node.prefix
    extra = [
        prefix.generation("g00000") / "notes.txt",
        prefix.toolkits / "stray",
        prefix.files / "stray",
        prefix.files / "ab" / ("0" * 64),
        prefix.wheels / "stray.files.gz",
        prefix.bytecode / "stray",
    ]
    for path in extra:
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    (prefix.generation("g00000") / "link").symlink_to("/etc")
    folders = [prefix.generation("g00001") / "lost+found", prefix.toolkits / "lost+found"]
    for path in folders:
        path.mkdir()
    (prefix.generations / "g00007").write_text("")
    (prefix.generations / "g00008").symlink_to("g00000")
    for store, make in ((prefix.files, Path.mkdir), (prefix.bytecode, os.mkfifo)):
        place = next(path for path in sorted(store.rglob("*")) if path.is_file())
        place.unlink()  # a link, which no environment needs
        make(place)
        extra.append(place)
    named = {f"{finding.tree}/{finding.path}" for finding in fresh.differences()}
    everything = [*extra, *folders, prefix.generation("g00000") / "link"]
    assert {str(path.relative_to(prefix.root)) for path in everything} <= named
    result, said = fresh.repair()
    assert {f"{finding.tree}/{finding.path}" for finding in result.findings} == {
        "monobase/g00001/lost+found", "cuda/lost+found", "monobase/g00007", "monobase/g00008",
    }, said  # fmt: skip
    assert all("move it away" in finding.detail for finding in result.findings)
    assert all(path.exists() for path in folders)
    assert not any(path.exists() for path in extra)


def test_a_weekly_reading_finds_what_kept_its_size_and_time(fresh: Installed) -> None:
    path = fresh.places()["wheel file"]
    status = path.stat()
    _change_in_place(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    (fresh.node.prefix.toolkits / "stray").write_text("")
    told: list[str] = []
    for full in (False, True):
        found = scan(fresh.node.prefix, _GENERATIONS, full=full, jobs=1, stop=lambda: False, warn=told.append)
        assert bool(found) == full
    assert told == ["extra: cuda/stray"]


# --- how it is said, and how long it takes ---


def test_many_lost_files_are_a_line_a_tree_for_people_and_all_for_machines(fresh: Installed) -> None:
    many = {f"many/m{number}.txt": b"%d" % number for number in range(120)}
    wheel = fresh.node.wheel("many", files={"many/__init__.py": b""} | many)
    fresh.node.define(environment_cell([wheel]), generation=7)
    try:
        options, catalog = InstallOptions(min_gen_id=7), load_catalog(fresh.node.gens)
        install(fresh.node.prefix, catalog, find_uv(None), options, Reporter(io.StringIO()))
        lost = fresh.node.environment(generation="g00007") / SITE / "many"
        shutil.rmtree(lost)
        said = fresh.node.run("verify", "--gen", "7", code=1)
        assert len(said.stdout.splitlines()) == 1
        assert f"monobase/g00007/python{PYTHON}: 122 missing, such as missing:" in said.stdout
        assert len(said.stderr.splitlines()) == 1
        document = json.loads(fresh.node.run("verify", "--gen", "7", "--json", code=1).stdout)
        assert len(document["findings"]) == 122
        entries = fresh.node.run("verify", "--gen", "7", "--log-format", "json", code=1).stderr
        assert len(entries.splitlines()) == 123
        result, text = fresh.repair("g00007", stores=False)
        assert result.findings == []
        assert len([line for line in text.splitlines() if "restored" in line]) == 1
        assert len(text.splitlines()) <= 3
    finally:
        (fresh.node.gens / "g00007.json").unlink()


@pytest.mark.parametrize("count", [50, 200])
def test_each_lost_file_costs_the_same_however_many_there_are(fresh: Installed, count: int) -> None:
    prefix = fresh.node.prefix
    prefix.staging.mkdir()
    store = ContentStore(prefix.files, prefix.staging)
    source = ContentSource(prefix.staging, store, trusted_owners(prefix))
    found = [
        source.take(
            InventoryFile(f"{number}.py", "0" * 64, number + 1, 0o644), [prefix.root / f"{number}.py"]
        )
        for number in range(count)
    ]
    assert found == [None] * count
    assert source.looked_at <= 4 * count
