"""The builds that an NVIDIA driver runs, and the one that is taken where nothing says."""

import re
import shutil
from pathlib import Path
from platform import machine as this_machine

import pytest

from runtime.sample_machine import CLOSED_DRIVER, OPEN_DRIVER, SampleMachine, make_offer, make_sample_machine
from runtime.sample_prefix import PYTHON, SamplePrefix, leave_out, question
from runtime.shells import EXEC, SHELLS, SYSTEM_PATH, Outcome, Shell, run

pytest_plugins = ["runtime.fixtures"]

TORCH = "2.13.0"
BUILDS = {"cu118": "11.8", "cu121": "12.1", "cu128": "12.8", "cu130": "13.0", "cu132": "13.2"}
PLATFORM = f"platform {this_machine()}-manylinux_2_28"
DRIVERS = (
    "driver 11.8 450.80.02", "driver 12.1 525.60.13", "driver 12.8 525.60.13", "driver 13.0 580.65.06",
    "driver 13.2 580.65.06",
)  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> SampleMachine:
    return make_sample_machine(tmp_path / "machine")


def activate(
    shell: Shell,
    machine: SampleMachine,
    prefix: SamplePrefix,
    script: str = '. "$activate"',
    **variables: str,
) -> Outcome:
    asked = question(prefix, TORCH_VERSION=TORCH, activate=str(machine.activate))
    return shell.run(script, asked | variables)


def taken(outcome: Outcome) -> str:
    """Return the build of the environment that was activated."""
    assert outcome.code == 0, outcome.stderr
    return outcome.stdout.strip().rpartition("-")[2]


# What each first line of /proc/driver/nvidia/version says of CUDA 11.8, 12.1, 12.8, 13.0 and 13.2.
TABLE = [
    (CLOSED_DRIVER.format("440.33.01"), "-----"),
    (CLOSED_DRIVER.format("450.80.01"), "-----"),
    (CLOSED_DRIVER.format("450.80.02"), "+----"),
    (CLOSED_DRIVER.format("450.236.01"), "+----"),
    (CLOSED_DRIVER.format("470.256.02"), "+----"),
    (CLOSED_DRIVER.format("510.108.03"), "+----"),
    (CLOSED_DRIVER.format("525.60.11"), "+----"),
    (CLOSED_DRIVER.format("525.60.13"), "+++--"),
    (CLOSED_DRIVER.format("525.147.05"), "+++--"),
    (CLOSED_DRIVER.format("535.54.03"), "+++--"),
    (OPEN_DRIVER.format("535.288.01"), "+++--"),
    (OPEN_DRIVER.format("550.163.01"), "+++--"),
    (OPEN_DRIVER.format("560.35.05"), "+++--"),
    (OPEN_DRIVER.format("570.211.01"), "+++--"),
    (OPEN_DRIVER.format("575.57.08"), "+++--"),
    (OPEN_DRIVER.format("580.44"), "+++--"),
    (OPEN_DRIVER.format("580.65.05"), "+++--"),
    (OPEN_DRIVER.format("580.65.06"), "+++++"),
    (OPEN_DRIVER.format("580.159.04"), "+++++"),
    (CLOSED_DRIVER.format("580.95.05"), "+++++"),
    (OPEN_DRIVER.format("590.48.01"), "+++++"),
    (OPEN_DRIVER.format("610.10"), "+++++"),
    (OPEN_DRIVER.replace("x86_64", "aarch64").format("580.65.06"), "+++++"),
    (OPEN_DRIVER.replace("x86_64", "aarch64").format("570.86.15"), "+++--"),
    (CLOSED_DRIVER.format("1000.10.01"), "+++++"),
    (OPEN_DRIVER.format("570.211.01").replace(" ", "\t"), "+++--"),
    (OPEN_DRIVER.format("580.65.05").replace(" ", "\t"), "+++--"),
    (OPEN_DRIVER.format("580.65.06").replace(" ", "\t"), "+++++"),
    (CLOSED_DRIVER.format("570.211.01\r"), "+++--"),
    ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.211.01\r", "+++--"),
    ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06\r", "+++++"),
    (CLOSED_DRIVER.format("535.129.03-grid"), "+++--"),
    (CLOSED_DRIVER.format("580.65.06-grid"), "+++++"),
    (CLOSED_DRIVER.format("580.65.05+vgpu_1"), "+++--"),
    (CLOSED_DRIVER.format("0" * 20 + "570.211.01"), "+++--"),
    (CLOSED_DRIVER.format("99999999999999999999.1"), "+++++"),
    (CLOSED_DRIVER.format("580.99999999999999999999"), "+++++"),
    (CLOSED_DRIVER.format("570.99999999999999999999.06"), "+++--"),
    ("NVRM version: something else altogether", "+++++"),
    ("", "+++++"),
]


