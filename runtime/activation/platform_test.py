"""The machine and the glibc of an image, compared with the platform of the generation."""

from pathlib import Path
from platform import machine as this_machine

import pytest

from runtime.sample_machine import SampleMachine, make_offer, make_sample_machine
from runtime.sample_prefix import SamplePrefix, question
from runtime.shells import SHELLS, SYSTEM_PATH, Outcome, Shell, run

pytest_plugins = ["runtime.fixtures"]

LOADERS = {"x86_64": "/lib64/ld-linux-x86-64.so.2", "aarch64": "/lib/ld-linux-aarch64.so.1"}


def make_image(folder: Path, arch: str, glibc: str, lib: str) -> SampleMachine:
    """Make an image with a glibc, named as that release names its files."""
    image = make_sample_machine(folder, gpu=False, libraries=True)
    image.write(LOADERS[arch])
    if tuple(map(int, glibc.split("."))) < (2, 34):
        image.write(f"{lib}/libc-{glibc}.so")
        image.link(f"{lib}/libc.so.6", f"libc-{glibc}.so")
    else:
        image.write(f"{lib}/libc.so.6")
    return image


def activate(shell: Shell, image: SampleMachine, platform: str, folder: Path, **variables: str) -> Outcome:
    lines = [f"platform {platform}"] if platform else []
    prefix = make_offer(folder / "prefix", "2.13.0", {"cpu": "-"}, *lines)
    asked = question(prefix, TORCH_VERSION="2.13.0", activate=str(image.activate))
    return shell.run('. "$activate"', asked | variables)


