"""The images as container tools see them, and what works in a container of each."""

import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from textwrap import dedent

import pytest
from debian.deb822 import Deb822

from image.debian.lock.lock_file import parse_lock
from image.oci.layout import Layout
from tests.images.engine import Engine
from tests.images.layouts import daemon_layout, runtime_layout
from tests.registry.certificates import make_certificate
from tests.registry.local_registry import local_registry
from tests.registry.push_process import Pusher

pytest_plugins = ["tests.images.fixtures"]

LOCK = Path("image/debian/packages.amd64.lock.json")
NAMES = ("daemon", "runtime")


@pytest.fixture(params=NAMES)
def image(request: pytest.FixtureRequest, images: dict[str, str]) -> str:
    return images[request.param]


@pytest.fixture(params=NAMES)
def layout(request: pytest.FixtureRequest, layouts: dict[str, Layout]) -> Layout:
    return layouts[request.param]


def _tool(*arguments: str | Path) -> str:
    if shutil.which(str(arguments[0])) is None:
        pytest.skip(f"{arguments[0]} is not on the PATH; the toolbox of ./bazelw has it")
    done = subprocess.run([*map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_skopeo_reads_the_image_and_its_labels(layout: Layout) -> None:
    found = json.loads(_tool("skopeo", "inspect", f"oci:{layout.directory}"))
    assert found["Digest"] == layout.manifest.digest
    assert found["Architecture"] == "amd64"
    labels = found["Labels"]
    assert labels["org.opencontainers.image.title"].startswith("monobase-")
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.created"] == found["Created"]


def test_crane_validates_what_was_pushed(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    with local_registry(tmp_path / "registry") as registry:
        repository = f"{registry.host}/team/image"
        pushed = Pusher(tmp_path / "home", {}).push(layout.directory, repository, "--tag", "v1")
        assert pushed.returncode == 0, pushed.stderr
        assert pushed.stdout.strip() == f"{repository}@{layout.manifest.digest}"
        _tool("crane", "validate", "--insecure", "--remote", pushed.stdout.strip())


def test_umoci_unpacks_what_dpkg_says_is_installed(layout: Layout, tmp_path: Path) -> None:
    _tool("umoci", "unpack", "--image", f"{layout.directory}:latest", tmp_path / "bundle")
    root = tmp_path / "bundle" / "rootfs"
    with (root / "var/lib/dpkg/status").open() as status:
        stanzas = list(Deb822.iter_paragraphs(status, use_apt_pkg=False))
    found = {(stanza["Package"], stanza["Version"]) for stanza in stanzas}
    assert len(found) == len(stanzas)
    assert {stanza["Status"] for stanza in stanzas} == {"install ok installed"}
    layers = parse_lock(LOCK.read_text(), LOCK).layers
    names = (
        ("system", "build", "python")
        if layout.directory == daemon_layout().directory
        else ("system", "build")
    )
    assert found == {(package.name, package.version) for name in names for package in layers[name]}
    without_licence = [
        stanza["Package"] for stanza in stanzas
        if not (root / "usr/share/doc" / stanza["Package"]).resolve().is_relative_to(root)
        and not (root / "usr/share/doc" / stanza["Package"] / "copyright").exists()
    ]  # fmt: skip
    assert without_licence == []
    assert list((root / "dev").iterdir()) == []


def test_dpkg_and_apt_find_nothing_amiss(podman: Engine, image: str) -> None:
    printed = podman.shell(
        image, "dpkg --audit; apt-get -qq check && dpkg --list | grep -c ^ii", "--user", "0"
    )
    # Each of the two would say what is amiss; dpkg ends with 0 all the same.
    assert int(printed) > 300


def test_every_program_and_library_finds_its_libraries(podman: Engine, image: str) -> None:
    script = """
    # (Plugins of libcaca and libao need libraries that Debian leaves to who wants them.)
    cd /usr; find bin sbin lib/x86_64-linux-gnu lib/git-core lib/gcc libexec local/bin \
        -xdev -type f ! -path '*/caca/*' ! -path '*/ao/*' \\( -perm -u+x -o -name '*.so*' \\) 2>/dev/null |
    while read -r file; do
        case $(head -c 4 "$file" | od -An -c | tr -d ' ') in *ELF*) ;; *) continue ;; esac
        ldd "$file" 2>/dev/null | grep 'not found' && echo "$file"
        echo looked
    done
    """
    printed = podman.shell(image, script).splitlines()
    assert printed.count("looked") > 500
    assert [line for line in printed if line != "looked"] == []


def test_the_compilers_compile_what_triton_and_torch_extensions_need(podman: Engine, image: str) -> None:
    script = """
    set -e; cd /tmp
    printf '#include <stdio.h>\\nint main(void) { puts("from C"); }\\n' >a.c
    printf '#include <iostream>\\nint main() { std::cout << "from C++\\\\n"; }\\n' >b.cc
    cc -O2 -o a a.c && ./a
    c++ -O2 -o b b.cc && ./b
    gcc -shared -fPIC -o liba.so a.c && echo shared
    printf 'all:\\n\\t@echo from make\\n' >Makefile && make
    printf 'rule say\\n command = echo from ninja\\nbuild all: say\\n' >build.ninja
    ninja | grep -o 'from ninja' | tail -1
    awk 'BEGIN { print "from awk" }' && pkg-config --version >/dev/null && which gcc
    """
    printed = podman.shell(image, script).splitlines()
    assert printed == ["from C", "from C++", "shared", "from make", "from ninja", "from awk", "/usr/bin/gcc"]


def test_libraries_that_extension_builds_ask_for_can_be_linked(podman: Engine, image: str) -> None:
    script = r"""
    set -e; cd /tmp
    cat >a.c <<'END'
    #include <stdio.h>
    #include <stdlib.h>
    #include <bzlib.h>
    #include <dlfcn.h>
    #include <ffi.h>
    #include <libaio.h>
    #include <lzma.h>
    #include <openssl/ssl.h>
    #include <zlib.h>
    int main(void) {
        io_context_t context = 0;
        ffi_cif cif;
        printf("%d ", io_setup(1, &context) <= 0 && *zlibVersion() == '1' && *BZ2_bzlibVersion() == '1');
        printf("%d ", lzma_version_number() > 50000000 && OPENSSL_version_major() == 3);
        printf("%d ", ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 0, &ffi_type_void, NULL) == FFI_OK);
        /* As torchaudio's extension asks for it. */
        printf("%d\n", dlopen("libsox.so", RTLD_NOW) != NULL);
    }
    END
    cat >CMakeLists.txt <<'END'
    cmake_minimum_required(VERSION 3.18)
    project(ours C)
    find_package(BZip2 REQUIRED)
    find_package(LibLZMA REQUIRED)
    find_package(OpenSSL REQUIRED)
    find_package(PkgConfig REQUIRED)
    find_package(ZLIB REQUIRED)
    pkg_check_modules(FFI REQUIRED IMPORTED_TARGET libffi)
    add_executable(ours a.c)
    target_link_libraries(ours BZip2::BZip2 LibLZMA::LibLZMA OpenSSL::SSL PkgConfig::FFI ZLIB::ZLIB aio)
    END
    cmake -G Ninja -S . -B build >/dev/null; cmake --build build >/dev/null; build/ours
    """
    assert podman.shell(image, dedent(script)).split() == ["1"] * 4


def test_sox_and_jq_and_rsync_and_zip_work(podman: Engine, image: str) -> None:
    script = """
    set -e; cd /tmp; mkdir one
    sox -n -r 16000 one/tone.flac synth 0.5 sine 440; sox one/tone.flac one/tone.mp3; soxi -r one/tone.mp3
    echo '{"a": [1, 2]}' | jq '.a[1]'
    rsync -a one/ two; zip -qr two.zip two; rm -r two; unzip -qo two.zip; ls two
    tar -cjf one.tar.bz2 one; tar -tf one.tar.bz2 | wc -l
    """
    assert podman.shell(image, script).split() == ["16000", "2", "tone.flac", "tone.mp3", "3"]


def test_git_and_archives_work(podman: Engine, image: str) -> None:
    script = """
    set -e; export HOME=/tmp; cd /tmp; git init -q one; cd one; echo content >file; git add file
    git -c user.name=a -c user.email=a@b commit -qm first; git clone -q /tmp/one /tmp/two; cat /tmp/two/file
    tar -cJf /tmp/a.tar.xz file; tar -tf /tmp/a.tar.xz
    tar --zstd -cf /tmp/a.tar.zst file; tar -tf /tmp/a.tar.zst
    """
    assert podman.shell(image, script).split() == ["content", "file", "file"]


def test_ffmpeg_encodes_and_decodes(podman: Engine, image: str) -> None:
    script = """
    set -e; cd /tmp; ffmpeg -version | head -n 1
    ffmpeg -loglevel error -f lavfi -i sine=frequency=440:duration=1 -c:a libopus tone.ogg
    ffmpeg -loglevel error -f lavfi -i testsrc=duration=1:size=64x64:rate=5 \
        -c:v libx264 -pix_fmt yuv420p film.mp4
    ffprobe -loglevel error -show_entries stream=codec_name -of csv=p=0 tone.ogg
    ffprobe -loglevel error -show_entries stream=codec_name -of csv=p=0 film.mp4
    """
    printed = podman.shell(image, script).splitlines()
    assert printed[0].startswith("ffmpeg version 7")
    assert printed[1:] == ["opus", "h264"]


def test_curl_and_wget_trust_whom_the_bundle_names_and_nobody_else(
    podman: Engine, image: str, tmp_path: Path
) -> None:
    server = make_certificate(tmp_path / "tls")
    with _https_server(server.certificate, server.key) as port:
        url = f"https://localhost:{port}/"
        distrusted = f"curl --silent --max-time 20 {url}; echo $?; wget -qT 20 -t 1 -O - {url}; echo $?"
        assert podman.shell(image, distrusted).split() == ["60", "5"]
        trusted = f"""
        cp /ca.pem /usr/local/share/ca-certificates/test.crt && update-ca-certificates >/dev/null 2>&1
        curl --silent --max-time 20 {url}; wget -qT 20 -t 1 -O - {url}
        """
        assert (
            podman.shell(image, trusted, "--user", "0", "--volume", f"{server.authority}:/ca.pem:ro")
            == "hellohello"
        )


def test_the_certificates_of_debian_are_trusted_by_bundle_and_by_folder(podman: Engine, image: str) -> None:
    script = """
    grep -c BEGIN /etc/ssl/certs/ca-certificates.crt
    for f in /usr/share/ca-certificates/mozilla/*.crt; do
        openssl verify -no_check_time -no-CAfile -CApath /etc/ssl/certs "$f" >/dev/null 2>&1 || echo "$f"
    done | wc -l
    """
    count, distrusted = map(int, podman.shell(image, script).split())
    assert count > 100
    assert distrusted == 0


def test_the_runtime_is_nobody_special_and_the_daemon_is_root(podman: Engine, images: dict[str, str]) -> None:
    script = (
        "id -u; id -un; echo $HOME; pwd; touch $HOME/file /tmp/file && echo written; stat -c %a /tmp /var/tmp"
    )
    runtime = podman.shell(images["runtime"], script).split()
    assert runtime == ["1000", "model", "/home/model", "/home/model", "written", "1777", "1777"]
    assert podman.shell(images["daemon"], "id -u; id -un").split() == ["0", "root"]


def test_the_runtime_refuses_with_its_own_message(podman: Engine, images: dict[str, str]) -> None:
    done = podman.run("run", "--rm", "--env", "PYTHON_VERSION=3.11", images["runtime"], "python", code=66)
    assert "the prefix is not mounted" in done.stderr


def test_the_daemon_s_command_is_there_whatever_the_folder(podman: Engine, images: dict[str, str]) -> None:
    options = ("--read-only", "--mount", "type=tmpfs,destination=/tmp", "--cap-drop", "all", "--workdir=/tmp")
    shown = podman.run("run", "--rm", *options, images["daemon"], "--help").stdout
    assert "Usage: monobase" in shown
    script = (
        "mkdir daemon; echo 'raise SystemExit(3)' >daemon/main.py; monobase status --prefix /nowhere; echo $?"
    )
    assert podman.shell(images["daemon"], script, *options).split()[-1] != "3"


def test_the_daemon_compiles_nothing_when_it_starts(podman: Engine, images: dict[str, str]) -> None:
    script = "python3.13 -P -v -m daemon.main run --help 2>&1 >/dev/null | grep '^# code object from'"
    loaded = podman.shell(images["daemon"], script).splitlines()
    assert any("/opt/monobase/daemon/cli/__pycache__/main." in line for line in loaded)
    assert any("/click/__pycache__/core." in line for line in loaded)
    assert [line for line in loaded if not line.endswith(".pyc'") and "sitecustomize" not in line] == []


def test_both_images_stand_on_the_same_layers_and_the_code_is_the_last_and_small() -> None:
    daemon, runtime = daemon_layout(), runtime_layout()
    assert daemon.layers[:2] == runtime.layers[:2]
    assert daemon.layers[-1].size_bytes < 1_250_000
    assert runtime.layers[-1].size_bytes < 80_000


@contextmanager
def _https_server(certificate: Path, key: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HTTPServer(("127.0.0.1", 0), _Hello) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


class _Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as in http.server)
        pass
