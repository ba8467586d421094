"""Python and its like in the runtime's image, however a process is started and whoever it runs as."""

import fcntl
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gens.catalog import load_catalog
from image.oci.layout import Layout, to_json_bytes, write_layout
from runtime.sample_prefix import PYTHON, SamplePrefix, make_sample_prefix
from tests.images.engine import Engine
from tests.index.interpreter_archive import write_interpreter

pytest_plugins = ["tests.images.fixtures"]

TORCH, CUDA = "2.4.1", "12.4"
NAME = f"python{PYTHON}-torch{TORCH}-cu124"
USERS = ("0:0", "1000:1000", "12345:12345")
LAUNCHERS = os.environ["MONOBASE_LAUNCHERS"].split()
TORCHRUN = "torchrun of"
VENV = "/home/model/venv"
SEES = "import sys, torch; print(torch.__version__, sys.prefix)"


@dataclass(frozen=True, slots=True)
class Node:
    """A node with a prefix, and containers of the runtime's image on it.

    Attributes:
        engine: What runs them.
        image: The image.
        prefix: The prefix, of which they get generation 2.
    """

    engine: Engine
    image: str
    prefix: SamplePrefix

    @property
    def environment(self) -> Path:
        """The environment that `variables` name."""
        return self.prefix.root / "monobase" / "g00002" / NAME

    @property
    def variables(self) -> dict[str, str]:
        """The variables that a model's image sets."""
        return {
            "MONOBASE_PREFIX": str(self.prefix.root), "MONOBASE_GEN_ID": "2",
            "PYTHON_VERSION": PYTHON, "TORCH_VERSION": TORCH, "CUDA_VERSION": CUDA,
        }  # fmt: skip

    def options(self, variables: Mapping[str, str]) -> list[str]:
        """Return the options of `podman run`: variables besides those of the model, and the prefix."""
        root = self.prefix.root
        given = [f"--env={name}={value}" for name, value in (self.variables | dict(variables)).items()]
        return [*given, f"--volume={root}:{root}:ro"]

    def run(self, *command: str, variables: Mapping[str, str] | None = None, code: int = 0) -> str:
        """Run a command instead of the entrypoint; return its stdout and stderr."""
        options = ["--rm", *self.options(variables or {}), f"--entrypoint={json.dumps(command)}"]
        done = self.engine.run("run", *options, self.image, code=code)
        return done.stdout + done.stderr

    @contextmanager
    def container(
        self, *options: str, image: str | None = None, variables: Mapping[str, str] | None = None
    ) -> Iterator["Container"]:
        """Run a container that was not activated, and does nothing."""
        given = [*self.options(variables or {}), "--entrypoint=sleep", *options]
        started = self.engine.run("run", "--detach", *given, image or self.image, "infinity")
        name = started.stdout.strip()
        yield Container(self.engine, name)
        self.engine.run("rm", "--force", "--time", "0", name)


@dataclass(frozen=True, slots=True)
class Container:
    """A container that runs.

    Attributes:
        engine: What runs it.
        name: Its name.
    """

    engine: Engine
    name: str

    def exec(
        self,
        *command: str,
        user: str = "1000",
        options: tuple[str, ...] = (),
        script: str = "",
        code: int = 0,
    ) -> str:
        """Run a command in it like `kubectl exec` and probes; return its stdout and stderr."""
        arguments = ("--interactive", "--user", user, *options, self.name, *command)
        done = self.engine.run("exec", *arguments, stdin=script, code=code)
        return done.stdout + done.stderr

    def shell(self, script: str, *, user: str = "1000", code: int = 0) -> list[str]:
        """Run a script in it; return the lines of its stdout and stderr."""
        return self.exec("sh", "-s", user=user, script=script, code=code).splitlines()