def runs_of(shell: Shell, machine: SampleMachine, prefix: SamplePrefix) -> str:
    """Return for each build a plus if it is activated, and a minus if it is refused."""
    versions = " ".join(BUILDS.values())
    script = f'for CUDA_VERSION in {versions}; do ( . "$activate" ); echo $?; done'
    outcome = activate(shell, machine, prefix, script)
    codes = outcome.stdout.split()
    # What a shell says itself, such as `Illegal number`, begins otherwise.
    assert all(line.startswith(("monobase: ", "    ")) for line in outcome.stderr.splitlines())
    return "".join({"0": "+", "71": "-"}.get(code, code) for code in codes)


@pytest.mark.parametrize(("line", "runs"), TABLE)
def test_a_driver_runs_the_builds_of_its_time(
    shell: Shell, machine: SampleMachine, tmp_path: Path, line: str, runs: str
) -> None:
    machine.add_gpu(line)

    assert runs_of(shell, machine, make_offer(tmp_path / "prefix", TORCH, BUILDS, PLATFORM, *DRIVERS)) == runs


@pytest.mark.parametrize(("line", "runs"), TABLE)
def test_a_list_of_an_older_installer_is_completed(
    machine: SampleMachine, tmp_path: Path, line: str, runs: str
) -> None:
    machine.add_gpu(line)

    assert runs_of(SHELLS[0], machine, make_offer(tmp_path / "prefix", TORCH, BUILDS)) == runs


def test_the_list_decides_what_a_cuda_needs(shell: Shell, machine: SampleMachine, tmp_path: Path) -> None:
    machine.add_gpu(OPEN_DRIVER.format("570.211.01"))
    lines = ("driver 12.8 570.300", "driver 13.0 570.10")

    assert (
        runs_of(shell, machine, make_offer(tmp_path / "prefix", TORCH, BUILDS, PLATFORM, *lines)) == "++-+-"
    )


# --- the message ----------------------------------------------------------------------------------


def offer(tmp_path: Path, *missing: str, **builds: str) -> SamplePrefix:
    return make_offer(tmp_path / "prefix", TORCH, builds or BUILDS, PLATFORM, *DRIVERS, missing=missing)


def test_a_build_that_the_driver_does_not_run_is_refused_with_those_that_it_runs(
    shell: Shell, machine: SampleMachine, tmp_path: Path
) -> None:
    machine.add_gpu(CLOSED_DRIVER.format("535.104.05"))
    prefix = offer(tmp_path, **BUILDS, cpu="-")

    outcome = activate(
        shell, machine, prefix, '. "$activate"; echo "$? ${VIRTUAL_ENV-none}"', CUDA_VERSION="13.0.2"
    )

    name = f"python{PYTHON}-torch{TORCH}-cu130"
    assert outcome.stdout == "71 none\n"
    assert outcome.stderr == (
        f"monobase: error: {name} needs the NVIDIA driver 580.65.06 or newer, for CUDA 13.0, "
        "and this node has 535.104.05.\n"
        "    asked for: generation g00001 (MONOBASE_GEN_ID not set: the latest), "
        f"PYTHON_VERSION={PYTHON}, TORCH_VERSION={TORCH}, CUDA_VERSION=13.0.2, no CUDNN_VERSION\n"
        "    decided by: CUDA_VERSION=13.0.2\n"
        f"    builds of Torch {TORCH} for Python {PYTHON} that run here: "
        f"CUDA_VERSION=11.8, CUDA_VERSION=12.1, CUDA_VERSION=12.8, TORCH_VERSION={TORCH}+cpu\n"
        "    Take one of these, or a node with a newer driver.\n"
        "    MONOBASE_FIT=warn starts all the same; MONOBASE_FIT=off does not look.\n"
    )


