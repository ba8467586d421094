"""Tests of wheels that are built against a base: what builds see, and what becomes of the wheels."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from layers.base import Base
from layers.compiled_layer import Compilation, install_compiled_layer
from layers.errors import LayerBaseError, LayerBuildError
from layers.extension import add_built, architecture_list, build_wheels, read_wheel
from layers.install import LayerOptions
from layers.lock import Override
from tests.index.wheel import WheelSpec, write_wheel
from tests.layer.sample_base import base_of
from tests.layer.sample_lock import sample_lock


@pytest.fixture
def base(tmp_path: Path) -> Base:
    return base_of(tmp_path / "base")


def test_architectures_of_torch_are_written_as_its_build_variable_wants_them() -> None:
    assert architecture_list("sm_75 sm_80 sm_90a sm_100 sm_120 compute_120\n") == "7.5;8.0;9.0a;10.0;12.0+PTX"
    assert architecture_list("\n") == ""


def make_activation(folder: Path, wheels: Path, code: int = 0) -> Path:
    """Write a stand-in for the runtime's exec whose pip copies a wheel."""
    folder.mkdir()
    path = folder / "exec"
    path.write_text(f"""\
#!{sys.executable}
import json, os, shutil, sys
if "-c" in sys.argv:
    print("sm_90 compute_120")
    sys.exit()
with open({str(folder / "calls")!r}, "a") as file:
    file.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
for name in os.listdir({str(wheels)!r}):
    shutil.copy(os.path.join({str(wheels)!r}, name), sys.argv[sys.argv.index("--wheel-dir") + 1])
sys.exit({code})
""")
    path.chmod(0o755)
    return path