@pytest.fixture(scope="module")
def node(podman: Engine, images: dict[str, str]) -> Node:
    directory = podman.directory / "launchers"
    (directory / "wheels").mkdir(parents=True)
    write_interpreter(directory / "python.tar.gz")
    interpreter = directory / "node" / "uv" / "python"
    shutil.unpack_archive(directory / "python.tar.gz", interpreter)
    python = interpreter / "python" / "bin" / f"python{PYTHON}"
    prefix = make_sample_prefix(directory / "node", directory / "wheels", python)
    nvcc = prefix.root / "cuda" / "cuda-12.4.1" / "bin" / "nvcc"
    nvcc.write_text('#!/bin/sh\necho "nvcc of $0"\n')
    nvcc.chmod(0o755)
    return Node(podman, images["runtime"], prefix)


@pytest.fixture(scope="module")
def container(node: Node) -> Iterator[Container]:
    with node.container() as found:
        yield found


def _ways(node: Node) -> dict[str, str]:
    """Return the ways in which a process starts, as command lines that run `python -c` with SEES in them."""
    python = f"python -c {shlex.quote(SEES)}"
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in node.variables.items())
    script = f"#!/usr/bin/env python3\n{SEES}\n"
    return {
        "plain": python,
        "python3": f"python3 -c {shlex.quote(SEES)}",
        "python3.X": f"python{PYTHON} -c {shlex.quote(SEES)}",
        "sh -c": f"sh -c {shlex.quote(python)}",
        "bash -c": f"bash -c {shlex.quote(python)}",
        "sh -lc": f"sh -lc {shlex.quote(python)}",
        "sh -elc": f"sh -elc {shlex.quote(python)}",
        "bash -lc": f"bash -lc {shlex.quote(python)}",
        "bash -lic": f"bash -lic {shlex.quote(python)} 2>/dev/null",
        "bash -ic": f"bash -ic {shlex.quote(python)} 2>/dev/null",
        "bash -euo pipefail -lc": f"bash -euo pipefail -lc {shlex.quote(python)}",
        "login shell in a login shell": f"bash -lc {shlex.quote(f'bash -lc {shlex.quote(python)}')}",
        "login shell in the entrypoint": f"/opt/monobase/exec bash -lc {shlex.quote(python)}",
        "entrypoint": f"/opt/monobase/exec {python}",
        "entrypoint in the entrypoint": f"/opt/monobase/exec /opt/monobase/exec {python}",
        "absolute path": f"/usr/local/bin/{python}",
        "env -i, absolute path": f"env -i {variables} /usr/local/bin/{python}",
        "env -i sh": f"env -i {variables} sh -c {shlex.quote(python)}",
        "env -i bash": f"env -i {variables} bash -c {shlex.quote(python)}",
        "env -i, login shell": f"env -i {variables} bash -lc {shlex.quote(python)}",
        "script": f"printf '%s' {shlex.quote(script)} >$t/a; chmod +x $t/a; $t/a",
        "script whose interpreter is a launcher":
            f"printf '%s' {shlex.quote(script.replace('env python3', '../local/bin/python3'))} >$t/b;"
            " chmod +x $t/b; $t/b",
        "subprocess": f"python -c \"import subprocess; subprocess.run(['python', '-c', '{SEES}'])\"",
        "xargs": f"echo {shlex.quote(shlex.quote(SEES))} | xargs python -c",
        "background": f"{python} & wait",
    }  # fmt: skip


@pytest.mark.parametrize("user", USERS)
def test_python_is_the_environment_s_in_every_way_of_starting_a_process(
    node: Node, container: Container, user: str
) -> None:
    expected = f"{TORCH} {node.environment}"
    assert container.exec("python", "-c", SEES, user=user) == f"{expected}\n"
    ways = _ways(node)
    script = "t=$(mktemp -d)\n" + "".join(
        f"{{ {way}\n}} 2>&1 | tr '\\n' ';'\necho\n" for way in ways.values()
    )
    said = dict(zip(ways, container.shell(script, user=user), strict=True))
    assert said == dict.fromkeys(ways, f"{expected};")


def test_a_container_whose_command_replaces_the_entrypoint_has_python(node: Node) -> None:
    expected = f"{TORCH} {node.environment}\n"
    assert node.run("python", "-c", SEES) == expected
    assert node.run("bash", "-lc", f"exec python -c {shlex.quote(SEES)}") == expected


