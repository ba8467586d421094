"""The installation of layers: by hash, complete or not at all, and always the same."""

import base64
import fcntl
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gens.errors import MonobaseError
from layers.errors import (
    LayerIndexError,
    LayerInterpreterError,
    LayerPlaceError,
    LayerUvError,
    LayerWheelError,
)
from layers.install import LayerOptions, install_layer
from layers.layer_file import LAYER_FILE, LayerFile, read_layer_file
from layers.lock import Built, LayerLock, Override, format_layer_lock, lock_digest
from layers.uv import WheelSources
from layers.uv_settings import variables_of_uv
from tests.index.wheel import Damage, WheelSpec
from tests.layer.sample_lock import DIGEST, sample_lock

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
PACKAGES = f"lib/python{PYTHON}/site-packages"
NATIVE = WheelSpec(
    "native", "1.0", python_tag="cp312", abi_tag="cp312", platform_tag="manylinux_2_17_x86_64",
    files={"native/__init__.py": b"", "native/part.cpython-312-x86_64-linux-gnu.so": b"\x7fELF"},
)  # fmt: skip
MINE = WheelSpec(
    "Mine.It",
    "1.0",
    files={"mine/__init__.py": b"V = 1\n", "mine/data.txt": b"data"},
    executables=frozenset({"mine/data.txt"}),
    console_scripts={"mine": "mine:main"},
    data={
        "scripts/old": b"#!python\nprint(1)\n",
        "headers/mine.h": b"",
        "data/etc/x": b"x",
    },
)


def install(lock: LayerLock, to: Path, *folders: Path, **options: object) -> list[str]:
    """Install without an index; return the warnings."""
    warnings: list[str] = []
    sources = WheelSources(folders, offline=True)
    install_layer(lock, to, replace(LayerOptions(sources=sources, warn=warnings.append), **options))  # type: ignore[arg-type]
    return warnings