def test_the_build_of_torch_version_decides_and_not_the_toolkit(
    shell: Shell, machine: SampleMachine, tmp_path: Path
) -> None:
    machine.add_gpu(CLOSED_DRIVER.format("560.35.05"))
    prefix = offer(tmp_path)

    runs = activate(shell, machine, prefix, TORCH_VERSION=f"{TORCH}+cu128", CUDA_VERSION="12.9")
    refused = activate(shell, machine, prefix, TORCH_VERSION=f"{TORCH}+cu132")

    assert (runs.code, runs.stderr) == (0, "")
    assert refused.code == 71
    assert f"decided by: TORCH_VERSION={TORCH}+cu132\n" in refused.stderr


WARNING = (
    f"monobase: warning: python{PYTHON}-torch{TORCH}-cu130 needs the NVIDIA driver 580.65.06 or newer, "
    "for CUDA 13.0, and this node has 535.104.05; going on, as MONOBASE_FIT=warn says\n"
)


@pytest.mark.parametrize(
    ("fit", "code", "stderr"),
    [
        ("", 71, "monobase: error: "),
        ("on", 71, "monobase: error: "),
        ("warn", 0, WARNING),
        ("off", 0, ""),
    ],
)
def test_monobase_fit_says_what_becomes_of_it(
    shell: Shell, machine: SampleMachine, tmp_path: Path, fit: str, code: int, stderr: str
) -> None:
    machine.add_gpu(CLOSED_DRIVER.format("535.104.05"))

    outcome = activate(shell, machine, offer(tmp_path), CUDA_VERSION="13.0", MONOBASE_FIT=fit)

    assert outcome.code == code
    assert outcome.stderr.startswith(stderr)
    assert bool(outcome.stderr) == bool(stderr)


def test_a_container_without_a_gpu_runs_every_build_on_the_cpu(
    shell: Shell, machine: SampleMachine, tmp_path: Path
) -> None:
    # /proc is the kernel's: containers without a GPU see the version of their node's driver as well.
    machine.add_gpu(CLOSED_DRIVER.format("535.104.05"))
    (machine.root / "dev" / "nvidiactl").unlink()
    prefix = offer(tmp_path, **BUILDS, cpu="-")

    explicit = activate(shell, machine, prefix, CUDA_VERSION="13.0")
    chosen = activate(shell, machine, prefix, '. "$activate"; echo "$VIRTUAL_ENV"')

    assert (explicit.code, explicit.stderr) == (0, "")
    assert taken(chosen) == "cpu"


@pytest.mark.parametrize("folder", ["/usr/local/nvidia/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib64"])
@pytest.mark.parametrize("suffix", ["", "-grid"])
def test_where_proc_hides_the_driver_its_library_tells_the_version(
    shell: Shell, machine: SampleMachine, tmp_path: Path, folder: str, suffix: str
) -> None:
    machine.add_gpu(None)
    machine.write(f"{folder}/libcuda.so.570.211.01{suffix}")
    machine.link(f"{folder}/libcuda.so.1", f"libcuda.so.570.211.01{suffix}")
    prefix = offer(tmp_path)

    assert activate(shell, machine, prefix, CUDA_VERSION="12.8").code == 0
    assert "this node has 570.211.01." in activate(shell, machine, prefix, CUDA_VERSION="13.0").stderr