def test_a_health_check_has_python(node: Node) -> None:
    with node.container("--health-cmd=python -c 'import torch'", "--health-interval=disable") as found:
        node.engine.run("healthcheck", "run", found.name)
    with node.container("--health-cmd=python -c 'import absent'", "--health-interval=disable") as found:
        node.engine.run("healthcheck", "run", found.name, code=1)


@pytest.mark.parametrize("user", USERS)
def test_the_other_commands_are_there_too(node: Node, container: Container, user: str) -> None:
    script = "torchrun; nvcc; pip --version; bash -lc 'torchrun; nvcc; tool --help 2>&1 | tail -1'"
    said = container.shell(script, user=user)
    assert said[0] == said[3] == f"{TORCHRUN} {node.environment}"
    # By the name that activation gives the toolkit.
    assert said[1] == said[4] == f"nvcc of {node.environment.parent}/cuda{CUDA}/bin/nvcc"
    assert str(node.environment) in said[2]
    # `tool` is not a launcher: a login shell has all of the environment. (It imports a missing module.)
    assert said[5] == "ModuleNotFoundError: No module named 'mine'"


@pytest.mark.parametrize("name", ["torchrun", "nvcc", "python3.9"])
def test_a_command_that_the_environment_lacks_is_named_in_one_sentence(
    node: Node, container: Container, name: str
) -> None:
    plain = node.environment.parent / f"python{PYTHON}"
    expected = f"monobase: error: {name}: no such command in {plain}, nor elsewhere on the PATH."
    without = ("--env=TORCH_VERSION=", "--env=CUDA_VERSION=")
    assert container.exec(name, "--version", options=without, code=127).splitlines() == [expected]
    said = container.exec("/opt/monobase/exec", name, options=without, code=127).splitlines()
    assert len(said) == 1
    assert name in said[0]


@pytest.mark.parametrize("user", USERS)
def test_what_exec_refuses_the_launchers_refuse_in_its_words(container: Container, user: str) -> None:
    unset = ("--env=PYTHON_VERSION=",)
    words = container.exec("/opt/monobase/exec", "true", user=user, options=unset, code=64)
    assert words.startswith("monobase: error: PYTHON_VERSION is not set.\n")
    for command in (["python"], ["torchrun"], ["nvcc"], ["bash", "-lc", "python"], ["sh", "-c", "pip list"]):
        assert container.exec(*command, user=user, options=unset, code=64) == words
    # A shell by itself is none of its business.
    assert container.exec("bash", "-lc", "echo there", user=user, options=unset) == "there\n"
    unmounted = ("--env=MONOBASE_PREFIX=/nowhere",)
    assert container.exec("bash", "-lc", "echo there", user=user, options=unmounted) == "there\n"
    assert "the prefix is not mounted" in container.exec("python", options=unmounted, code=66)


def test_a_process_is_activated_once(container: Container) -> None:
    """Also one whose PATH has the launchers before the environment."""
    level = ("--env=MONOBASE_LOG_LEVEL=info",)
    nested = "python -c \"import os; os.system('PATH=/usr/local/bin:\\$PATH python -c 1; torchrun')\""
    said = container.exec("sh", "-c", nested, options=level)
    assert said.count("monobase: info: activated") == 1


def test_who_looks_for_nvcc_finds_one_that_is_there_or_none(node: Node, container: Container) -> None:
    """Extension builds take the folder of the `nvcc` on the PATH for that of a toolkit."""
    looks = ("python", "-c", "import shutil; print(shutil.which('nvcc'), shutil.which('ptxas'))")
    assert container.exec(*looks) == f"{node.environment.parent}/cuda{CUDA}/bin/nvcc None\n"
    assert container.exec(*looks, options=("--env=CUDA_VERSION=",)) == "None None\n"