def content_of(root: Path) -> dict[str, tuple[int, int, str]]:
    """Return mode, time and content of everything below a folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        text = str(path.readlink()) if path.is_symlink() else ""
        if path.is_file() and not path.is_symlink():
            text = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(root))] = (status.st_mode, status.st_mtime_ns, text)
    return found


def test_a_layer_is_a_virtual_environment_of_the_bases_python(tmp_path: Path) -> None:
    lock = sample_lock(tmp_path / "wheels", MINE)

    warnings = install(lock, tmp_path / "deep" / "venv", tmp_path / "wheels")

    layer = tmp_path / "deep" / "venv"
    home = f"/srv/r8/monobase/uv/python/cpython-3.11.9-linux-{lock.machine}-gnu/bin"
    assert warnings == []
    assert str((layer / "bin" / "python").readlink()) == f"{home}/python3.11"
    assert str((layer / "bin" / "python3.11").readlink()) == "python"
    assert f"home = {home}\n" in (layer / "pyvenv.cfg").read_text()
    assert (layer / PACKAGES / "mine" / "__pycache__" / "__init__.cpython-311.pyc").is_file()
    assert (layer / "include/site/python3.11/mine-it/mine.h").is_file()
    assert (layer / "etc/x").is_file()
    assert read_layer_file(layer) == LayerFile(
        "g00002", "python3.11-torch2.4.1-cpu", DIGEST, str(lock.content), lock_digest(format_layer_lock(lock))
    )
    assert [path.name for path in layer.parent.iterdir()] == ["venv"]


def test_two_installations_are_the_same_to_the_bit(tmp_path: Path) -> None:
    lock = sample_lock(
        tmp_path / "wheels", MINE, WheelSpec("other", "2.0", files={"other.py": b"X = {'b', 'a'}\n"})
    )
    (tmp_path / "copy").symlink_to("wheels")

    install(lock, tmp_path / "a" / "venv", tmp_path / "wheels")
    previous = os.umask(0o077)
    try:
        install(lock, tmp_path / "b" / "of another length" / "name", tmp_path / "copy")
    finally:
        os.umask(previous)

    assert content_of(tmp_path / "a" / "venv") == content_of(tmp_path / "b" / "of another length" / "name")


def test_every_file_is_recorded_with_its_digest_in_order(tmp_path: Path) -> None:
    install(sample_lock(tmp_path / "wheels", MINE), tmp_path / "venv", tmp_path / "wheels")

    packages = tmp_path / "venv" / PACKAGES
    lines = next(packages.glob("*.dist-info/RECORD")).read_text().splitlines()
    assert lines == sorted(lines)
    recorded = dict(line.split(",", 1) for line in lines)
    assert {"../../../bin/mine", "../../../bin/old", "../../../etc/x", "mine/__init__.py"} <= set(recorded)
    assert not any("uv_cache" in path for path in recorded)
    for path in recorded:
        assert (packages / path).exists(), path


def test_wheels_of_another_python_are_installed_without_bytecode(tmp_path: Path) -> None:
    lock = sample_lock(
        tmp_path / "wheels",
        NATIVE,
        environment="python3.12-torch2.13.0-cu130",
        platform="x86_64-manylinux_2_34",
    )

    warnings = install(lock, tmp_path / "venv", tmp_path / "wheels")

    packages = tmp_path / "venv" / "lib" / "python3.12" / "site-packages"
    assert (packages / "native" / "part.cpython-312-x86_64-linux-gnu.so").is_file()
    assert [path.name for path in (tmp_path / "venv" / "lib").iterdir()] == ["python3.12"]
    assert list((tmp_path / "venv").rglob("*.pyc")) == []
    assert len(warnings) == 1
    assert warnings[0].startswith("there is no Python 3.12 here: the layer gets no bytecode")


def test_a_lock_without_wheels_gives_a_layer(tmp_path: Path) -> None:
    install(sample_lock(tmp_path), tmp_path / "venv")

    assert read_layer_file(tmp_path / "venv") is not None
    assert (tmp_path / "venv" / PACKAGES / "monobase.pth").is_file()


def test_a_wheel_that_the_lock_does_not_name_ends_with_its_name_and_both_hashes(tmp_path: Path) -> None:
    lock = sample_lock(tmp_path / "wheels", MINE)
    wheel = tmp_path / "wheels" / lock.wheels[0].filename
    wheel.write_bytes(b"another")

    with pytest.raises(LayerWheelError) as raised:
        install(lock, tmp_path / "venv", tmp_path / "wheels")

    assert str(wheel) in str(raised.value)
    assert f"expected sha256:{lock.wheels[0].sha256}" in str(raised.value)
    assert f"found sha256:{hashlib.sha256(b'another').hexdigest()}" in str(raised.value)
    assert not (tmp_path / "venv").exists()


def test_a_wheel_that_is_nowhere_is_named(tmp_path: Path) -> None:
    lock = sample_lock(tmp_path / "wheels", MINE)

    with pytest.raises(LayerIndexError, match="mine-it"):
        install(lock, tmp_path / "venv")

    assert [path.name for path in tmp_path.iterdir()] == ["wheels"]


def test_a_built_wheel_comes_from_the_folder_beside_the_lock(tmp_path: Path) -> None:
    lock = sample_lock(tmp_path / "model.wheels", MINE, built=(Built("mine-it", "1.0", "./mine"),))

    with pytest.raises(LayerWheelError, match=r"mine_it-1.0-py3-none-any.whl: is missing.*built from ./mine"):
        install(lock, tmp_path / "venv", built=tmp_path / "other.wheels")
    install(lock, tmp_path / "venv", built=tmp_path / "model.wheels")

    assert (tmp_path / "venv" / PACKAGES / "mine").is_dir()


def test_of_two_wheels_with_one_file_the_later_name_wins_with_a_warning(tmp_path: Path) -> None:
    specs = [
        WheelSpec(name, "1.0", files={"both.py": name.encode(), f"{name}.py": b""}) for name in ("aa", "bb")
    ]
    lock = sample_lock(tmp_path / "wheels", *specs)

    warnings = install(lock, tmp_path / "venv", tmp_path / "wheels")

    packages = tmp_path / "venv" / PACKAGES
    assert warnings == ["both.py: aa and bb have it with different contents; that of bb is used"]
    assert (packages / "both.py").read_text() == "bb"
    assert (packages / "aa.py").is_file()


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (WheelSpec("bad", "1", data={"data/.monobase-layer": b""}), ".monobase-layer"),
        (WheelSpec("bad", "1", data={"data/.monobase-base/x": b""}), ".monobase-base"),
        (WheelSpec("bad", "1", data={"data/.MonoBase-note": b""}), ".MonoBase-note"),
        (WheelSpec("bad", "1", data={"data/pyvenv.cfg": b""}), "pyvenv.cfg"),
        (WheelSpec("bad", "1", data={"data/lib64/x": b""}), "lib64"),
        (WheelSpec("bad", "1", data={"data/bin/python3.11/x": b""}), "bin/python3.11"),
        (WheelSpec("bad", "1", data={"scripts/python": b""}), "python"),
        (WheelSpec("bad", "1", files={"_monobase_base.py": b""}), f"{PACKAGES}/_monobase_base.py"),
        (WheelSpec("bad", "1", files={"monobase.pth": b""}), f"{PACKAGES}/monobase.pth"),
        (WheelSpec("bad", "1", damage=Damage(unrecorded={"monobase.pth": b""})), f"{PACKAGES}/monobase.pth"),
        (WheelSpec("bad", "1", damage=Damage(escaping={"../../x": b""})), "../../x"),
        (WheelSpec("bad", "1", damage=Damage(escaping={"a/../../x": b""})), "a/../../x"),
        (WheelSpec("bad", "1", damage=Damage(escaping={"/nowhere/x": b""})), "/nowhere/x"),
        (WheelSpec("bad", "1", damage=Damage(symlinks={"bad/link": "/etc/passwd"})), "bad/link"),
        (WheelSpec("bad", "1", files={"mine": b""}), "mine"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_a_wheel_with_a_file_that_it_may_not_have_is_refused_with_both(
    tmp_path: Path, spec: WheelSpec, path: str
) -> None:
    lock = sample_lock(tmp_path / "wheels", MINE, spec)

    with pytest.raises(LayerWheelError) as raised:
        install(lock, tmp_path / "venv", tmp_path / "wheels")

    assert "bad-1-py3-none-any.whl" in str(raised.value) or "mine_it-1.0-py3-none-any.whl" in str(
        raised.value
    )
    assert path in str(raised.value)
    assert ".monobase-new" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["wheels"]


def test_data_in_the_folder_of_another_python_is_data(tmp_path: Path) -> None:
    other = {"data/lib/python3.99/site-packages/x.py": b"1"}
    lock = sample_lock(tmp_path / "wheels", MINE, WheelSpec("other", "1", data=other))

    install(lock, tmp_path / "venv", tmp_path / "wheels")

    assert (tmp_path / "venv/lib/python3.99/site-packages/x.py").read_bytes() == b"1"
    assert (tmp_path / "venv" / PACKAGES / "mine").is_dir()


def test_a_record_with_a_wrong_digest_is_corrected(tmp_path: Path) -> None:
    damage = Damage(wrong_hashes=frozenset({"mine/data.txt"}))
    lock = sample_lock(tmp_path / "wheels", replace(MINE, damage=damage))

    install(lock, tmp_path / "venv", tmp_path / "wheels")

    digest = base64.urlsafe_b64encode(hashlib.sha256(b"data").digest()).rstrip(b"=").decode()
    record = next((tmp_path / "venv" / PACKAGES).glob("*.dist-info/RECORD")).read_text()
    assert f"mine/data.txt,sha256={digest},4\n" in record


def test_another_layer_is_replaced(tmp_path: Path) -> None:
    first = sample_lock(tmp_path / "wheels", MINE)
    second = sample_lock(tmp_path / "wheels", WheelSpec("other", "2.0", files={"other.py": b""}))
    to = tmp_path / "to" / "venv"

    install(first, to, tmp_path / "wheels")
    install(second, to, tmp_path / "wheels")

    assert not (to / PACKAGES / "mine").exists()
    assert (to / PACKAGES / "other.py").is_file()
    assert [path.name for path in to.parent.iterdir()] == ["venv"]


def test_an_empty_folder_becomes_a_layer(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()

    install(sample_lock(tmp_path), tmp_path / "venv")

    assert (tmp_path / "venv" / LAYER_FILE).is_file()


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_anything_else_stays_and_is_named(tmp_path: Path, kind: str) -> None:
    to = tmp_path / "venv"
    if kind == "folder":
        to.mkdir()
        (to / "pyvenv.cfg").touch()
    elif kind == "file":
        to.touch()
    else:
        (tmp_path / "empty").mkdir()
        to.symlink_to("empty")
    before = content_of(tmp_path)

    with pytest.raises(LayerPlaceError, match=str(to)):
        install(sample_lock(tmp_path), to)

    assert content_of(tmp_path) == before


@pytest.mark.parametrize("name", ["a:b", "two\nlines", "\udcff", "a\tb"], ids=ascii)
def test_a_path_that_no_model_can_have_is_refused(tmp_path: Path, name: str) -> None:
    for to, prefix in ((tmp_path / name, tmp_path), (tmp_path / "venv", tmp_path / name)):
        with pytest.raises(LayerPlaceError, match="has a colon, a control character or a byte that is not"):
            install(sample_lock(tmp_path / "wheels"), to, prefix=prefix)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("/", "/: cannot become a layer; name a folder"),
        ("/proc", "/proc: is a mount; name a folder below it"),
        ("/etc/passwd/venv", "/etc/passwd/venv: /etc/passwd is not a directory; name another folder"),
    ],
)
def test_a_folder_that_cannot_become_a_layer_is_refused(tmp_path: Path, to: str, said: str) -> None:
    with pytest.raises(LayerPlaceError, match=said):
        install(sample_lock(tmp_path / "wheels"), Path(to))


def test_every_user_may_read_a_layer_and_the_folders_above_it_that_were_made(tmp_path: Path) -> None:
    lock = sample_lock(tmp_path / "wheels", MINE)
    previous = os.umask(0o077)
    try:
        install(lock, tmp_path / "opt" / "models" / "venv", tmp_path / "wheels")
    finally:
        os.umask(previous)

    found = [tmp_path / "opt", *(tmp_path / "opt").rglob("*")]
    folders = {path for path in found if path.is_dir() and not path.is_symlink()}
    modes = {path: path.stat().st_mode & 0o7777 for path in found if not path.is_symlink()}
    assert {modes[path] for path in folders} == {0o755}
    assert {mode for path, mode in modes.items() if path not in folders} == {0o644, 0o755}
    assert modes[tmp_path / "opt" / "models" / "venv" / "bin" / "mine"] == 0o755


def test_folders_above_that_were_made_are_removed_if_it_fails(tmp_path: Path) -> None:
    lock = sample_lock(tmp_path / "wheels", MINE)

    with pytest.raises(LayerIndexError):
        install(lock, tmp_path / "deep" / "models" / "venv")

    assert [path.name for path in tmp_path.iterdir()] == ["wheels"]


def test_a_folder_of_wheels_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(LayerPlaceError, match=r"nowhere: is not a directory"):
        install(sample_lock(tmp_path), tmp_path / "venv", tmp_path / "nowhere")


@pytest.mark.parametrize("program", ["/bin/true", "/nowhere/python"])
def test_a_named_interpreter_that_does_not_fit_is_refused(tmp_path: Path, program: str) -> None:
    with pytest.raises(LayerInterpreterError, match=f"{program}: is not a Python that runs"):
        install(sample_lock(tmp_path), tmp_path / "venv", python=Path(program))


def test_what_a_killed_installation_left_is_removed_and_what_another_uses_is_not(tmp_path: Path) -> None:
    left, used = tmp_path / ".venv.monobase-new-left", tmp_path / ".venv.monobase-new-used"
    for folder in (left, used):
        (folder / "layer").mkdir(parents=True)
    descriptor = os.open(used, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        install(sample_lock(tmp_path / "wheels"), tmp_path / "venv")
    finally:
        os.close(descriptor)

    assert not left.exists()
    assert used.is_dir()


@pytest.mark.parametrize("name", ["v[1]", "**", "a*", "a b", "-c", "ä"])
def test_a_folder_of_any_name_becomes_a_layer_and_only_what_is_its_own_is_removed(
    tmp_path: Path, name: str
) -> None:
    left, other = tmp_path / f".{name}.monobase-new-left", tmp_path / ".ab.monobase-new-left"
    left.mkdir()
    other.mkdir()

    install(sample_lock(tmp_path / "wheels"), tmp_path / name)

    assert (tmp_path / name / LAYER_FILE).is_file()
    assert not left.exists()
    assert other.is_dir()


def test_the_note_names_libraries_of_which_the_bases_torch_loads_its_own(tmp_path: Path) -> None:
    cudnn = WheelSpec("nvidia-cudnn-cu13", "9.3", files={"nvidia/cudnn/lib/libcudnn.so.9": b""})
    lock = sample_lock(tmp_path / "wheels", cudnn, overrides=(Override("nvidia-cudnn-cu13", "9.3", "9.2"),))

    install(lock, tmp_path / "venv", tmp_path / "wheels")

    note = (tmp_path / "venv" / ".monobase-note").read_text()
    assert note == "nvidia-cudnn-cu13 9.2 (not nvidia-cudnn-cu13 9.3, which pip shows)\n"


def test_variables_of_uv_and_pip_do_not_change_the_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = sample_lock(tmp_path / "wheels", MINE)
    install(lock, tmp_path / "a", tmp_path / "wheels")
    for name, value in {
        "UV_COMPILE_BYTECODE": "1", "UV_LINK_MODE": "symlink", "UV_CONSTRAINT": "/nowhere",
        "UV_PYTHON": "3.99", "UV_TARGET": str(tmp_path / "target"), "VIRTUAL_ENV": "/nowhere",
        "PYTHONPATH": "/nowhere", "PYTHONHASHSEED": "3", "PIP_INDEX_URL": "https://nowhere.invalid",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    install(lock, tmp_path / "b", tmp_path / "wheels")

    assert content_of(tmp_path / "a") == content_of(tmp_path / "b")


@pytest.mark.parametrize("name", ["pyproject.toml", "uv.toml"])
@pytest.mark.parametrize(
    "setting",
    [
        'exclude-dependencies = ["mine-it"]',
        "override-dependencies = [\"mine-it ; python_version < '3'\"]",
        'override-dependencies = ["mine-it==2"]',
        'constraint-dependencies = ["mine-it<1"]',
        "no-binary = true",
        'required-version = ">=99"',
        '[PIP]\ntarget = "src"',
        '[PIP]\nprefix = "src"',
        '[PIP]\ngroup = ["x"]',
        "not even TOML",
    ],
)
def test_the_configuration_of_a_project_does_not_change_the_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, setting: str
) -> None:
    lock = sample_lock(tmp_path / "wheels", MINE)
    install(lock, tmp_path / "a", tmp_path / "wheels")
    project = tmp_path / "project"
    (project / "src" / "mine").mkdir(parents=True)
    (project / "src" / "mine" / "__init__.py").write_text("of the author\n")
    table = "tool.uv" if name == "pyproject.toml" else ""
    text = setting.replace("PIP", f"{table}.pip".lstrip("."))
    (project / name).write_text(f"[{table}]\n{text}\n" if table else f"{text}\n")
    before = content_of(project)
    monkeypatch.chdir(project)

    install(lock, Path("../b"), Path("../wheels"))
    assert content_of(project) == before
    install(lock, Path("c"), Path("../wheels"))

    assert content_of(tmp_path / "a") == content_of(tmp_path / "b") == content_of(project / "c")


def test_a_configuration_of_the_user_that_changes_the_layer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = sample_lock(tmp_path / "wheels", MINE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tmp_path / "config" / "uv" / "uv.toml"
    file.parent.mkdir(parents=True)
    for setting, said in {
        'exclude-dependencies = ["mine-it"]': "uv left out mine-it.*UV_NO_CONFIG",
        f'[pip]\ntarget = "{tmp_path / "elsewhere"}"': f"{file}: `target` of .*UV_NO_CONFIG",
    }.items():
        file.write_text(setting)
        with pytest.raises(LayerUvError, match=said):
            install(lock, tmp_path / "venv", tmp_path / "wheels")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["config", "wheels"]
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    install(lock, tmp_path / "venv", tmp_path / "wheels")


def test_relative_folders_of_variables_are_those_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = variables_of_uv(
        {"UV_CACHE_DIR": "c", "UV_INDEX": "a=./one https://x.invalid/?a=b two", "UV_TARGET": "t", "HOME": "h"}
    )
    assert found == {
        "UV_CACHE_DIR": f"{tmp_path}/c",
        "UV_INDEX": f"a={tmp_path}/one https://x.invalid/?a=b {tmp_path}/two",
        "HOME": "h",
    }


def test_the_command_prints_what_it_made_and_one_line_for_a_failure(tmp_path: Path) -> None:
    lock = sample_lock(tmp_path / "model.wheels", MINE)
    (tmp_path / "model.lock").write_text(format_layer_lock(lock))
    command = [sys.executable, "-m", "layers.main", "install", str(tmp_path / "model.lock"), "--to"]

    made = subprocess.run([*command, str(tmp_path / "venv")], capture_output=True, text=True, check=False)
    refused = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    empty = subprocess.run([*command, ""], capture_output=True, text=True, check=False)

    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith(f"{tmp_path}/venv: 1 wheels, ")
    assert made.stdout.endswith(" bytes, with bytecode\n")
    assert refused.returncode == empty.returncode == LayerPlaceError.exit_code
    assert "Invalid value for '--to': the path is empty; name one" in empty.stderr
    assert refused.stderr.startswith(f"error: {tmp_path}: holds something else than a layer")


def test_each_kind_of_failure_has_the_exit_code_of_the_table() -> None:
    codes = {
        kind.__name__: kind.exit_code for kind in MonobaseError.__subclasses__() if "Layer" in kind.__name__
    }

    assert codes["LayerIndexError"] == 4
    assert codes["LayerDiskError"] == 5
    assert codes["LayerWheelError"] == 7
    assert codes["LayerInterpreterError"] == 8


def test_a_variable_in_the_index_of_a_lock_has_its_value_and_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = replace(sample_lock(tmp_path, MINE), index_url="http://127.0.0.1:1/${TOKEN_OF_TEST}/simple")
    options = LayerOptions(sources=WheelSources(()))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.delenv("TOKEN_OF_TEST", raising=False)
    with pytest.raises(LayerIndexError, match="the variable TOKEN_OF_TEST is not set; set it, or name"):
        install_layer(lock, tmp_path / "layer", options)
    monkeypatch.setenv("TOKEN_OF_TEST", "hidden-word")
    with pytest.raises(LayerIndexError, match=r"127.0.0.1:1/\*\*\*/simple/") as failed:
        install_layer(lock, tmp_path / "layer", options)
    assert "hidden-word" not in str(failed.value)
