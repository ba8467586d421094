import pytest

from image.errors import ImageError
from image.sbom.installed_package import InstalledPackage, package_url, parse_status, resolve_dependencies
from image.sbom.sample_image import BSDUTILS, GPLUSPLUS, LIBC, REMOVED, status


def read(*stanzas: str) -> dict[str, InstalledPackage]:
    return {package.name: package for package in parse_status(status(*stanzas), "status")}


def test_the_record_gives_what_is_installed_and_leaves_out_what_was_removed() -> None:
    packages = read(LIBC, BSDUTILS, REMOVED)
    assert sorted(packages) == ["bsdutils", "libc6"]
    assert packages["libc6"].summary == "GNU C Library: Shared libraries"
    assert packages["libc6"].homepage == "https://example.org/libc"


def test_a_stanza_without_a_version_is_an_error_that_names_the_package() -> None:
    with pytest.raises(ImageError, match=r"^status: the stanza of libc6 has no Version$"):
        read(LIBC.replace("Version: 2.41-12+deb13u5\n", ""))


def test_a_package_url_has_the_epoch_and_the_source_as_scanners_write_them() -> None:
    packages = read(LIBC, BSDUTILS, GPLUSPLUS)
    assert package_url(packages["libc6"], "debian-13").to_string() == (
        "pkg:deb/debian/libc6@2.41-12%2Bdeb13u5?arch=amd64&distro=debian-13&upstream=glibc"
    )
    assert package_url(packages["bsdutils"], "debian-13").to_string() == (
        "pkg:deb/debian/bsdutils@1:2.41.5-0%2Bdeb13u1?arch=amd64&distro=debian-13"
        "&upstream=util-linux%402.41.5-0%2Bdeb13u1"
    )
    assert package_url(packages["g++"], "debian-13").to_string() == (
        "pkg:deb/debian/g%2B%2B@4:14.2.0-1?arch=all&distro=debian-13"
    )


def test_a_dependency_is_the_first_alternative_that_is_there_by_name_or_by_what_provides_it() -> None:
    packages = parse_status(status(LIBC, BSDUTILS, GPLUSPLUS), "status")
    assert resolve_dependencies(packages) == {"libc6": (), "bsdutils": ("libc6",), "g++": ("bsdutils",)}
