import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from image.architecture import AMD64
from image.debian.rootfs.package import Package, open_package
from image.debian.rootfs.tree import Entry, Tree, difference
from image.errors import ImageError
from tests.debian.deb import MTIME_S, Deb, Member, folder, hard_link, link

DATE_S = 1_600_000_000


class Builder:
    """A tree, and a folder for the packages that go into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tree = Tree(root / "root", DATE_S, AMD64)
        self.tree.root.mkdir()

    def open(self, name: str, *members: Member) -> Package:
        return open_package(Deb(name, members=members).write(self.root))

    def unpack(self, name: str, *members: Member) -> None:
        package = self.open(name, *members)
        self.tree.unpack(package, package.data())

    def refusal(self, name: str, *members: Member) -> str:
        with pytest.raises(ImageError) as caught:
            self.unpack(name, *members)
        return str(caught.value)


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def test_entries_are_those_of_the_package_whoever_builds(builder: Builder) -> None:
    builder.unpack(
        "one",
        folder("./usr/"),
        folder("./usr/bin/", mode=0o1777, gid=8),
        Member("./usr/bin/su", b"program", mode=0o4755, uid=3, gid=42),
        link("./usr/bin/sudo", "su"),
    )
    assert builder.tree.state() == {
        "usr": Entry(tarfile.DIRTYPE, 0o755, mtime_s=MTIME_S),
        "usr/bin": Entry(tarfile.DIRTYPE, 0o1777, gid=8, mtime_s=MTIME_S),
        "usr/bin/su": Entry(tarfile.REGTYPE, 0o4755, uid=3, gid=42, mtime_s=MTIME_S, size_bytes=7),
        "usr/bin/sudo": Entry(tarfile.SYMTYPE, 0o777, mtime_s=MTIME_S, target="su"),
    }
    assert builder.tree.path("usr/bin/su").read_bytes() == b"program"


def test_the_old_places_are_those_of_the_merged_usr(builder: Builder) -> None:
    builder.unpack("base-files", link("./bin", "usr/bin"), link("./lib64", "usr/lib64"), folder("./usr/bin"))
    builder.unpack("old", Member("./bin/x", b"1"), Member("/sbin/y"), hard_link("./lib64/z", "./bin/x"))
    state = builder.tree.state()
    assert {"usr/bin/x", "usr/sbin/y", "usr/lib64/z"} <= state.keys()
    assert state["usr/lib64/z"].target == "usr/bin/x"
    assert state["bin"].target == "usr/bin"
    assert builder.tree.lists["old"] == ["/bin/x", "/sbin/y", "/lib64/z"]  # dpkg's list has the package's own


def test_a_name_that_only_begins_like_an_old_place_stays(builder: Builder) -> None:
    builder.unpack("one", Member("./libexec/x"), Member("./binary"), Member("./lib32/x"))
    assert {"libexec/x", "binary", "lib32/x"} <= builder.tree.state().keys()


def test_hard_links_share_the_file(builder: Builder) -> None:
    builder.unpack(
        "perl", Member("./usr/bin/perl", b"perl", mode=0o755), hard_link("./usr/bin/perl5", "./usr/bin/perl")
    )
    entry = builder.tree.state()["usr/bin/perl5"]
    assert (entry.kind, entry.target, entry.size_bytes) == (tarfile.LNKTYPE, "usr/bin/perl", 0)
    assert builder.tree.path("usr/bin/perl5").samefile(builder.tree.path("usr/bin/perl"))


def test_what_no_model_reads_is_left_out_and_listed(builder: Builder) -> None:
    names = (
        "usr/share/doc/x/changelog.gz",
        "usr/share/doc/x/examples/y/z",
        "usr/share/man/man1/x.1.gz",
        "usr/share/locale/de/LC_MESSAGES/x.mo",
        "usr/share/lintian/overrides/x",
        "usr/share/bug/x/script",
    )
    kept = (
        "usr/share/doc/x/copyright",
        "usr/share/doc/x/y/copyright",
        "usr/share/manual",
        "usr/share/info2/x",
    )
    builder.unpack("x", folder("./"), *(Member(f"./{name}", b"x") for name in names + kept))
    files = {name for name, entry in builder.tree.state().items() if entry.kind == tarfile.REGTYPE}
    assert files == set(kept)
    assert builder.tree.lists["x"] == ["/.", *(f"/{name}" for name in names + kept)]


def test_a_link_to_another_package_s_licence_stays(builder: Builder) -> None:
    builder.unpack("x", link("./usr/share/doc/x", "y"))
    assert builder.tree.state()["usr/share/doc/x"].target == "y"


def test_a_file_of_two_packages_names_both(builder: Builder) -> None:
    builder.unpack("one", Member("./usr/bin/x", b"1"))
    assert builder.refusal("two", Member("./bin/x", b"1")) == "/usr/bin/x: both one and two hold it"


def test_a_folder_of_two_packages_is_as_the_first_made_it(builder: Builder) -> None:
    builder.unpack("one", folder("./srv", mode=0o2775, gid=8))
    builder.unpack("two", folder("./srv"), Member("./srv/x"))
    assert builder.tree.state()["srv"].mode == 0o2775


def test_a_folder_where_another_package_has_a_file_is_refused(builder: Builder) -> None:
    builder.unpack("one", Member("./srv/x"))
    assert builder.refusal("two", folder("./srv/x")) == "/srv/x: both one and two hold it"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_device_is_refused(builder: Builder, kind: bytes) -> None:
    message = builder.refusal("one", Member("./dev/null", kind=kind))
    assert message.endswith("one.deb: ./dev/null is a device or pipe; Monobase's images hold none")


@pytest.mark.parametrize("target", ["./usr/share/man/man1/x.1", "./usr/bin/none", "./usr/bin"])
def test_a_hard_link_to_no_file_of_the_image_is_refused(builder: Builder, target: str) -> None:
    members = (folder("./usr/bin"), Member("./usr/share/man/man1/x.1"), hard_link("./usr/bin/x", target))
    assert (
        f"./usr/bin/x is a hard link to {target}, which is not an earlier file of the image"
        in builder.refusal("one", *members)
    )


@pytest.mark.parametrize("target", ["{outside}", "../../outside", "elsewhere"])
def test_no_package_writes_behind_a_link_of_another_one(
    builder: Builder, target: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    builder.unpack("one", link("./var/run", target.format(outside=outside)), folder("./var/elsewhere"))
    message = builder.refusal("two", Member("./var/run/two/pid", b"x"))
    assert message == "/var/run/two/pid: lies behind the link /var/run; name the folder that it leads to"
    assert list(outside.iterdir()) == []


def test_no_package_writes_behind_a_link_that_was_a_folder_before(builder: Builder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    builder.unpack("one", folder("./var/run"))
    builder.tree.make_directory("var/run/x")
    builder.tree.path("var/run/x").rmdir()
    builder.tree.link("var/run", str(outside))
    builder.refusal("two", Member("./var/run/pid", b"x"))
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "./usr/../../x", ".."])
def test_no_package_writes_above_the_root(builder: Builder, name: str) -> None:
    assert "lies above the root of the image" in builder.refusal("one", Member(name, b"x"))


def test_data_that_are_no_archive_are_refused(builder: Builder) -> None:
    package = builder.open("one", Member("./x", b"x" * 2000))
    for data in (b"no archive at all" * 100, package.data()[:1000]):
        with pytest.raises(ImageError, match=r"one\.deb: its archive of files cannot be read"):
            builder.tree.unpack(package, data)


def test_what_configuration_makes_has_one_time_and_the_modes_it_said(builder: Builder) -> None:
    tree = builder.tree
    tree.write("etc/shadow", "secret", 0o640, 42)
    tree.write("etc/motd", b"")
    tree.make_directory("var/mail", 0o2775, 8)
    tree.link("var/spool/mail", "../mail")
    state = tree.state()
    assert (state["etc/shadow"].mode, state["etc/shadow"].gid) == (0o640, 42)
    assert (state["etc/motd"].mode, state["etc/motd"].size_bytes) == (0o644, 0)
    assert (state["var/mail"].mode, state["var/mail"].gid) == (0o2775, 8)
    assert (state["var"].mode, state["var"].gid) == (0o755, 0)
    assert state["var/spool/mail"].target == "../mail"
    assert {entry.mtime_s for entry in state.values()} == {DATE_S}


def test_configuration_may_write_and_link_the_same_twice(builder: Builder) -> None:
    for content in ("first", "second"):
        builder.tree.write("etc/motd", content)
        builder.tree.link("etc/x", "motd")
        builder.tree.make_directory("srv", 0o700)
    assert builder.tree.path("etc/motd").read_text() == "second"
    assert builder.tree.state()["srv"].mode == 0o700


def test_configuration_may_not_overwrite_what_a_package_holds(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("mine")
    builder.unpack(
        "one", Member("./etc/motd", b"1"), link("./etc/out", str(tmp_path / "outside")), folder("./srv/x")
    )
    tree = builder.tree
    steps: tuple[Callable[[], None], ...] = (
        lambda: tree.write("etc/motd", "2"),
        lambda: tree.write("etc/out", "2"),
        lambda: tree.write("srv", "2"),
        lambda: tree.link("etc/motd", "x"),
        lambda: tree.link("etc/out", "x"),
        lambda: tree.link("srv", "x"),
        lambda: tree.make_directory("etc/motd"),
        lambda: tree.make_directory("etc/out"),
    )
    for step in steps:
        with pytest.raises(ImageError, match="holds something else there"):
            step()
    assert (tmp_path / "outside").read_text() == "mine"
    assert tree.path("etc/motd").read_text() == "1"


def test_an_empty_folder_of_a_package_makes_room_for_a_link(builder: Builder) -> None:
    builder.unpack("base-files", folder("./var/run"))
    builder.tree.link("var/run", "/run")
    assert builder.tree.state()["var/run"].target == "/run"


def test_a_held_file_that_went_away_or_changed_is_noticed(builder: Builder) -> None:
    builder.unpack("one", Member("./etc/x", b"1"))
    builder.tree.path("etc/x").write_bytes(b"longer")
    with pytest.raises(ImageError, match=r"^/etc/x: one installed it, and the configuration changed it$"):
        builder.tree.state()
    builder.tree.path("etc/x").unlink()
    with pytest.raises(ImageError, match=r"^/etc/x: one installed it, and it is missing$"):
        builder.tree.state()


def test_the_builder_s_folder_stands_in_nothing_that_was_made(builder: Builder) -> None:
    builder.tree.write("etc/cache", f"/usr/lib/x {builder.tree.root}/usr/lib/x")
    with pytest.raises(ImageError, match=r"^/etc/cache: what made it left the builder's folder .* in it$"):
        builder.tree.state()
    builder.tree.write("etc/cache", "/usr/lib/x")
    builder.tree.link("etc/link", f"{builder.tree.root}/etc/cache")
    with pytest.raises(ImageError, match=r"^/etc/link: "):
        builder.tree.state()


def test_a_layer_holds_what_is_new_or_changed() -> None:
    below = {"a": Entry(tarfile.REGTYPE, 0o644, sha256="1"), "b": Entry(tarfile.REGTYPE, 0o644)}
    after = {**below, "a": Entry(tarfile.REGTYPE, 0o644, sha256="2"), "c": Entry(tarfile.DIRTYPE, 0o755)}
    assert difference(below, after).keys() == {"a", "c"}


def test_a_layer_takes_nothing_away() -> None:
    with pytest.raises(ImageError, match=r"^/a: a lower layer has it, and an upper one removes it$"):
        difference({"a": Entry(tarfile.REGTYPE, 0o644)}, {})
