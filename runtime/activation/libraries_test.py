"""Real libraries: of two with one name, the right one is loaded, and a build gets the right headers."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SITE_PACKAGES, SamplePrefix
from runtime.shells import EXEC, SYSTEM_PATH, Outcome, Shell, run

pytest_plugins = ["runtime.fixtures"]

# As Torch is linked: by RPATH, which nothing comes before. As cuDNN is: by RUNPATH, and parts by name.
TORCH = "const char *cudnn_report(void); const char *torch_report(void) { return cudnn_report(); }"
CUDNN = """
#include <dlfcn.h>
#include <stdio.h>
static const char *part(const char *name) {
    void *library = dlopen(name, RTLD_NOW);
    const char *(*version)(void) = library ? (const char *(*)(void))dlsym(library, "version") : 0;
    return version ? version() : "none";
}
const char *cudnn_report(void) {
    static char text[200];
    const char *graph = part("libcudnn_graph.so.9"), *new = part("libcudnn_new.so.9");
    snprintf(text, sizeof text, "%s graph=%s new=%s", VERSION, graph, new);
    return text;
}
"""
PART = "const char *version(void) { return VERSION; }"
REPORT = (
    "import ctypes, torch, os; "
    "library = ctypes.CDLL(os.path.dirname(torch.__file__) + '/lib/libtorch_cuda.so'); "
    "library.torch_report.restype = ctypes.c_char_p; print(library.torch_report().decode())"
)


def compile_library(path: Path, code: str, *options: str, version: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [
        "gcc",
        "-shared",
        "-fPIC",
        "-x",
        "c",
        "-",
        "-x",
        "none",
        "-o",
        str(path),
        f"-Wl,-soname,{path.name}",
    ]
    subprocess.run([*command, f'-DVERSION="{version}"', *options], input=code.encode(), check=True)


def install_cudnn(packages: Path, version: str, *parts: str, distribution: str = "nvidia_cudnn_cu12") -> None:
    """Put a cuDNN where its wheel puts it, with its metadata."""
    folder = packages / "nvidia" / "cudnn"
    shutil.rmtree(folder, ignore_errors=True)
    compile_library(folder / "lib" / "libcudnn.so.9", CUDNN, "-Wl,-rpath,$ORIGIN", version=version)
    for part in parts:
        compile_library(folder / "lib" / f"libcudnn_{part}.so.9", PART, version=version)
    (folder / "include").mkdir()
    (folder / "include" / "cudnn.h").write_text(f'#define CUDNN_TEXT "{version}"\n')
    metadata = packages / f"{distribution}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    files = [path.relative_to(packages) for path in folder.rglob("*.*") if path.is_file()]
    (metadata / "RECORD").write_text("".join(f"{path},,\n" for path in files))


def install_torch(packages: Path) -> None:
    (packages / "torch").mkdir(exist_ok=True)
    (packages / "torch" / "__init__.py").write_text("")
    cudnn = packages / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9"
    rpath = ("-Wl,--disable-new-dtags", "-Wl,-rpath,$ORIGIN/../../nvidia/cudnn/lib")
    compile_library(packages / "torch" / "lib" / "libtorch_cuda.so", TORCH, *rpath, str(cudnn), "-ldl")


@pytest.fixture
def base(own_prefix: SamplePrefix) -> Path:
    """Return an environment whose Torch is linked to its cuDNN 9.10."""
    if shutil.which("gcc", path=SYSTEM_PATH) is None:
        pytest.skip("gcc is not installed")
    base = own_prefix.root / "monobase" / "g00002" / f"python{PYTHON}-torch2.4.1-cu124"
    install_cudnn(base / SITE_PACKAGES, "9.10.0", "graph")
    install_torch(base / SITE_PACKAGES)
    return base


@pytest.fixture
def venv(base: Path, tmp_path: Path) -> Path:
    venv = tmp_path / "venv"
    assert execute(base, "true", MONOBASE_USER_VENV=str(venv)) == Outcome(0, "", "")
    shutil.rmtree(venv / SITE_PACKAGES / "nvidia_cudnn_cu12-9.10.0.dist-info")  # as an installer does
    return venv


def execute(base: Path, *command: str, **variables: str) -> Outcome:
    asked = {
        "PATH": SYSTEM_PATH,
        "MONOBASE_PREFIX": str(base.parent.parent.parent),
        "PYTHON_VERSION": PYTHON,
        "TORCH_VERSION": "2.4.1",
        "CUDA_VERSION": "12.4",
    }
    return run([str(EXEC), *command], asked | variables)


# --- a newer one in the venv ----------------------------------------------------------------------


def test_all_parts_of_a_library_are_of_the_side_that_torch_is_of(base: Path, venv: Path) -> None:
    install_cudnn(venv / SITE_PACKAGES, "9.20.0", "graph", "new")

    outcomes = [execute(base, "python", "-c", REPORT, MONOBASE_USER_VENV=str(venv)) for _ in range(2)]

    assert (
        outcomes[0]
        == outcomes[1]
        == Outcome(
            0,
            "9.10.0 graph=9.10.0 new=none\n",
            "monobase: warning: the environment's Torch loads its own nvidia-cudnn-cu12 9.10.0 (not "
            "nvidia-cudnn-cu12 9.20.0, which pip shows); "
            f"to use the venv's, install Torch in {venv} as well\n",
        )
    )


def test_all_parts_are_the_venvs_where_torch_is_too(base: Path, venv: Path) -> None:
    install_cudnn(venv / SITE_PACKAGES, "9.20.0", "graph", "new")
    install_torch(venv / SITE_PACKAGES)

    outcome = execute(base, "python", "-c", REPORT, MONOBASE_USER_VENV=str(venv))

    assert outcome == Outcome(0, "9.20.0 graph=9.20.0 new=9.20.0\n", "")


def test_one_that_is_installed_while_the_model_starts_mixes_nothing(base: Path, venv: Path) -> None:
    wheel = venv.parent / "wheel"
    install_cudnn(wheel, "9.20.0", "graph", "new")
    install = f'cp -r "{wheel}/." "{venv / SITE_PACKAGES}"; exec python -c "{REPORT}"'

    outcome = execute(base, "sh", "-c", install, MONOBASE_USER_VENV=str(venv))

    assert outcome == Outcome(0, "9.10.0 graph=9.10.0 new=none\n", "")


def test_one_of_the_same_version_is_nothing_to_tell(base: Path, venv: Path) -> None:
    install_cudnn(venv / SITE_PACKAGES, "9.10.0", "graph")

    outcome = execute(base, "python", "-c", REPORT, MONOBASE_USER_VENV=str(venv))

    assert outcome == Outcome(0, "9.10.0 graph=9.10.0 new=none\n", "")


def test_one_of_another_name_that_brings_the_same_library_is_told(base: Path, venv: Path) -> None:
    execute(base, "true", MONOBASE_USER_VENV=str(venv))  # prepared: nothing that was there goes away
    install_cudnn(venv / SITE_PACKAGES, "9.20.0", "graph", distribution="nvidia_cudnn_cu13")

    outcome = execute(base, "python", "-c", REPORT, MONOBASE_USER_VENV=str(venv))

    assert outcome.stdout == "9.10.0 graph=9.10.0 new=none\n"
    assert "nvidia-cudnn-cu12 9.10.0 (not nvidia-cudnn-cu13 9.20.0, which pip shows)" in outcome.stderr


def test_a_library_that_only_the_venv_has_is_found(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path
) -> None:
    venv = tmp_path / "venv"
    variables = {
        "MONOBASE_PREFIX": str(prefix.root),
        "PYTHON_VERSION": PYTHON,
        "MONOBASE_USER_VENV": str(venv),
    }
    variables |= {"TORCH_VERSION": "2.4.1", "CUDA_VERSION": "12.4", "MONOBASE_LOG_LEVEL": "error"}
    shell.run('. "$activate"', variables)
    for part in ("cublas", "cutensor", "cu13"):
        (venv / SITE_PACKAGES / "nvidia" / part / "lib").mkdir(parents=True)

    libraries = shell.run('. "$activate"; echo "$LD_LIBRARY_PATH"', variables).stdout.rstrip("\n").split(":")

    below = (
        prefix.root / "monobase" / "g00002" / f"python{PYTHON}-torch2.4.1-cu124" / SITE_PACKAGES / "nvidia"
    )
    mine = venv / SITE_PACKAGES / "nvidia"
    assert libraries[2:-1] == [
        *(f"{below}/cublas/lib", f"{below}/cudnn/lib"),
        *(f"{mine}/cu13/lib", f"{mine}/cutensor/lib"),
    ]


# --- headers --------------------------------------------------------------------------------------


def make_toolkit_cudnn(base: Path, version: str) -> Path:
    toolkit = base.parent / "cudnn9-cuda12"
    compile_library(toolkit / "lib" / "libcudnn.so.9", CUDNN, version=version)
    (toolkit / "lib" / "libcudnn.so").symlink_to("libcudnn.so.9")
    (toolkit / "include" / "cudnn.h").write_text(f'#define CUDNN_TEXT "{version}"\n')
    return toolkit


BUILD = (
    'printf "%s\\n" "#include <cudnn.h>" "#include <stdio.h>" "const char *cudnn_report(void);" '
    '"int main(void) { return printf(\\"%s, %s\\\\n\\", CUDNN_TEXT, cudnn_report()) < 0; }" >"$0.c" && '
    'gcc "$0.c" $1 -lcudnn -o "$0" && exec "$0"'
)


@pytest.mark.parametrize("options", ["", "-I$CUDNN_HOME/include -L$CUDNN_HOME/lib"])
def test_a_build_gets_the_headers_of_the_cudnn_that_it_will_run_with(
    base: Path, tmp_path: Path, options: str
) -> None:
    make_toolkit_cudnn(base, "9.26.0")
    script = BUILD.replace("$1", options)

    outcome = execute(base, "sh", "-c", script, str(tmp_path / "program"), CUDNN_VERSION="9")
    variables = execute(base, "env", CUDNN_VERSION="9").variables

    # CMake looks for libcudnn.so, a name that the toolkit alone has, here.
    assert variables["CMAKE_LIBRARY_PATH"] == str(base.parent / "cudnn9-cuda12" / "lib")
    assert outcome.stdout == "9.10.0, 9.10.0 graph=9.10.0 new=none\n"
    assert outcome.stderr == (
        "monobase: warning: Torch loads its own cuDNN 9.10.0: builds get its headers, "
        "not those of the toolkit's cuDNN 9.1.0.70\n"
    )


def test_where_both_are_one_the_toolkit_is_whole_and_nothing_is_said(base: Path, tmp_path: Path) -> None:
    toolkit = make_toolkit_cudnn(base, "9.10.0")
    (toolkit / "lib" / "libcudnn.so.9").unlink()
    os.link(base / SITE_PACKAGES / "nvidia/cudnn/lib/libcudnn.so.9", toolkit / "lib" / "libcudnn.so.9")

    program = str(tmp_path / "program")
    outcome = execute(base, "sh", "-c", BUILD + '; echo "$CUDNN_HOME"', program, CUDNN_VERSION="9")
    home = execute(base, "env", CUDNN_VERSION="9").variables["CUDNN_HOME"]

    assert outcome == Outcome(0, "9.10.0, 9.10.0 graph=9.10.0 new=none\n", "")
    assert home == str(toolkit)


def test_without_headers_of_torchs_own_both_versions_are_named(base: Path) -> None:
    make_toolkit_cudnn(base, "9.26.0")
    shutil.rmtree(base / SITE_PACKAGES / "nvidia" / "cudnn" / "include")

    outcome = execute(base, "env", CUDNN_VERSION="9")

    assert outcome.variables["CUDNN_HOME"] == str(base.parent / "cudnn9-cuda12")
    assert outcome.stderr == (
        "monobase: warning: Torch loads its own cuDNN 9.10.0, "
        "but builds get the headers of the toolkit's cuDNN 9.1.0.70\n"
    )


def test_a_cudnn_inside_of_torch_is_not_mixed_with_the_toolkits(base: Path) -> None:
    make_toolkit_cudnn(base, "9.26.0")
    packages = base / SITE_PACKAGES
    shutil.move(packages / "nvidia/cudnn/lib/libcudnn.so.9", packages / "torch/lib/libcudnn.so.9")
    shutil.rmtree(packages / "nvidia")

    libraries = execute(base, "env", CUDNN_VERSION="9").variables["LD_LIBRARY_PATH"]

    assert "cudnn9-cuda12" not in libraries


def test_a_toolkit_of_another_cuda_than_torchs_is_told_at_level_info(prefix: SamplePrefix) -> None:
    outcome = execute(
        prefix.root / "monobase" / "g00002" / "x",
        "true",
        TORCH_VERSION="2.5.1+cu121",
        MONOBASE_LOG_LEVEL="info",
    )

    assert "built with the toolkit of CUDA 12.4, and run with the libraries of cu121" in outcome.stderr
