"""Managed interpreters with real uv: it installs the running Python, from a mirror of this test."""

import gzip
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.interpreters.interpreter import provide_interpreters
from daemon.prefix.finding import Finding
from daemon.prefix.prefix import Prefix
from daemon.prefix.tree_check import Digests, verify_interpreter
from daemon.uv.program import Uv, find_uv
from tests.index.interpreter_archive import InterpreterMirror, interpreter_mirror

_VERSION = platform.python_version()
_MINOR = ".".join(_VERSION.split(".")[:2])
_OTHER = f"{_MINOR}.98"
_MODULE = f"lib/python{_MINOR}/json/decoder.py"


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InterpreterMirror]:
    with interpreter_mirror(
        tmp_path_factory.mktemp("mirror") / "files", (_VERSION, _OTHER), small=True
    ) as mirror:
        yield mirror


@pytest.fixture(scope="module")
def installed(mirror: InterpreterMirror, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prefix with the interpreter, which tests copy."""
    root = tmp_path_factory.mktemp("installed") / "prefix"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", mirror.list_url)
        found, failures = _provide(_uv(root))
    assert not failures
    assert found
    return root


@pytest.fixture
def uv(
    mirror: InterpreterMirror, installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Uv]:
    """A uv whose prefix holds the interpreter, and a system without one."""
    shutil.copytree(installed, tmp_path / "prefix", symlinks=True)
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", mirror.list_url)
    monkeypatch.setenv("PATH", "/nowhere")
    mirror.downloads.clear()
    yield _uv(tmp_path / "prefix")
    mirror.lost.clear()


def _uv(root: Path) -> Uv:
    prefix = Prefix(root)
    prefix.make_directories()
    return Uv(find_uv(None), prefix)


def _provide(uv: Uv, *versions: str, downloads: bool = True) -> tuple[dict[str, Path], dict[str, str]]:
    found, failures = provide_interpreters(
        uv, versions or [_VERSION], downloads=downloads, warn=_WARNINGS.append
    )
    return (
        {version: interpreter.executable for version, interpreter in found.items()},
        {version: str(error) for version, error in failures.items()},
    )


_WARNINGS: list[str] = []


def _tree(uv: Uv) -> Path:
    return next(path for path in uv.prefix.uv_python.glob(f"cpython-{_VERSION}-*") if not path.is_symlink())


def _differences(uv: Uv) -> list[Finding]:
    found: list[Finding] = []
    verify_interpreter(uv.prefix, _tree(uv).name, Digests(1), found)
    return found


def test_an_interpreter_is_as_its_manifest_says_and_names_its_final_folder(uv: Uv) -> None:
    assert _differences(uv) == []
    assert _provide(uv)[0] == {_VERSION: _tree(uv) / "bin" / f"python{_MINOR}"}
    assert not uv.prefix.uv_python_staging.exists()
    said = subprocess.run(
        [_tree(uv) / "bin" / f"python{_MINOR}", "-c", "import json, sysconfig; print(json.__cached__)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(said.stdout.strip()).exists()  # models, which may not write it, find bytecode
    assert _differences(uv) == []  # and root, who could, wrote none


def _change(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"~")


def _break_program(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"\x7fELF no more")
    path.chmod(0o755)


def _to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _to_folder(path: Path) -> None:
    path.unlink()
    (path / "deep").mkdir(parents=True)


def _to_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def _to_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("a file")


_LIBRARY = f"lib/python{_MINOR}"
_DAMAGES: list[tuple[str, Callable[[Path], None]]] = [
    (f"bin/python{_MINOR}", _break_program),
    (f"{_LIBRARY}/json/scanner.py", Path.unlink),
    (f"{_LIBRARY}/json/encoder.py", _change),
    (f"{_LIBRARY}/json/__pycache__/decoder.{sys.implementation.cache_tag}.pyc", _change),
    (f"{_LIBRARY}/abc.py", _to_pipe),
    (f"{_LIBRARY}/ast.py", _to_folder),
    (f"{_LIBRARY}/base64.py", _to_link),
    (f"{_LIBRARY}/logging", _to_file),
    (f"{_LIBRARY}/unittest", shutil.rmtree),
    (f"{_LIBRARY}/copy.py", lambda path: path.chmod(0o777)),
    (f"{_LIBRARY}/email", lambda path: path.chmod(0o700)),
]


def test_all_damage_is_found_and_mended_at_once_by_renames(uv: Uv, mirror: InterpreterMirror) -> None:
    tree = _tree(uv)
    reader = (tree / f"{_LIBRARY}/json/scanner.py").open("rb")
    untouched = (tree / f"{_LIBRARY}/os.py").stat().st_ino
    found = 0
    for path, damage in _DAMAGES:
        damage(tree / path)
        now = len(_differences(uv))
        assert now > found, path
        found = now
    assert _provide(uv)[0]
    assert _differences(uv) == []
    with reader:
        assert reader.read() == (tree / f"{_LIBRARY}/json/scanner.py").read_bytes()
    assert (tree / f"{_LIBRARY}/os.py").stat().st_ino == untouched
    assert mirror.downloads == [_VERSION]


def test_an_interpreter_whose_program_has_gone_is_made_anew(uv: Uv, mirror: InterpreterMirror) -> None:
    (_tree(uv) / "bin" / f"python{_MINOR}").unlink()
    assert _provide(uv)[0]
    assert _differences(uv) == []
    assert mirror.downloads == [_VERSION]


def test_what_is_extra_is_removed_without_a_download(uv: Uv, mirror: InterpreterMirror) -> None:
    tree = _tree(uv)
    (tree / f"{_LIBRARY}/__pycache__/os.{sys.implementation.cache_tag}.opt-1.pyc").write_bytes(b"x")
    (tree / "lib" / "intruder").mkdir()
    (tree / "lib" / "intruder" / "file").write_text("")
    assert [finding.kind for finding in _differences(uv)] == ["extra", "extra"]
    assert _provide(uv)[0]
    assert _differences(uv) == []
    assert mirror.downloads == []


def test_one_that_cannot_be_had_leaves_the_others_alone_and_is_blamed_alone(
    uv: Uv, mirror: InterpreterMirror
) -> None:
    mirror.lost.add(_OTHER)
    shutil.rmtree(uv.prefix.uv_python)
    found, failures = _provide(uv, "3.8.99", _OTHER, _VERSION)
    assert list(found) == [_VERSION]
    assert sorted(failures) == sorted(["3.8.99", _OTHER])
    assert "404" in failures[_OTHER]
    assert "No download found" in failures["3.8.99"]
    assert _OTHER not in failures["3.8.99"]


def test_a_broken_one_that_cannot_be_made_anew_fails_alone(uv: Uv, mirror: InterpreterMirror) -> None:
    _break_program(_tree(uv) / "bin" / f"python{_MINOR}")
    mirror.lost.add(_VERSION)
    found, failures = _provide(uv, _OTHER, _VERSION)
    assert list(found) == [_OTHER]
    assert "404" in failures[_VERSION]
    mirror.lost.clear()
    assert sorted(_provide(uv, _OTHER, _VERSION)[0]) == sorted([_OTHER, _VERSION])


def test_one_of_an_earlier_release_is_compared_with_a_new_one(uv: Uv, mirror: InterpreterMirror) -> None:
    tree = _tree(uv)
    uv.prefix.interpreter_manifest(tree.name).write_bytes(b"")
    _change(tree / _MODULE)
    assert "earlier release" in _differences(uv)[0].detail
    _provide(uv)
    assert _differences(uv) == []
    assert not (tree / _MODULE).read_bytes().startswith(b"~")
    assert mirror.downloads == [_VERSION]


def test_one_of_an_earlier_release_is_taken_as_it_is_when_none_can_be_had(uv: Uv) -> None:
    tree = _tree(uv)
    uv.prefix.interpreter_manifest(tree.name).write_bytes(b"")
    foreign = tree / f"{_LIBRARY}/__pycache__/os.{sys.implementation.cache_tag}.pyc"
    foreign.write_bytes(b"whoever wrote this")
    _WARNINGS.clear()
    assert _provide(uv, downloads=False)[0]
    assert _differences(uv) == []
    assert foreign.read_bytes() != b"whoever wrote this"
    assert "kept no list" in _WARNINGS[0]


def test_one_that_a_newer_monobase_has_made_is_left_alone(uv: Uv, mirror: InterpreterMirror) -> None:
    mark = uv.prefix.interpreter_manifest(_tree(uv).name)
    text = gzip.decompress(mark.read_bytes()).replace(b"monobase-manifest 1\n", b"monobase-manifest 2\n", 1)
    mark.write_bytes(gzip.compress(text))
    before = mark.read_bytes()
    _change(_tree(uv) / _MODULE)
    assert [finding.kind for finding in _differences(uv)] == ["newer"]
    found, failures = _provide(uv, _OTHER, _VERSION)
    assert list(found) == [_OTHER]
    assert "newer monobase" in failures[_VERSION]
    assert mark.read_bytes() == before
    assert (_tree(uv) / _MODULE).read_bytes().startswith(b"~")
    assert mirror.downloads == [_OTHER]
