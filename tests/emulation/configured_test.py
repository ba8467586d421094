"""Programs of the arm64 images write what the build writes in their place, without running them.

Here they run, by emulation, in containers of the images.
"""

import os
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from image.oci.layout import read_layout
from tests.emulation.emulated_image import unpack_images
from tests.emulation.emulator import Container, refusal

LIBRARIES = "/usr/lib/aarch64-linux-gnu"
STUBS = "/opt/monobase/lib64/stubs"


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Container]:
    reason = refusal()
    if reason is not None and os.environ.get("MONOBASE_REQUIRE_EMULATION") == "1":
        pytest.fail(reason)
    if reason is not None:
        pytest.skip(reason)
    names = ("daemon", "runtime")
    layouts = [read_layout(Path(os.environ[f"MONOBASE_{name.upper()}_IMAGE"]).absolute()) for name in names]
    images = unpack_images(layouts, tmp_path_factory.mktemp("emulation") / "store")
    emulator = Path(os.environ["MONOBASE_EMULATOR"]).absolute()
    return {name: Container(emulator, image) for name, image in zip(names, images, strict=True)}


@pytest.fixture
def daemon(containers: dict[str, Container]) -> Container:
    return containers["daemon"]


def shell(container: Container, script: str) -> list[str]:
    return container.run("sh", "-ec", dedent(script)).splitlines()


def test_ldconfig_writes_the_cache_of_the_image_again(daemon: Container) -> None:
    script = """
    find /usr/lib /usr/local/lib -type l | sort >/tmp/links
    cp /etc/ld.so.cache /tmp/before
    ldconfig
    cmp /tmp/before /etc/ld.so.cache
    find /usr/lib /usr/local/lib -type l | sort | cmp /tmp/links -
    ldconfig -p | grep -c AArch64
    """
    (count,) = shell(daemon, script)
    assert int(count) > 300


def test_the_loaders_of_images_are_those_that_their_own_program_finds(daemon: Container) -> None:
    folder = f"{LIBRARIES}/gdk-pixbuf-2.0"
    loaders = f"{folder}/2.10.0/loaders"
    script = f"{folder}/gdk-pixbuf-query-loaders {loaders}/*.so | cmp - {loaders}.cache"
    assert shell(daemon, script) == []


def test_python_compiles_to_the_bytecode_of_the_image(daemon: Container) -> None:
    script = """
    import importlib.util, py_compile, sys
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    sources = ["/usr/lib/python3.13/json/decoder.py", "/opt/monobase/daemon/main.py"]
    sources += ["/usr/local/lib/python3.13/dist-packages/click/core.py"]
    for source in sources:
        py_compile.compile(source, "/tmp/ours.pyc", invalidation_mode=mode)
        before = open(importlib.util.cache_from_source(source), "rb").read()
        print(before == open("/tmp/ours.pyc", "rb").read())
    """
    assert daemon.run("env", "PYTHONHASHSEED=0", "python3.13", "-c", dedent(script)).split() == ["True"] * 3


def test_dpkg_and_apt_know_a_whole_system_of_arm64(containers: dict[str, Container]) -> None:
    script = "dpkg --print-architecture; dpkg --audit; apt-get -qq check && dpkg --list | grep -c ^ii"
    for container in containers.values():
        as_root = replace(container, image=replace(container.image, user="0:0"))
        name, count = shell(as_root, script)
        assert name == "arm64"
        assert int(count) > 300


def test_alternatives_and_certificates_lead_where_they_should(daemon: Container) -> None:
    script = f"""
    update-alternatives --query libblas.so.3-aarch64-linux-gnu | grep ^Value
    readlink -f {LIBRARIES}/libblas.so.3 /usr/bin/awk
    one=$(ls /usr/share/ca-certificates/mozilla/*.crt | head -n 1)
    openssl verify -no_check_time -no-CAfile -CApath /etc/ssl/certs "$one" | grep -o OK
    """
    assert shell(daemon, script) == [
        f"Value: {LIBRARIES}/blas/libblas.so.3",
        f"{LIBRARIES}/blas/libblas.so.3.12.1",
        "/usr/bin/mawk",
        "OK",
    ]


def test_programs_link_with_the_stubs_and_these_say_what_they_are(containers: dict[str, Container]) -> None:
    script = f"""
    cd /tmp
    cat >ours.c <<'END'
    #include <stdio.h>
    int cuInit(unsigned);
    int nvmlInit_v2(void);
    int main(void) {{ return printf("%d %d\\n", cuInit(0), nvmlInit_v2()) < 0; }}
    END
    gcc ours.c -lcuda -lnvidia-ml -o ours
    readelf -dW ours | sed -n 's/.*(NEEDED).*\\[\\(.*\\)\\]/\\1/p'
    LD_PRELOAD='{STUBS}/libcuda.so {STUBS}/libnvidia-ml.so' ./ours 2>&1
    """
    said = shell(containers["runtime"], script)
    assert said[:3] == ["libcuda.so.1", "libnvidia-ml.so.1", "libc.so.6"]
    assert said[-1] == "34 12"
    assert sorted(line.split(" is a stub")[0] for line in said[3:-1]) == [
        "monobase: error: libcuda.so",
        "monobase: error: libnvidia-ml.so",
    ]