UNKNOWN = (
    "monobase: warning: there is a GPU, but the version of its driver is unknown "
    "(/proc/driver/nvidia/version); "
)
AS_WITHOUT = f"{UNKNOWN}choosing a build as without a GPU, as CUDA_VERSION is not set\n"
UNCHECKED = f"{UNKNOWN}going on with CUDA 13.0, which it may not run (MONOBASE_FIT=off does not look)\n"


@pytest.mark.parametrize(
    "line", [None, "", " \t ", "\r", "NVRM version: something else altogether", "580", "5x.1"]
)
def test_a_gpu_whose_driver_is_unknown_refuses_nothing_and_says_so(
    shell: Shell, machine: SampleMachine, tmp_path: Path, line: str | None
) -> None:
    machine.add_gpu(line)
    prefix = offer(tmp_path, **BUILDS, cpu="-")
    script = '. "$activate"; echo "$VIRTUAL_ENV"'

    explicit = activate(shell, machine, prefix, script, CUDA_VERSION="13.0")
    chosen = activate(shell, machine, prefix, script)
    only = activate(shell, machine, make_offer(tmp_path / "only", TORCH, {"cu130": "13.0"}, PLATFORM), script)

    # (The sample's paths stand for those of the machine.)
    said = [outcome.stderr.replace(str(machine.root), "") for outcome in (explicit, chosen, only)]
    assert said == [UNCHECKED, AS_WITHOUT, AS_WITHOUT]
    assert [taken(outcome) for outcome in (explicit, chosen, only)] == ["cu130", "cpu", "cu130"]


@pytest.mark.parametrize(
    "variables",
    [{"TORCH_VERSION": f"{TORCH}+cpu"}, {"TORCH_VERSION": ""}, {"MONOBASE_FIT": "off"}],
    ids=["a build for CPUs", "no Torch", "MONOBASE_FIT=off"],
)
def test_what_needs_no_driver_is_not_warned_of_an_unknown_one(
    shell: Shell, machine: SampleMachine, own_prefix: SamplePrefix, variables: dict[str, str]
) -> None:
    machine.add_gpu(None)
    asked = {"TORCH_VERSION": "2.4.1"} | variables
    asked["TORCH_VERSION"] = asked["TORCH_VERSION"].replace(TORCH, "2.4.1")

    outcome = shell.run('. "$activate"', question(own_prefix, activate=str(machine.activate), **asked))

    assert outcome == Outcome(0, "", "")


@pytest.mark.parametrize("driver", [None, "470.256.02"])
def test_a_model_that_waits_is_warned_of_its_driver_once(
    machine: SampleMachine, tmp_path: Path, driver: str | None
) -> None:
    machine.add_gpu(None if driver is None else OPEN_DRIVER.format(driver))
    prefix = offer(tmp_path, "cpu", **CUDA_12_AND_13, cpu="-")

    outcome = activate(SHELLS[0], machine, prefix, MONOBASE_WAIT_S="2")

    assert outcome.code == 75
    assert outcome.stderr.count(" driver ") == 1