def test_a_build_sees_the_base_the_layer_and_what_the_base_s_torch_has_code_for(
    tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(WheelSpec("ours", "1.0", files={"ours.py": b""}), tmp_path / "wheels")
    activation = make_activation(tmp_path / "runtime", wheel.path.parent)
    (tmp_path / "out").mkdir()
    monkeypatch.delenv("TORCH_CUDA_ARCH_LIST", raising=False)
    monkeypatch.setenv("MONOBASE_LAYER", "of the caller")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://index.example/simple")
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    (found,) = build_wheels(base, tmp_path / "layer", ["./ours"], tmp_path / "out", activation)
    assert found.locked.sha256 == wheel.sha256
    ((arguments, variables),) = map(json.loads, (tmp_path / "runtime/calls").read_text().splitlines())
    assert arguments[:4] == ["python", "-m", "pip", "wheel"]
    assert arguments[-2:] == ["--", "./ours"]
    assert {"--no-deps", "--no-build-isolation"} <= set(arguments)
    assert variables["MONOBASE_USER_VENV"] == str(tmp_path / "layer")
    assert variables["TORCH_VERSION"] == "2.13.0+cu130"
    assert variables["TORCH_CUDA_ARCH_LIST"] == "9.0;12.0+PTX"
    assert variables["FORCE_CUDA"] == "1"
    assert variables["PIP_INDEX_URL"] == "https://index.example/simple"
    assert "MONOBASE_LAYER" not in variables


def test_a_folder_without_a_slash_is_a_folder_and_not_a_project_on_an_index(
    tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(WheelSpec("ours", "1.0"), tmp_path / "wheels")
    activation = make_activation(tmp_path / "runtime", wheel.path.parent)
    for name in ("out", "kernels"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    built = build_wheels(base, tmp_path / "layer", ["kernels", "kernels==1.0"], tmp_path / "out", activation)
    calls = [json.loads(line)[0][-1] for line in (tmp_path / "runtime/calls").read_text().splitlines()]
    assert calls == [str(tmp_path / "kernels"), "kernels==1.0"]
    assert [it.source for it in built] == ["kernels", "kernels==1.0"]


def test_what_the_author_has_set_for_the_build_stays(
    tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(WheelSpec("ours", "1.0"), tmp_path / "wheels")
    activation = make_activation(tmp_path / "runtime", wheel.path.parent)
    (tmp_path / "out").mkdir()
    given = {"TORCH_CUDA_ARCH_LIST": "9.0", "FORCE_CUDA": "0", "PIP_INDEX_URL": "https://pip.example"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    build_wheels(base, tmp_path / "layer", ["./ours"], tmp_path / "out", activation)
    _, variables = json.loads((tmp_path / "runtime/calls").read_text())
    assert {name: variables[name] for name in given} == given


def test_a_failed_build_names_the_source_without_its_password(tmp_path: Path, base: Base) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "out").mkdir()
    activation = make_activation(tmp_path / "runtime", tmp_path / "none", code=3)
    with pytest.raises(LayerBuildError) as caught:
        build_wheels(base, tmp_path, ["git+https://me:secret@git.example/ours"], tmp_path / "out", activation)
    assert str(caught.value).startswith(
        "git+https://***@git.example/ours: cannot be built against python3.12-torch2.13.0-cu130: pip ended "
        "with exit code 3"
    )


def test_without_a_runtime_the_builder_image_is_named(tmp_path: Path, base: Base) -> None:
    with pytest.raises(LayerBaseError, match="build in the builder image"):
        build_wheels(base, tmp_path, ["./ours"], tmp_path, tmp_path / "exec")


def test_a_malformed_wheel_is_refused_with_its_source(tmp_path: Path, base: Base) -> None:
    path = tmp_path / "ours-1.0-py3-none-any.whl"
    path.write_bytes(b"not a wheel")
    with pytest.raises(
        LayerBuildError, match=r"^\./ours: built a malformed wheel, ours-1\.0-py3-none-any\.whl"
    ):
        read_wheel(path, "./ours", base)


def test_a_wheel_whose_requirements_nobody_has_is_refused_with_what_is_there(
    tmp_path: Path, base: Base
) -> None:
    lock = sample_lock(tmp_path / "layer", WheelSpec("einops", "0.7"))
    cases = {
        "absent>=1": "needs absent>=1, and python3.11-torch2.4.1-cpu with the layer has none",
        "einops>=0.8": "needs einops>=0.8, and python3.11-torch2.4.1-cpu with the layer has 0.7",
        "torch<2": "needs torch<2, and python3.11-torch2.4.1-cpu with the layer has 2.13.0",
    }
    for number, (need, expected) in enumerate(cases.items()):
        wheel = write_wheel(WheelSpec("ours", "1.0", requires_dist=(need,)), tmp_path / str(number))
        with pytest.raises(LayerBuildError) as caught:
            add_built(lock, base, [read_wheel(wheel.path, "./ours", base)])
        assert expected in str(caught.value)


def test_requirements_that_are_there_or_for_others_do_not_stop_a_wheel(tmp_path: Path, base: Base) -> None:
    needs = ("torch>=2", "Einops", "absent; python_version < '3.0'", "absent; extra == 'all'")
    wheel = write_wheel(WheelSpec("ours", "1.0", requires_dist=needs), tmp_path / "wheels")
    lock = sample_lock(tmp_path / "layer", WheelSpec("einops", "0.7"), WheelSpec("ours", "0.9"))
    full = add_built(lock, base, [read_wheel(wheel.path, "./ours", base)])
    assert [(it.name, it.version) for it in full.wheels] == [("einops", "0.7"), ("ours", "1.0")]
    assert [(it.name, it.source) for it in full.built] == [("ours", "./ours")]
    assert full.overrides == ()


def test_a_built_wheel_of_a_package_of_the_base_replaces_it_by_name(tmp_path: Path, base: Base) -> None:
    wheel = write_wheel(WheelSpec("torch", "2.13.0+ours"), tmp_path / "wheels")
    lock = sample_lock(tmp_path / "layer")
    assert add_built(lock, base, [read_wheel(wheel.path, "./torch", base)]).overrides == (
        Override("torch", "2.13.0+ours", "2.13.0"),
    )


def test_a_layer_has_what_was_built_and_what_was_locked_and_the_wheel_is_kept(
    tmp_path: Path, base: Base
) -> None:
    wheel = write_wheel(WheelSpec("ours", "1.0", files={"ours.py": b"x = 1\n"}), tmp_path / "built")
    activation = make_activation(tmp_path / "runtime", wheel.path.parent)
    lock = sample_lock(tmp_path / "wheels", WheelSpec("einops", "0.7", files={"einops.py": b""}))
    python = Path(sys.executable)
    lock = replace(lock, environment=f"python{sys.version_info[0]}.{sys.version_info[1]}")
    options = LayerOptions(tmp_path / "prefix", built=tmp_path / "wheels", python=python)
    compilation = Compilation(("./ours",), tmp_path / "kept", activation)
    made = install_compiled_layer(lock, tmp_path / "layer", options, base, compilation)
    assert made.wheels == 2
    assert {"einops.py", "ours.py"} <= {path.name for path in made.path.rglob("*.py")}
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [wheel.path.name]


def test_a_failed_build_leaves_the_folder_as_it_was(tmp_path: Path, base: Base) -> None:
    activation = make_activation(tmp_path / "runtime", tmp_path / "none", code=1)
    (tmp_path / "none").mkdir()
    lock = sample_lock(tmp_path / "wheels")
    lock = replace(lock, environment=f"python{sys.version_info[0]}.{sys.version_info[1]}")
    options = LayerOptions(tmp_path / "prefix", python=Path(sys.executable))
    with pytest.raises(LayerBuildError):
        install_compiled_layer(
            lock, tmp_path / "layer", options, base, Compilation(("./x",), None, activation)
        )
    assert not (tmp_path / "layer").exists()
