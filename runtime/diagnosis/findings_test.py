"""The list, the image, the prefix, the lease and the report."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.diagnosis.finding import Finding
from runtime.diagnosis.image import check_image
from runtime.diagnosis.lease import check_lease, holders
from runtime.diagnosis.offer import Listed, Offer, read_offer
from runtime.diagnosis.prefix import check_prefix, generation_folder
from runtime.diagnosis.report import as_json, as_table

LIST = """monobase-environments 1
generation g00003 sealed
platform x86_64-manylinux_2_34
python 3.12 3.12.16
driver 13.0 580.65.06
something of a later release
cuda cuda13.0 ready 13.0 13.0.2
environment python3.12 ready 3.12 3.12.16 - - -
environment python3.12-torch2.14.0-cu130 missing 3.12 3.12.16 2.14.0 cu130 13.0
stack python3.12-vllm0.33.0 ready 3.12 3.12.16 2.14.0 cu130 13.0 vllm 0.33.0
architectures python3.12-vllm0.33.0 sm_80 sm_90
"""


def test_the_list_is_read_with_what_later_releases_add(tmp_path: Path) -> None:
    (tmp_path / "environments").write_text(LIST)

    offer = read_offer(tmp_path)

    assert offer is not None
    assert (offer.generation, offer.state, offer.platform) == ("g00003", "sealed", "x86_64-manylinux_2_34")
    assert offer.drivers == {"13.0": "580.65.06"}
    assert offer.architectures == {"python3.12-vllm0.33.0": ("sm_80", "sm_90")}
    assert list(offer.environments.values()) == [
        Listed("python3.12", True, None, None, None),
        Listed("python3.12-torch2.14.0-cu130", False, "2.14.0", "cu130", "13.0"),
        Listed("python3.12-vllm0.33.0", True, "2.14.0", "cu130", "13.0"),
    ]


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("python3.12-torch2.13.0-cu130", "2.13.0+cpu"), ("python3.12-torch2.14.0-cu130", None),
        ("python3.13-torch2.13.0-cu130", None), ("python3.12-vllm0.33.0", None), ("python3.12", None),
        ("python3.12-jax0.12.0", None),
    ],
)  # fmt: skip
def test_a_build_for_cpus_is_of_the_same_python_and_torch(
    tmp_path: Path, name: str, build: str | None
) -> None:
    lines = (
        "environment python3.12-torch2.13.0-cpu missing 3.12 3.12.16 2.13.0 cpu -",
        "environment python3.12-torch2.13.0-cu130 ready 3.12 3.12.16 2.13.0 cu130 13.0",
        "environment python3.13-torch2.13.0-cu130 ready 3.13 3.13.9 2.13.0 cu130 13.0",
        "environment python3.12-torch2.14.0.post1-cpu ready 3.12 3.12.16 2.14.0.post1 cpu -",
        "stack python3.12-jax0.12.0 ready 3.12 3.12.16 - - 13.0 jax 0.12.0",
    )
    (tmp_path / "environments").write_text(LIST + "".join(f"{line}\n" for line in lines))

    offer = read_offer(tmp_path)

    assert offer is not None
    assert offer.cpu_build_of(offer.environments[name]) == build


@pytest.mark.parametrize("text", [None, "", "monobase-environments 2\ngeneration g00003 sealed\n", "\0\0"])
def test_what_is_no_list_of_this_format_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "environments").write_text(text)

    assert read_offer(tmp_path) is None


@pytest.mark.parametrize(
    ("platform", "glibc", "machine", "state"),
    [
        ("x86_64-manylinux_2_34", "2.34", "x86_64", "ok"),
        ("x86_64-manylinux_2_34", "2.41", "x86_64", "ok"),
        ("x86_64-manylinux_2_34", "2.9", "x86_64", "problem"),
        ("x86_64-manylinux_2_40", "2.36", "x86_64", "problem"),
        ("aarch64-manylinux_2_34", "2.41", "x86_64", "problem"),
        ("x86_64-manylinux_2_34", None, "x86_64", "problem"),
        (None, "2.17", "x86_64", "ok"),
        (None, None, "x86_64", "problem"),
    ],
)
def test_an_image_is_compared_with_the_platform(
    platform: str | None, glibc: str | None, machine: str, state: str
) -> None:
    finding = check_image(Offer("g00003", "sealed", platform), glibc, machine)

    assert finding.state == state
    assert finding.found.startswith(f"{machine}, {'no glibc' if glibc is None else f'glibc {glibc}'}")


def test_a_prefix_that_is_missing_or_empty_is_a_problem(tmp_path: Path) -> None:
    missing = check_prefix({"MONOBASE_PREFIX": f"{tmp_path}/none"}, None)
    empty = check_prefix({"MONOBASE_PREFIX": str(tmp_path)}, None)

    assert (missing.state, empty.state) == ("problem", "problem")
    assert "is not mounted" in missing.found
    assert "has no list of environments" in empty.found


@pytest.mark.parametrize("asked", ["3", "g00003", "00003", "", "latest"])
def test_the_generation_is_the_one_that_would_be_activated(tmp_path: Path, asked: str) -> None:
    (tmp_path / "monobase" / "g00003").mkdir(parents=True)
    (tmp_path / "monobase" / "latest").symlink_to("g00003")

    found = generation_folder({"MONOBASE_PREFIX": str(tmp_path), "MONOBASE_GEN_ID": asked}, None)

    assert found == tmp_path / "monobase" / "g00003"
    assert generation_folder({"MONOBASE_PREFIX": str(tmp_path), "MONOBASE_GEN_ID": "9"}, None) is None


@pytest.mark.parametrize("asked", ["", "latest", "newest", "9" * 5000])
@pytest.mark.parametrize("latest", [None, "g00009"], ids=["no latest", "a latest that leads nowhere"])
def test_before_a_generation_is_sealed_it_is_the_newest(
    tmp_path: Path, asked: str, latest: str | None
) -> None:
    for name in ("g00002", "g00003"):
        (tmp_path / "monobase" / name).mkdir(parents=True)
    (tmp_path / "monobase" / "g00004").touch()
    if latest is not None:
        (tmp_path / "monobase" / "latest").symlink_to(latest)

    found = generation_folder({"MONOBASE_PREFIX": str(tmp_path), "MONOBASE_GEN_ID": asked}, None)

    assert found == tmp_path / "monobase" / "g00003"


def test_a_generation_that_is_not_there_is_a_problem_that_names_the_others(tmp_path: Path) -> None:
    (tmp_path / "monobase" / "g00003").mkdir(parents=True)
    variables = {"MONOBASE_PREFIX": str(tmp_path), "MONOBASE_GEN_ID": "9"}

    finding = check_prefix(variables, None)

    assert finding.state == "problem"
    assert generation_folder(variables, None) is None
    assert "It has g00003: set MONOBASE_GEN_ID" in finding.advice[0]


@pytest.mark.parametrize("leased", ["g00003", "g00003/python3.12"])
def test_the_process_that_holds_a_lease_is_found(tmp_path: Path, leased: str) -> None:
    generation, environment = tmp_path / "g00003", tmp_path / "g00003" / "python3.12"
    environment.mkdir(parents=True)
    hold = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], 0), 1); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path / leased)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        held = holders([generation, environment, tmp_path / "none"])
        finding = check_lease(generation, environment, "1")
        process.communicate(b"\n")

    assert held == {process.pid: tmp_path / leased}
    assert finding == Finding("lease", "ok", f"{Path(leased).name} by process {process.pid}")


def test_an_open_folder_without_a_lock_and_a_lock_of_the_doctor_itself_are_no_lease(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    try:
        assert holders([tmp_path]) == {}
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(("wanted", "state"), [("1", "warning"), ("0", "note"), ("", "note")])
def test_a_lease_that_nobody_holds_is_a_warning_where_one_was_asked_for(
    tmp_path: Path, wanted: str, state: str
) -> None:
    assert check_lease(tmp_path, None, wanted).state == state
    assert check_lease(None, None, wanted) == Finding("lease", "note", "nothing is activated")


# --- the report -----------------------------------------------------------------------------------

FINDINGS = (
    Finding("driver", "ok", "580.65.06"),
    Finding("gpu 10", "problem", "no code " * 12 + "for\x1b[0m this GPU", ("Take another.", "Or wait.")),
    Finding("home", "warning", "full"),
)


def test_the_table_has_what_to_do_below_what_is_wrong() -> None:
    table = as_table(FINDINGS, 80)

    assert table == (
        "ok        driver  580.65.06\n"
        "problem   gpu 10  no code no code no code no code no code no code no code no\n"
        "                  code no code no code no code no code for\\x1b[0m this GPU\n"
        "                  - Take another.\n"
        "                  - Or wait.\n"
        "warning   home    full\n"
        "1 problem, 1 warning\n"
    )


def test_json_has_the_findings_and_the_facts() -> None:
    read = json.loads(as_json(FINDINGS, {"glibc": "2.41"}))

    assert (read["format"], read["ok"], read["glibc"]) == (1, False, "2.41")
    assert read["findings"][1]["advice"] == ["Take another.", "Or wait."]
    assert json.loads(as_json(FINDINGS[::2], {}))["ok"] is True