@pytest.mark.parametrize("line", [None, OPEN_DRIVER.format("570.211.01-grid").replace(" ", "\t")])
def test_to_look_at_the_driver_starts_no_process(
    shell: Shell, machine: SampleMachine, tmp_path: Path, line: str | None
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    machine.add_gpu(line)
    trace = tmp_path / "trace"
    watch = ("strace", "-f", "-e", "trace=fork,vfork,clone,clone3,execve", "-o", str(trace))
    asked = question(offer(tmp_path, **BUILDS, cpu="-"), TORCH_VERSION=TORCH, activate=str(machine.activate))

    # As exec does; else dash and busybox look for the folder by `readlink`.
    outcome = shell.run('_mb_home=${activate%/*}; . "$activate"', asked, wrapper=watch)

    assert outcome.code == 0
    assert re.findall(r"(\w+)\(.* = (?!-1)", trace.read_text()) == ["execve"]


def test_a_build_that_will_not_run_is_not_waited_for(
    shell: Shell, machine: SampleMachine, tmp_path: Path
) -> None:
    machine.add_gpu(CLOSED_DRIVER.format("535.104.05"))
    prefix = offer(tmp_path, "cu130")

    outcome = activate(shell, machine, prefix, CUDA_VERSION="13.0", MONOBASE_WAIT_S="3600")

    assert outcome.code == 71


def test_a_stack_that_the_driver_does_not_run_is_refused(
    shell: Shell, machine: SampleMachine, own_prefix: SamplePrefix
) -> None:
    machine.add_gpu(CLOSED_DRIVER.format("535.104.05"))

    train, vllm = (
        shell.run('. "$activate"', question(own_prefix, MONOBASE_STACK=stack, activate=str(machine.activate)))
        for stack in ("train", "vllm")
    )

    assert (train.code, vllm.code) == (71, 0)
    assert f"python{PYTHON}-train needs the NVIDIA driver 580.65.06 or newer, for CUDA 13.0" in train.stderr
    assert "decided by: MONOBASE_STACK=train\n    Take a node with a newer driver.\n" in train.stderr


def test_no_name_is_left_behind(shell: Shell, machine: SampleMachine, tmp_path: Path) -> None:
    machine.add_gpu(CLOSED_DRIVER.format("535.104.05"))
    add_compat(machine, "/usr/local/cuda/compat", "560.35.05")
    prefix = offer(tmp_path, **BUILDS, cpu="-")
    script = (
        '. "$activate" 2>/dev/null; set | grep "^_mb_"; unset CUDA_VERSION; . "$activate"; set | grep "^_mb_"'
    )

    outcome = activate(shell, machine, prefix, script, CUDA_VERSION="13.0")

    assert (outcome.stdout, outcome.stderr) == ("", "")


# --- the choice -----------------------------------------------------------------------------------

CUDA_12_AND_13 = {"cu126": "12.6", "cu130": "13.0", "cu128": "12.8"}


@pytest.mark.parametrize(
    ("driver", "missing", "build"),
    [
        ("580.159.04", (), "cu130"),
        ("570.211.01", (), "cu128"),
        ("525.60.13", (), "cu128"),
        ("580.159.04", ("cu130",), "cu128"),
        ("570.211.01", ("cu128", "cu126"), "missing cu128"),
        ("470.256.02", (), "cpu"),
    ],
)
def test_where_nothing_says_which_build_the_newest_that_runs_is_taken(
    shell: Shell, machine: SampleMachine, tmp_path: Path, driver: str, missing: tuple[str, ...], build: str
) -> None:
    machine.add_gpu(OPEN_DRIVER.format(driver))
    prefix = offer(tmp_path, *missing, **CUDA_12_AND_13, cpu="-")

    outcome = activate(shell, machine, prefix, '. "$activate" && echo "$VIRTUAL_ENV"')

    if build.startswith("missing"):
        assert outcome.code == 75
        assert build.split()[1] + " of generation g00001 is not installed yet" in outcome.stderr
        return
    assert taken(outcome) == build
    warning = (
        f"monobase: warning: the driver {driver} runs no CUDA build of Torch {TORCH} for Python {PYTHON} "
        "that this node holds; taking the one for CPUs, as CUDA_VERSION is not set\n"
    )
    assert outcome.stderr == (warning if build == "cpu" else "")


def test_of_what_is_missing_the_newest_build_is_awaited_that_the_node_does_not_leave_out(
    shell: Shell, machine: SampleMachine, tmp_path: Path
) -> None:
    machine.add_gpu(OPEN_DRIVER.format("580.159.04"))
    prefix = offer(tmp_path, *CUDA_12_AND_13, **CUDA_12_AND_13, cpu="-")
    leave_out(prefix, f"python{PYTHON}-torch{TORCH}-cu130")

    outcome = activate(shell, machine, prefix, '. "$activate"')

    assert outcome.code == 75
    assert "cu128 of generation g00001 is not installed yet" in outcome.stderr


@pytest.mark.parametrize(
    "variables",
    [{"TORCH_VERSION": f"{TORCH}+cpu"}, {"MONOBASE_FIT": "off"}],
    ids=["a build that was asked for", "MONOBASE_FIT=off"],
)
def test_the_build_for_cpus_is_taken_on_a_gpu_where_it_is_meant(
    shell: Shell, machine: SampleMachine, tmp_path: Path, variables: dict[str, str]
) -> None:
    machine.add_gpu(OPEN_DRIVER.format("580.159.04"))
    prefix = offer(tmp_path, **CUDA_12_AND_13, cpu="-")

    assert taken(activate(shell, machine, prefix, '. "$activate"; echo "$VIRTUAL_ENV"', **variables)) == "cpu"


def test_the_only_build_is_refused_where_it_does_not_run(
    shell: Shell, machine: SampleMachine, tmp_path: Path
) -> None:
    machine.add_gpu(OPEN_DRIVER.format("550.163.01"))
    prefix = offer(tmp_path, cu130="13.0")

    refused = activate(shell, machine, prefix)
    warned = activate(shell, machine, prefix, '. "$activate"; echo "$VIRTUAL_ENV"', MONOBASE_FIT="warn")

    assert refused.code == 71
    assert "decided by: CUDA_VERSION, which is not set: no other build is there\n" in refused.stderr
    assert f"builds of Torch {TORCH} for Python {PYTHON} that run here: none\n" in refused.stderr
    assert taken(warned) == "cu130"


def test_a_torch_that_does_not_exist_is_refused_as_ever(
    shell: Shell, machine: SampleMachine, tmp_path: Path
) -> None:
    machine.add_gpu(OPEN_DRIVER.format("550.163.01"))

    outcome = activate(shell, machine, offer(tmp_path), TORCH_VERSION="9.9.9")

    assert outcome.code == 69
    assert "has no Torch 9.9.9" in outcome.stderr


# --- NVIDIA's forward-compatibility libraries -----------------------------------------------------


def add_compat(machine: SampleMachine, folder: str, driver: str) -> None:
    machine.write(f"{folder}/libcuda.so.{driver}")
    machine.link(f"{folder}/libcuda.so.1", f"libcuda.so.{driver}")


@pytest.mark.parametrize(
    "folder", ["/usr/local/cuda/compat", "/usr/local/cuda-13.0/compat", "/usr/local/cuda/compat/lib.real"]
)
def test_forward_compatibility_libraries_come_first_where_they_are_needed(
    shell: Shell, machine: SampleMachine, tmp_path: Path, folder: str
) -> None:
    machine.add_gpu(OPEN_DRIVER.format("535.288.01"))
    add_compat(machine, folder, "580.65.06")
    prefix = offer(tmp_path)
    script = '. "$activate"; echo "$LD_LIBRARY_PATH"; echo "${MONOBASE_CUDA_COMPAT-none}"'

    needed = activate(shell, machine, prefix, script, CUDA_VERSION="13.0")
    not_needed = activate(shell, machine, prefix, script, CUDA_VERSION="12.8")
    twice = activate(shell, machine, prefix, f'. "$activate"; {script}', CUDA_VERSION="13.0")
    then_other = activate(
        shell, machine, prefix, f'. "$activate"; CUDA_VERSION=12.8; {script}', CUDA_VERSION="13.0"
    )

    compat, drivers = f"{machine.root}{folder}", "/usr/local/nvidia/lib64:/usr/local/nvidia/lib"
    assert needed == twice == Outcome(0, f"{compat}:{drivers}\n{compat}\n", "")
    assert not_needed == then_other == Outcome(0, f"{drivers}\nnone\n", "")


def test_forward_compatibility_libraries_of_the_callers_cuda_are_found(
    shell: Shell, machine: SampleMachine, tmp_path: Path
) -> None:
    machine.add_gpu(OPEN_DRIVER.format("535.288.01"))
    add_compat(machine, "/opt/cuda/compat", "590.48.01")

    outcome = activate(
        shell, machine, offer(tmp_path), '. "$activate"; echo "$LD_LIBRARY_PATH"',
        CUDA_VERSION="13.0", CUDA_HOME=f"{machine.root}/opt/cuda",
    )  # fmt: skip

    assert outcome.stdout.startswith(f"{machine.root}/opt/cuda/compat:")


@pytest.mark.parametrize(
    ("driver", "model", "why"),
    [
        ("560.35.05", "NVIDIA H200", "are of driver 560.35.05: too old as well."),
        (
            "580.65.06",
            "NVIDIA GeForce RTX 4090",
            "are for data-center GPUs, not for a NVIDIA GeForce RTX 4090.",
        ),
    ],
)
def test_forward_compatibility_libraries_that_do_not_help_are_named(
    shell: Shell, machine: SampleMachine, tmp_path: Path, driver: str, model: str, why: str
) -> None:
    machine.add_gpu(OPEN_DRIVER.format("535.288.01"), model)
    add_compat(machine, "/usr/local/cuda/compat", driver)

    outcome = activate(shell, machine, offer(tmp_path), CUDA_VERSION="13.0")

    assert outcome.code == 71
    assert (
        f"    The forward-compatibility libraries in {machine.root}/usr/local/cuda/compat {why}\n"
        in outcome.stderr
    )


def test_a_build_that_needs_added_libraries_comes_after_one_that_does_not_and_before_the_one_for_cpus(
    shell: Shell, machine: SampleMachine, tmp_path: Path
) -> None:
    machine.add_gpu(OPEN_DRIVER.format("535.288.01"))
    add_compat(machine, "/usr/local/cuda/compat", "580.65.06")
    script = '. "$activate"; echo "$VIRTUAL_ENV"'

    both = activate(shell, machine, offer(tmp_path / "both", cpu="-", cu128="12.8", cu130="13.0"), script)
    one = activate(shell, machine, offer(tmp_path / "one", cpu="-", cu130="13.0"), script)

    assert (taken(both), taken(one)) == ("cu128", "cu130")


# --- a kernel's own files -------------------------------------------------------------------------


def test_the_kernels_own_files_are_read(prefix: SamplePrefix, tmp_path: Path) -> None:
    version = tmp_path / "version"
    version.write_text(CLOSED_DRIVER.format("535.104.05") + "\n")
    (tmp_path / "dev").mkdir()
    for name in ("null", "nvidiactl"):
        (tmp_path / "dev" / name).touch()
    script = (
        'mount --bind /dev/null "$0/dev/null" && mount --rbind "$0/dev" /dev '
        "&& mount -t tmpfs none /proc/driver && mkdir /proc/driver/nvidia "
        '&& cp "$0/version" /proc/driver/nvidia && exec "$@"'
    )
    given = ("unshare", "--mount", "--", "sh", "-c", script, str(tmp_path))
    if run([*given, "true"], {"PATH": SYSTEM_PATH}).code != 0:
        pytest.skip("this user may not mount, or the kernel has no /proc/driver")

    def start(**variables: str) -> Outcome:
        return run([*given, str(EXEC), "sh", "-c", 'echo "$VIRTUAL_ENV"'], {"PATH": SYSTEM_PATH} | variables)

    refused = start(**question(prefix, TORCH_VERSION="2.5.1", CUDA_VERSION="13.0"))
    chosen = start(**question(prefix, TORCH_VERSION="2.5.1"))

    assert refused.code == 71
    assert "and this node has 535.104.05.\n" in refused.stderr
    assert (chosen.code, chosen.stderr) == (0, "")
    assert chosen.stdout.endswith(f"/python{PYTHON}-torch2.5.1-cu121\n")
