import hashlib
from pathlib import Path

from debian.deb822 import Deb822

from image.architecture import AMD64, ARM64, Architecture
from image.debian.rootfs.dpkg_database import write_database
from image.debian.rootfs.package import Package, open_package
from image.debian.rootfs.tree import Tree
from tests.debian.deb import Deb, Member, folder, link


def database(root: Path, *debs: Deb, architecture: Architecture = AMD64) -> Tree:
    tree = Tree(root / "root", 0, architecture)
    tree.root.mkdir()
    packages: list[Package] = [open_package(deb.write(root)) for deb in debs]
    for package in packages:
        tree.unpack(package, package.data())
    write_database(tree, packages)
    return tree


def read(tree: Tree, name: str) -> str:
    return tree.path(f"var/lib/dpkg/{name}").read_text()


def test_a_scanner_reads_each_package_with_its_version(tmp_path: Path) -> None:
    tree = database(tmp_path, Deb("one", "1:2-3"), Deb("two", fields={"Source": "three"}))
    found = list(Deb822.iter_paragraphs(read(tree, "status")))
    assert [(each["Package"], each["Version"], each["Status"]) for each in found] == [
        ("one", "1:2-3", "install ok installed"),
        ("two", "1.0", "install ok installed"),
    ]
    assert found[1]["Source"] == "three"
    assert found[0]["Description"] == "a package of a test\n with a second line"


def test_configuration_files_are_recorded_with_their_digest(tmp_path: Path) -> None:
    conffiles = "/etc/one\n/lib/two\nremove-on-upgrade /etc/gone\n/usr/share/man/man1/left-out\n/etc/link\n"
    tree = database(
        tmp_path,
        Deb(
            "one",
            members=(
                Member("./etc/one", b"1"),
                Member("./lib/two", b"2"),
                Member("./usr/share/man/man1/left-out"),
                link("./etc/link", "/etc/hostname"),  # of the builder, were it followed
            ),
            control_files={"conffiles": conffiles},
        ),
    )
    (stanza,) = Deb822.iter_paragraphs(read(tree, "status"))
    one, two = (hashlib.md5(content, usedforsecurity=False).hexdigest() for content in (b"1", b"2"))
    assert stanza["Conffiles"].split() == ["/etc/one", one, "/lib/two", two]


def test_a_package_without_a_description_is_recorded(tmp_path: Path) -> None:
    tree = database(tmp_path)
    package = open_package(
        Deb("one", members=(Member("./etc/x"),), control_files={"conffiles": "/etc/x\n"}).write(tmp_path)
    )
    bare = Package(
        package.name, package.version, package.architecture, "Package: one\nVersion: 1.0\n", "",
        package.control_files, package.path,
    )  # fmt: skip
    tree.unpack(bare, bare.data())
    write_database(tree, [bare])
    assert "Conffiles" in read(tree, "status")


def test_the_files_of_a_package_are_listed_and_its_scripts_kept(tmp_path: Path) -> None:
    tree = database(
        tmp_path,
        Deb(
            "one",
            members=(folder("./"), folder("./usr/"), Member("./usr/x")),
            fields={"Multi-Arch": "same"},
            control_files={"postinst": "#!/bin/sh\n", "md5sums": ""},
        ),
    )
    assert read(tree, "info/one:amd64.list") == "/.\n/usr\n/usr/x\n"
    assert read(tree, "info/one:amd64.postinst") == "#!/bin/sh\n"
    state = tree.state()
    assert state["var/lib/dpkg/info/one:amd64.postinst"].mode == 0o755
    assert state["var/lib/dpkg/info/one:amd64.md5sums"].mode == 0o644
    assert read(tree, "info/format") == "1\n"


def test_triggers_name_who_waits_as_dpkg_does(tmp_path: Path) -> None:
    tree = database(
        tmp_path,
        Deb("libc-bin", control_files={"triggers": "interest-noawait ldconfig\n# a remark\nactivate x\n"}),
        Deb(
            "glib",
            fields={"Multi-Arch": "same"},
            control_files={"triggers": "interest /usr/share/schemas\ninterest-noawait /usr/lib/gio\n"},
        ),
    )
    assert read(tree, "triggers/ldconfig") == "libc-bin/noawait\n"
    assert read(tree, "triggers/File") == "/usr/lib/gio glib:amd64/noawait\n/usr/share/schemas glib:amd64\n"
    assert not tree.holds("var/lib/dpkg/triggers/x")


def test_the_files_that_dpkg_looks_for_are_there_without_any_package(tmp_path: Path) -> None:
    tree = database(tmp_path)
    names = (
        "status",
        "available",
        "diversions",
        "statoverride",
        "triggers/Unincorp",
        "updates",
        "info/format",
    )
    assert [name for name in names if not tree.holds(f"var/lib/dpkg/{name}")] == []
    assert read(tree, "arch-native") == "amd64\n"


def test_dpkg_s_own_architecture_is_that_of_the_image(tmp_path: Path) -> None:
    for architecture in (AMD64, ARM64):
        folder = tmp_path / architecture.name
        folder.mkdir()
        assert read(database(folder, architecture=architecture), "arch-native") == f"{architecture.name}\n"