def test_the_driver_s_commands_and_libraries_are_found_where_gke_has_them(node: Node) -> None:
    with node.container(variables={"PYTHON_VERSION": ""}) as container:
        script = """
        cd /usr/local; mkdir -p nvidia/bin nvidia/lib64
        echo 'int nvmlInit_v2() { return 7; }' |
            gcc -x c -shared -fPIC -Wl,-soname,libnvidia-ml.so.1 - -o nvidia/lib64/libnvidia-ml.so.1
        echo 'int nvmlInit_v2(void); int main(void) { return nvmlInit_v2(); }' |
            gcc -x c - -lnvidia-ml -o nvidia/bin/nvidia-smi
        """
        assert container.shell(script, user="0") == []
        for options in ((), tuple(f"--env={name}={value}" for name, value in node.variables.items())):
            container.exec("nvidia-smi", options=options, code=7)
            container.exec("bash", "-lc", "nvidia-smi", options=options, code=7)
        container.exec("/opt/monobase/exec", "nvidia-smi", options=options, code=7)


def test_a_virtual_environment_on_top_comes_first(node: Node) -> None:
    with node.container(variables={"MONOBASE_USER_VENV": VENV}) as container:
        assert container.exec("python", "-c", SEES) == f"{TORCH} {VENV}\n"
        script = f"""
        cd {VENV}/bin; printf '#!/bin/sh\\necho "$0"\\n' >mine; chmod +x mine; cp mine accelerate
        cd /; accelerate; bash -lc mine; pip --version; torchrun
        """
        said = container.shell(script)
        assert said[:2] == [f"{VENV}/bin/accelerate", f"{VENV}/bin/mine"]
        assert f"{node.environment}/" in said[2]
        assert said[3] == f"{TORCHRUN} {VENV}"
        # Another uid, without a name, reads it as well.
        assert container.exec("python", "-c", SEES, user="12345:12345") == f"{TORCH} {VENV}\n"


def test_a_copy_of_a_launcher_launches_what_has_its_name(container: Container) -> None:
    container.exec("cp", "/usr/local/bin/python", "/usr/local/bin/tool", user="0")
    container.exec("cp", "/usr/local/bin/python", "/usr/local/sbin/tool", user="0")
    container.exec("cp", "/usr/local/bin/python", "/usr/local/bin/absent", user="0")
    container.exec("cp", "/usr/local/bin/python", "/usr/local/sbin/absent", user="0")
    assert "No module named 'mine'" in container.exec("tool", code=1)
    assert "absent: no such command in" in container.exec("absent", code=127)


def test_what_clears_the_variables_gets_them_from_etc_environment(node: Node) -> None:
    with node.container() as container:
        lines = "".join(f"{name}={value}\n" for name, value in node.variables.items())
        container.exec("tee", "-a", "/etc/environment", user="0", script=lines)
        for user in ("root", "model"):
            said = container.exec("su", "-", user, "-c", f"python -c '{SEES}'", user="0")
            assert said == f"{TORCH} {node.environment}\n"


def test_the_environment_s_python_comes_before_debian_s(
    node: Node, layouts: dict[str, Layout], tmp_path: Path
) -> None:
    image = node.engine.pull(f"oci:{_with_debian_s_python(layouts, tmp_path / 'layout')}")
    with node.container(image=image) as container:
        container.exec("ln", "-s", "python3.13", "/usr/bin/python3", user="0")
        expected, python = f"{TORCH} {node.environment}", f"python3 -c '{SEES}'"
        for user in USERS:
            script = f'{python}; bash -lc "{python}"; /usr/bin/env {python}'
            assert container.shell(script, user=user) == [expected] * 3
        script = "printf '#!/usr/bin/python3\\nimport sys; print(sys.prefix)\\n' >a; chmod +x a; ./a"
        assert container.shell(script) == ["/usr"]
        # The environment has none of this name: that of the PATH serves.
        assert container.exec("python3.13", "-c", "import sys; print(sys.prefix)") == "/usr\n"


def _with_debian_s_python(layouts: dict[str, Layout], directory: Path) -> Path:
    """Put the layer of the daemon's image that holds Debian's Python onto the runtime's."""
    runtime, daemon = layouts["runtime"], layouts["daemon"]
    config = json.loads(runtime.path(runtime.config).read_bytes())
    other = json.loads(daemon.path(daemon.config).read_bytes())
    number = len(runtime.layers) - 1
    assert daemon.layers[:number] == runtime.layers[:number]
    for part in (("rootfs", "diff_ids"), ("history",)):
        into, source = config, other
        for name in part:
            into, source = into[name], source[name]
        into.append(source[number])
    layers = [(layer, layout.path(layer)) for layout, layer in (
        *((runtime, layer) for layer in runtime.layers), (daemon, daemon.layers[number]),
    )]  # fmt: skip
    return write_layout(directory, to_json_bytes(config), layers, {}).directory