@pytest.mark.parametrize(
    ("arch", "lib"),
    [
        ("x86_64", "/lib/x86_64-linux-gnu"), ("x86_64", "/lib64"),
        ("aarch64", "/lib/aarch64-linux-gnu"), ("aarch64", "/lib64"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("glibc", "need", "runs"),
    [
        ("2.31", "2_34", False), ("2.33", "2_34", False), ("2.31", "2_28", True), ("2.28", "2_28", True),
        ("2.17", "2_28", False), ("2.9", "2_28", False), ("2.36", "2_34", True), ("2.41", "2_34", True),
    ],
)  # fmt: skip
def test_an_older_glibc_than_the_generations_is_refused(
    shell: Shell, tmp_path: Path, arch: str, lib: str, glibc: str, need: str, runs: bool
) -> None:
    image = make_image(tmp_path / "image", arch, glibc, lib)

    outcome = activate(shell, image, f"{arch}-manylinux_{need}", tmp_path)

    if runs:
        assert outcome == Outcome(0, "", "")
        return
    assert outcome == Outcome(
        78,
        "",
        f"monobase: error: this image has glibc {glibc}, and g00001 needs {need.replace('_', '.')} or newer "
        f"({arch}-manylinux_{need}).\n"
        "    Build the image on a newer base, such as Monobase's runtime image.\n"
        "    MONOBASE_FIT=warn starts all the same; MONOBASE_FIT=off does not look.\n",
    )


def test_generations_for_an_older_glibc_are_named(shell: Shell, tmp_path: Path) -> None:
    image = make_image(tmp_path / "image", "x86_64", "2.31", "/lib/x86_64-linux-gnu")
    prefix = make_offer(tmp_path / "prefix", "2.13.0", {"cpu": "-"}, "platform x86_64-manylinux_2_34")
    for name, platform in {
        "g00007": "x86_64-manylinux_2_28",
        "g00008": "x86_64-manylinux_2_31",
        "g00009": "x86_64-manylinux_2_35",
        "g00010": "aarch64-manylinux_2_28",
    }.items():
        other = prefix.generation(name)
        other.lines[2] = f"platform {platform}"
        other.write()

    outcome = shell.run('. "$activate"', question(prefix, activate=str(image.activate)))

    assert outcome.code == 78
    assert (
        "    generations for the glibc of this image: MONOBASE_GEN_ID=7, MONOBASE_GEN_ID=8\n"
        in outcome.stderr
    )


@pytest.mark.parametrize(("fit", "level"), [("warn", "warning"), ("off", "")])
def test_monobase_fit_says_what_becomes_of_an_older_glibc(
    shell: Shell, tmp_path: Path, fit: str, level: str
) -> None:
    image = make_image(tmp_path / "image", "x86_64", "2.31", "/lib64")

    outcome = activate(shell, image, "x86_64-manylinux_2_34", tmp_path, MONOBASE_FIT=fit)

    assert outcome.code == 0
    assert outcome.stderr == (
        f"monobase: {level}: this image has glibc 2.31, and g00001 needs 2.34 or newer "
        "(x86_64-manylinux_2_34); going on, as MONOBASE_FIT=warn says\n"
        if level
        else ""
    )


@pytest.mark.parametrize(
    ("files", "platform", "reason"),
    [
        (["/lib/ld-linux-aarch64.so.1"], "x86_64-manylinux_2_34", "is for aarch64"),
        (["/lib64/ld-linux-x86-64.so.2"], "aarch64-manylinux_2_34", "is for x86_64"),
        (["/lib/ld-musl-x86_64.so.1"], "x86_64-manylinux_2_34", "has musl instead of glibc (Alpine?)"),
        (["/lib/ld-musl-x86_64.so.1"], "", "has musl instead of glibc (Alpine?)"),
        ([], "aarch64-manylinux_2_34", "has no glibc (no {root}/lib/ld-linux-aarch64.so.1)"),
    ],
)
def test_an_image_that_cannot_start_the_nodes_python_is_refused(
    shell: Shell, tmp_path: Path, files: list[str], platform: str, reason: str
) -> None:
    image = make_sample_machine(tmp_path / "image", gpu=False, libraries=True)
    for path in files:
        image.write(path)

    outcome = activate(shell, image, platform, tmp_path)

    needed = (platform or "x86_64").partition("-")[0]
    assert outcome.code == 78
    assert outcome.stderr.startswith(
        f"monobase: error: this image {reason.format(root=image.root)}, "
        f"and the environments of this node are for {needed} with glibc.\n"
    )


@pytest.mark.parametrize("platform", ["riscv64-manylinux_2_39", "x86_64-musllinux_1_2", "x86_64-linux"])
def test_a_platform_that_the_runtime_does_not_know_refuses_nothing(
    shell: Shell, tmp_path: Path, platform: str
) -> None:
    image = make_image(tmp_path / "image", "x86_64", "2.31", "/lib64")

    assert activate(shell, image, platform, tmp_path) == Outcome(0, "", "")


def test_a_file_of_an_older_glibc_that_nothing_uses_does_not_count(shell: Shell, tmp_path: Path) -> None:
    image = make_image(tmp_path / "image", "x86_64", "2.33", "/lib64")
    image.write("/lib64/libc-2.17.so")

    assert activate(shell, image, "x86_64-manylinux_2_33", tmp_path) == Outcome(0, "", "")


def test_where_the_loader_is_gone_activation_still_explains_itself(prefix: SamplePrefix) -> None:
    if this_machine() != "x86_64":
        pytest.skip("the loader of another machine is elsewhere")
    # From here on, no program can be started: what activation does, it does in the shell.
    script = 'mount -t tmpfs none /lib64 && . "$activate"'
    wrapper = ("unshare", "--mount", "--")
    if run([*wrapper, "mount", "-t", "tmpfs", "none", "/mnt"], {"PATH": SYSTEM_PATH}).code != 0:
        pytest.skip("this user may not mount")

    outcome = SHELLS[1].run(script, question(prefix), wrapper=wrapper)

    assert outcome.code == 78
    assert "this image has no glibc (no /lib64/ld-linux-x86-64.so.2)" in outcome.stderr
