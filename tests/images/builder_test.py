"""The image that builds layers, as a Dockerfile uses it."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from layers.lock import format_layer_lock
from tests.images.engine import Engine, engine
from tests.images.layouts import builder_layout, daemon_layout, runtime_layout
from tests.index.wheel import WheelSpec
from tests.layer.sample_lock import sample_lock


@pytest.fixture(scope="module")
def podman() -> Iterator[Engine]:
    with engine() as found:
        yield found


@pytest.fixture(scope="module")
def builder(podman: Engine) -> str:
    return podman.pull(f"oci:{builder_layout().directory}")


def test_the_builder_stands_on_the_layers_of_the_daemon_and_adds_headers_and_its_own_code() -> None:
    builder, daemon, runtime = builder_layout(), daemon_layout(), runtime_layout()
    assert builder.layers[:-3] == daemon.layers
    assert builder.layers[:2] == runtime.layers[:2]
    assert builder.layers[-3].size_bytes < 15_000_000
    assert builder.layers[-2].size_bytes < 3_000_000
    assert builder.layers[-1].size_bytes < 500_000


def test_an_extension_module_is_compiled_against_the_headers_of_the_image_s_python(
    podman: Engine, builder: str
) -> None:
    script = r"""
    set -e; mkdir /tmp/ours; cd /tmp/ours
    cat >ours.c <<'END'
    #include <Python.h>
    static struct PyModuleDef ours = {PyModuleDef_HEAD_INIT, "ours"};
    PyMODINIT_FUNC PyInit_ours(void) { return PyModule_Create(&ours); }
    END
    flags=$(python3.13-config --includes)
    gcc -shared -fPIC $flags -o ours.so ours.c
    python3.13 -c 'import ours; print(ours.__name__)'
    uv venv --quiet --offline --python 3.13 venv
    venv/bin/python -c 'import sys; print(*sys.version_info[:2])'
    """
    assert podman.shell(builder, dedent(script)).splitlines() == ["ours", "3 13"]


def test_dpkg_and_apt_find_nothing_amiss_in_the_builder(podman: Engine, builder: str) -> None:
    printed = podman.shell(builder, "dpkg --audit; apt-get -qq check && dpkg --list | grep -c ^ii")
    assert int(printed) > 400


def test_the_builder_has_the_installer_and_what_activates_and_no_launchers(
    podman: Engine, builder: str
) -> None:
    script = """
    monobase install --help | grep -o -m 1 'Usage: monobase'; uv --version | cut -d' ' -f1
    command -v python pip torchrun
    MONOBASE_PREFIX=/nowhere PYTHON_VERSION=3.12 /opt/monobase/exec true; echo $?
    """
    assert podman.shell(builder, script).splitlines() == ["Usage: monobase", "uv", "66"]


def test_a_layer_of_wheels_is_installed_without_an_index_and_a_prefix(
    podman: Engine, builder: str, tmp_path: Path
) -> None:
    wheel = WheelSpec("ours", "1.0", files={"ours.py": b"x = 1\n"}, console_scripts={"ours": "ours:main"})
    lock = sample_lock(tmp_path / "model.wheels", wheel, environment="python3.13", python_full="3.13.9")
    (tmp_path / "model.lock").write_text(format_layer_lock(lock))
    script = r"""
    cd /src && monobase-layer --help | grep -o '^  [a-z]* ' | xargs
    monobase-layer install --version | cut -d' ' -f1
    monobase-layer install model.lock --to /opt/venv --offline | grep -o '1 wheels\|with.*'
    cd /opt/venv/lib/python3.13/site-packages
    ls ours.py; ls __pycache__ | grep -o ours.cpython-313.pyc; readlink /opt/venv/bin/python
    """
    options = ("--network", "none", "--volume", f"{tmp_path}:/src:ro")
    assert podman.shell(builder, script, *options).splitlines() == [
        "check install lock",
        "monobase",
        "1 wheels",
        "with bytecode",
        "ours.py",
        "ours.cpython-313.pyc",
        "/srv/r8/monobase/uv/python/cpython-3.13.9-linux-x86_64-gnu/bin/python3.13",
    ]
