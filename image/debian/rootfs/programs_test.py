import os
from pathlib import Path

import pytest

from image.debian.rootfs.programs import Programs, unpack_programs
from image.errors import ImageError
from tests.debian.deb import Deb, Member


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    packages = [Path(name) for name in os.environ["PROGRAMS"].split()]
    return unpack_programs(packages, tmp_path_factory.mktemp("programs") / "root")


@pytest.mark.parametrize("program", ["openssl", "update-alternatives", "update-mime-database", "python3.13"])
def test_a_program_finds_its_libraries_among_the_packages(programs: Programs, program: str) -> None:
    option = "version" if program == "openssl" else "--version"
    if program == "update-mime-database":
        option = "-v"
    programs.run(f"usr/bin/{program}", option)


def test_a_program_that_fails_is_named_with_what_it_said(programs: Programs) -> None:
    with pytest.raises(ImageError, match=r"^/usr/bin/openssl of Debian ended with 1 here .*nonsense"):
        programs.run("usr/bin/openssl", "nonsense")


def test_a_program_that_is_missing_is_named(programs: Programs) -> None:
    with pytest.raises(ImageError, match=r"^/usr/sbin/none of Debian ended with .*/usr/sbin/none"):
        programs.run("usr/sbin/none")


def test_packages_without_a_loader_cannot_run_anything(tmp_path: Path) -> None:
    programs = unpack_programs([Deb("one").write(tmp_path)], tmp_path / "root")
    with pytest.raises(ImageError, match=r"^/usr/bin/x of Debian cannot be run here \(a Linux of amd64"):
        programs.run("usr/bin/x")


def test_a_program_sees_no_variable_of_the_builder(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the builder")
    printed = programs.run("usr/bin/python3.13", "-S", "-c", "import posix; print(posix.environ)")
    assert b"LC_ALL" in printed
    assert b"of the builder" not in printed


def test_packages_of_two_architectures_are_refused(tmp_path: Path) -> None:
    debs = [Deb(name, architecture=name, members=(Member("./x"),)) for name in ("amd64", "arm64", "all")]
    with pytest.raises(ImageError, match=r"^programs to run are of amd64 and arm64; give those of one$"):
        unpack_programs([deb.write(tmp_path) for deb in debs], tmp_path / "root")
