"""Tests of bazelw and the set-up of the toolbox, with stand-ins for what would change the machine.

The set-up itself, on a real Debian mirror, is what every run of these tests in the toolbox has behind it.
"""

import os
import platform
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

FILES = (
    "bazelw",
    ".bazelversion",
    "MODULE.bazel",
    *(f"tools/toolbox/{name}" for name in ("make", "run", "bazelrc")),
)
TABLES = ("tools/toolbox/modules.txt", "tools/toolbox/packages.txt")
VERSION = Path(".bazelversion").read_text().strip()
BAZEL = f'[ "$1" = --version ] && echo "bazel {VERSION}" && exit; printf "%s\\n" "toolbox bazel" "$@"'

# What Debian's archive would make: a root folder that holds a bin and answers the questions of `make`.
MMDEBSTRAP = """
for argument; do case $argument in */root) root=$argument ;; esac; done
echo made >>"$MADE"
for argument; do case $argument in "deb "*) echo "$argument" >>"$MADE.sources" ;; esac; done
mkdir -p "$root/etc/ssl/certs/java" "$root/usr/lib/jvm/java/lib/security"
: >"$root/etc/ssl/certs/java/cacerts"
: >"$root/usr/lib/jvm/java/lib/security/cacerts"
echo "I: half way"
[ -z "${MMDEBSTRAP_READS-}" ] || read -r _ <"$MMDEBSTRAP_READS" || :
: >"$root/whole"
"""
CHROOT = """
shift
case $1 in
dpkg-query) awk -v package="$5" '$2 == package {print $4 "-1"}' "$WORKSPACE/tools/toolbox/modules.txt" ;;
openssl) cat >/dev/null ;;
esac
"""
BWRAP = """
for argument; do
    shift
    case $argument in bazel) exec bazel-of-toolbox "$@" ;; true) exit ;; esac
done
"""