def test_what_a_launcher_or_a_login_shell_runs_has_a_lease(node: Node, container: Container) -> None:
    folder = node.environment.parent
    shows = "import os; print(os.readlink('/proc/self/fd/9'), flush=True); input()"
    for command in (("python", "-c", shows), ("bash", "-lc", f'python -c "{shows}"')):
        assert container.exec(*command, script="\n") == f"{folder}\n"
    asks = f"readlink /proc/self/fd/9; flock -x -n '{folder}' true || echo leased"
    assert container.exec("bash", "-lc", asks).splitlines() == [str(folder), "leased"]
    # When nobody is left, the node may have it.
    with _opened(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who has locked it so does not keep a shell from starting.
        said = container.exec("bash", "-lc", "echo there").splitlines()
        assert said[0] == "there"
        assert said[1].startswith("monobase: warning: MONOBASE_LEASE=1, but flock cannot lock")


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_who_looks_into_a_container_does_not_wait_for_an_installation(container: Container) -> None:
    missing = ("--env=TORCH_VERSION=2.6.0", "--env=MONOBASE_WAIT_S=100000")
    said = container.exec("bash", "-lic", "echo $MONOBASE_WAIT_S", options=missing)
    assert "is not installed yet on this node" in said
    assert said.splitlines()[0] == "100000"


def test_the_launchers_are_files_of_their_own(container: Container) -> None:
    """A write to one of them in a derived image must not change the others."""
    found = container.shell(
        "find /usr/local/bin /opt/monobase/bin -type f -links 1 -perm 755 -user 0 | sed 's|.*/||'"
    )
    assert {"absent", "tool", *found} == {"absent", "tool", *LAUNCHERS}


def test_each_python_of_a_generation_has_its_launchers() -> None:
    minors = {minor for generation in load_catalog().generations for minor in generation.python}
    assert minors
    assert {f"{name}{minor}" for minor in minors for name in ("python", "pip")} <= set(LAUNCHERS)


def test_what_python_prints_is_seen_at_once(node: Node, container: Container) -> None:
    """A process that ends without flushing loses what a buffer holds."""
    prints = "import os; print('seen'); os._exit(0)"
    assert container.exec("python", "-c", prints) == "seen\n"
    done = node.engine.run("run", "--rm", *node.options({}), node.image, "python", "-c", prints)
    assert done.stdout == "seen\n"


def test_the_doctor_examines_a_container_whoever_it_runs_as(node: Node, container: Container) -> None:
    for user in USERS:
        found = json.loads(container.exec("/opt/monobase/doctor", "--json", user=user))
        assert found["ok"], (user, found)
        assert found["environment"]["name"] == NAME
        assert "read-only" in next(f["found"] for f in found["findings"] if f["subject"] == "prefix")
    assert "sees no GPU" not in container.exec("/opt/monobase/doctor")

    # This image has no Python of its own.
    said = node.run("/opt/monobase/doctor", variables={"MONOBASE_PREFIX": "/nowhere"}, code=1)
    assert "problem   environment  the prefix is not mounted: there is no folder /nowhere" in said


def test_the_lease_of_the_entrypoint_is_found(node: Node) -> None:
    entrypoint = ("--entrypoint=/opt/monobase/exec", node.image, "sleep")
    started = node.engine.run("run", "--detach", *node.options({}), *entrypoint, "infinity").stdout.strip()
    try:
        found = json.loads(Container(node.engine, started).exec("/opt/monobase/doctor", "--json"))
        assert {"subject": "lease", "state": "ok", "found": "g00002 by process 1", "advice": []} in found[
            "findings"
        ]
    finally:
        node.engine.run("rm", "--force", "--time", "0", started)
