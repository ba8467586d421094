from pathlib import Path

import pytest

from image.debian.rootfs.package import open_archive, open_package
from image.errors import ImageError
from tests.debian.deb import COMPRESS, Deb, Member, ar, link, tar

HELLO = Deb(
    "hello",
    version="1:2.10-3",
    members=(Member("./usr/bin/hello", b"hello\n", mode=0o755), link("./usr/bin/hi", "hello")),
    fields={"Multi-Arch": "same"},
    control_files={"postinst": "#!/bin/sh\n", "conffiles": "/etc/hello\nremove-on-upgrade /etc/old\n\n"},
)


def test_a_package_says_what_its_control_file_says(tmp_path: Path) -> None:
    package = open_package(HELLO.write(tmp_path))
    assert (package.name, package.version, package.architecture) == ("hello", "1:2.10-3", "amd64")
    assert package.control == HELLO.control
    assert package.control_files["postinst"] == (0o755, b"#!/bin/sh\n")
    assert "control" not in package.control_files


def test_a_package_of_several_architectures_has_its_own_in_the_names_of_its_files(tmp_path: Path) -> None:
    assert open_package(HELLO.write(tmp_path)).info_name == "hello:amd64"
    assert open_package(Deb("single").write(tmp_path)).info_name == "single"
    assert (
        open_package(Deb("foreign", fields={"Multi-Arch": "foreign"}).write(tmp_path)).info_name == "foreign"
    )


def test_configuration_files_are_told_without_their_flags(tmp_path: Path) -> None:
    assert open_package(HELLO.write(tmp_path)).conffiles == ("/etc/hello", "/etc/old")


def test_only_scripts_that_run_at_an_installation_count(tmp_path: Path) -> None:
    scripts = {"preinst": "", "postinst": "", "prerm": "", "postrm": "", "config": ""}
    assert open_package(Deb("all", control_files=scripts).write(tmp_path)).scripts == ("preinst", "postinst")
    assert open_package(Deb("none", control_files={"prerm": ""}).write(tmp_path)).scripts == ()


@pytest.mark.parametrize("compression", COMPRESS)
def test_each_compression_of_debian_is_read(tmp_path: Path, compression: str) -> None:
    deb = Deb("hello", members=HELLO.members, compression=compression)
    package = open_package(deb.write(tmp_path))
    with open_archive(package.data()) as archive:
        assert archive.getnames() == ["./usr/bin/hello", "./usr/bin/hi"]
    assert package.read("usr/bin/hello") == b"hello\n"


def test_zstd_needs_no_program_of_the_builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Deb("hello", members=HELLO.members, compression=".zst").write(tmp_path)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert open_package(path).read("usr/bin/hello") == b"hello\n"


@pytest.mark.parametrize("name", ["usr/bin/none", "usr/bin/hi", "./usr/bin/hello"])
def test_reading_what_is_no_file_of_the_package_names_both(tmp_path: Path, name: str) -> None:
    package = open_package(HELLO.write(tmp_path))
    with pytest.raises(ImageError, match=rf"hello\.deb: {name} in it is not a regular file"):
        package.read(name)


def test_names_beyond_ascii_are_utf8_in_any_locale(tmp_path: Path) -> None:
    package = open_package(Deb("names", members=(Member("./Főtanúsítvány.crt", b"x"),)).write(tmp_path))
    with open_archive(package.data()) as archive:
        assert archive.getnames() == ["./Főtanúsítvány.crt"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"absent\.deb: is not a Debian package that can be read"):
        open_package(tmp_path / "absent.deb")


@pytest.mark.parametrize("kept", [0, 5, 8, 40, 100, 200])
def test_a_truncated_package_is_refused(tmp_path: Path, kept: int) -> None:
    path = HELLO.write(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ImageError, match=r"hello\.deb: is not a Debian package"):
        open_package(path)


@pytest.mark.parametrize("compression", [".gz", ".xz", ".zst"])
def test_truncated_data_are_refused(tmp_path: Path, compression: str) -> None:
    deb = Deb("hello", members=(Member("./x", bytes(range(256)) * 100),), compression=compression)
    path = deb.write(tmp_path)
    path.write_bytes(path.read_bytes()[:-12])
    package = open_package(path)
    with pytest.raises(ImageError, match=r"hello\.deb: is not a Debian package"):
        package.data()


@pytest.mark.parametrize("compression", [".gz", ".xz", ".zst"])
def test_corrupt_data_are_refused(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "bad.deb"
    control = COMPRESS[".gz"](tar(Member("./control", HELLO.control.encode())))
    path.write_bytes(
        ar(
            {
                "debian-binary": b"2.0\n",
                "control.tar.gz": control,
                f"data.tar{compression}": b"this is not compressed",
            }
        )
    )
    package = open_package(path)
    with pytest.raises(ImageError, match=r"bad\.deb: is not a Debian package"):
        package.data()


@pytest.mark.parametrize(
    "control",
    [
        tar(Member("./postinst", b"")),
        tar(Member("./control", b"Version: 1\nArchitecture: all\n")),
        tar(Member("./control", b"Package: \xff\n")),
        b"no archive",
    ],
    ids=["no control file", "no name", "not UTF-8", "no archive"],
)
def test_a_wrong_control_part_is_refused(tmp_path: Path, control: bytes) -> None:
    path = tmp_path / "bad.deb"
    path.write_bytes(ar({"debian-binary": b"2.0\n", "control.tar": control, "data.tar": tar()}))
    with pytest.raises(ImageError, match=r"bad\.deb: is not a Debian package"):
        open_package(path)


@pytest.mark.parametrize("missing", ["debian-binary", "control.tar", "data.tar"])
def test_an_archive_without_one_of_its_parts_is_refused(tmp_path: Path, missing: str) -> None:
    parts = {"debian-binary": b"2.0\n", "control.tar": tar(Member("./control", b"")), "data.tar": tar()}
    del parts[missing]
    path = tmp_path / "bad.deb"
    path.write_bytes(ar(parts))
    with pytest.raises(ImageError, match=r"bad\.deb: is not a Debian package"):
        open_package(path)