class Machine:
    """A machine with a copy of bazelw and, on its PATH, nothing but the programs that the test gives it."""

    def __init__(self, root: Path) -> None:
        self.workspace = root / "work space"
        self.bin = root / "bin"
        self.store = root / "store"
        self.made = root / "made"
        self.bin.mkdir()
        for file in FILES + TABLES:
            target = self.workspace / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        system = "awk cat cp cut chmod df dirname du find flock getent grep head id ln mkdir mktemp mv paste"
        system += " rm sed sh sha256sum sleep sort sync tail tee touch tr uname env setpriv"
        for name in system.split():
            if found := shutil.which(name):
                (self.bin / name).symlink_to(found)

    def program(self, name: str, body: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def debian(self) -> None:
        self.program("id", "echo 0")
        self.program("apt-get", '[ "$1" = indextargets ] && echo "Debian bookworm file:/mirror"; exit 0')
        self.program("mmdebstrap", MMDEBSTRAP)
        self.program("chroot", CHROOT)
        self.program("bwrap", BWRAP)
        self.program("bazel-of-toolbox", BAZEL)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.workspace / "bazelw", *arguments],
            env={
                "PATH": str(self.bin),
                "HOME": str(self.workspace.parent),
                "MONOBASE_TOOLBOX_DIR": str(self.store),
                "MADE": str(self.made),
                "WORKSPACE": str(self.workspace),
                "SSL_CERT_FILE": "/nowhere",
            }
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.workspace,
            start_new_session=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def pipe(self) -> str:
        """Make a pipe from which the stand-in for mmdebstrap reads before it goes on; return its path."""
        path = self.workspace.parent / "pipe"
        os.mkfifo(path)
        return str(path)

    def toolboxes(self) -> list[Path]:
        return [path for path in self.store.iterdir() if path.is_dir()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_bazelisk_gets_the_caller_s_arguments_and_no_others(machine: Machine) -> None:
    machine.program("bazelisk", 'printf "%s\\n" "$@"')
    assert machine.run("test", "//...", "--test_filter=a b") == (0, "test\n//...\n--test_filter=a b\n", "")


@contextmanager
def release_server(asked: list[str]) -> Iterator[str]:
    """Serve, at any path, a Bazel that prints its arguments; give the URL, and list what was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = f"#!/bin/sh\n{BAZEL.replace('toolbox bazel', 'downloaded bazel')}\n".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.skipif("BAZELISK" not in os.environ, reason="Bazel fetches Bazelisk for this test")
def test_the_real_bazelisk_fetches_the_version_of_the_workspace_and_hands_the_arguments_on(
    machine: Machine,
) -> None:
    (machine.bin / "bazelisk").symlink_to(Path(os.environ["BAZELISK"]).absolute())
    asked: list[str] = []
    with release_server(asked) as url:
        home = str(machine.workspace.parent / "bazelisk home")
        code, out, err = machine.run(
            "test",
            "//...",
            "--test_filter=a b",
            BAZELISK_BASE_URL=url,
            BAZELISK_HOME=home,
            NO_PROXY="127.0.0.1",
        )
    assert (code, out) == (0, "downloaded bazel\ntest\n//...\n--test_filter=a b\n"), err
    cpu = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    assert asked == [f"/{VERSION}/bazel-{VERSION}-linux-{cpu}"]
    assert not machine.store.exists()


def test_a_bazel_of_the_right_version_is_used_as_it_is(machine: Machine) -> None:
    machine.program("bazel", BAZEL.replace("toolbox bazel", "own bazel"))
    assert machine.run("info")[:2] == (0, "own bazel\ninfo\n")


def test_a_bazel_of_another_version_is_not_used(machine: Machine) -> None:
    machine.debian()
    machine.program("bazel", 'echo "bazel 6.0.0"')
    code, out, _ = machine.run("info")
    assert code == 0
    assert out.startswith("toolbox bazel\n")


@pytest.mark.parametrize("lacks", ["root", "Debian"])
def test_without_what_the_toolbox_needs_one_message_says_what_to_install(
    machine: Machine, lacks: str
) -> None:
    machine.debian()
    if lacks == "root":
        machine.program("id", "echo 1000")
    else:
        (machine.bin / "apt-get").unlink()
    code, out, err = machine.run("test", "//...")
    assert (code, out) == (1, "")
    assert f"Install Bazelisk, which fetches Bazel {VERSION} by itself" in err
    assert not machine.store.exists()


def test_the_toolbox_is_made_once_and_its_bazel_gets_the_toolbox_s_flags(machine: Machine) -> None:
    machine.debian()
    bazelrc = machine.workspace / "tools/toolbox/bazelrc"
    for _ in range(2):
        code, out, err = machine.run("build", "//...")
        assert (code, out) == (0, f"toolbox bazel\n--bazelrc={bazelrc}\nbuild\n//...\n"), err
    assert machine.made.read_text() == "made\n"
    assert len(machine.toolboxes()) == 1


def test_a_killed_set_up_leaves_nothing_that_the_next_run_takes_for_whole(machine: Machine) -> None:
    machine.debian()
    process = machine.start("info", MMDEBSTRAP_READS=machine.pipe())
    while not machine.made.exists():
        time.sleep(0.02)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not [path for path in machine.toolboxes() if not path.name.startswith("staging.")]
    code, _, err = machine.run("info")
    assert code == 0, err
    assert [(path / "whole").exists() for path in machine.toolboxes()] == [True]


def test_two_first_runs_at_once_make_one_toolbox(machine: Machine) -> None:
    machine.debian()
    pipe = machine.pipe()
    first = machine.start("info", MMDEBSTRAP_READS=pipe)
    while not machine.made.exists():
        time.sleep(0.02)
        assert first.poll() is None
    second = machine.start("info")
    assert second.stderr is not None
    assert "waiting for another bazelw" in second.stderr.readline()
    Path(pipe).write_text("go on\n")
    for process in (first, second):
        process.communicate()
        assert process.returncode == 0
    assert machine.made.read_text() == "made\n"


def test_another_recipe_makes_another_toolbox(machine: Machine) -> None:
    machine.debian()
    machine.run("info")
    with (machine.workspace / "tools/toolbox/packages.txt").open("a") as file:
        file.write("hello\n")
    machine.run("info")
    assert len(machine.toolboxes()) == 2


def test_in_the_toolbox_its_bazel_is_run_without_going_into_it_again(machine: Machine) -> None:
    machine.debian()
    machine.run("info")
    (toolbox,) = machine.toolboxes()
    machine.program("bwrap", "exit 1")
    machine.program("bazel", '[ "$1" = --version ] && exit 1; printf "%s\\n" inside "$@"')
    bazelrc = machine.workspace / "tools/toolbox/bazelrc"
    inside = machine.run("info", MONOBASE_IN_TOOLBOX=toolbox.name)
    assert inside == (0, f"inside\n--bazelrc={bazelrc}\ninfo\n", "")
    assert machine.run("info", MONOBASE_IN_TOOLBOX="another")[0] == 1


def test_a_failed_set_up_shows_the_end_of_its_log_and_leaves_no_toolbox(machine: Machine) -> None:
    machine.debian()
    machine.program("mmdebstrap", "echo 'E: the archive is closed today'; exit 25")
    code, _, err = machine.run("info")
    assert code == 1
    assert "the archive is closed today" in err
    assert f"{machine.store}/" in err
    assert machine.toolboxes() == []


def test_a_dependency_that_the_table_does_not_know_is_named_before_anything_is_fetched(
    machine: Machine,
) -> None:
    machine.debian()
    module = machine.workspace / "MODULE.bazel"
    text, count = re.subn('("rules_pkg", version = )"(.*)"', r'\1"9.9.9"', module.read_text())
    assert count == 1
    module.write_text(text)
    code, _, err = machine.run("info")
    assert code == 1
    assert "MODULE.bazel needs rules_pkg 9.9.9; tools/toolbox/modules.txt says" in err
    assert not machine.made.exists()


def test_where_debian_has_moved_on_the_difference_and_the_way_on_are_told(machine: Machine) -> None:
    machine.debian()
    machine.program(
        "chroot", CHROOT.replace('print $4 "-1"', 'print ($2 == "bazel-skylib" ? "2.0.0" : $4) "-1"')
    )
    code, _, err = machine.run("info")
    assert code == 1
    assert "bazel_skylib: tools/toolbox/modules.txt says 1.9.1, Debian's bazel-skylib is 2.0.0-1" in err
    assert "MONOBASE_TOOLBOX_ACCEPT=1" in err
    assert "DEBIAN_SNAPSHOT" in err
    assert machine.toolboxes() == []
    assert machine.run("info", MONOBASE_TOOLBOX_ACCEPT="1")[0] == 0


def test_with_a_snapshot_service_unstable_is_that_of_the_date_in_the_table(machine: Machine) -> None:
    machine.debian()
    date = re.search(r"^# snapshot: (\d{8}T\d{6}Z)$", Path(TABLES[0]).read_text(), re.MULTILINE)
    assert date
    code, _, err = machine.run("info", DEBIAN_SNAPSHOT="http://snapshot.test/archive/")
    assert code == 0, err
    sources = machine.made.with_name("made.sources").read_text()
    assert sources == (
        f"deb http://snapshot.test/archive/debian/{date[1]} sid main\ndeb file:/mirror bookworm main\n"
    )
