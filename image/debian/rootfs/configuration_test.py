"""Tests of the configuration, on real packages of the lock: small ones that have most of the scripts."""

import os
import struct
from pathlib import Path

import pytest

from image.architecture import ARCHITECTURES, Architecture
from image.debian.rootfs.configuration import configure, find_steps
from image.debian.rootfs.package import Package, open_package
from image.debian.rootfs.programs import Programs, unpack_programs
from image.debian.rootfs.tree import Entry, Tree
from image.errors import ImageError
from tests.debian.deb import Deb

TABLES = Path("image/debian/rootfs")


@pytest.fixture(scope="module", params=tuple(ARCHITECTURES.values()), ids=tuple(ARCHITECTURES))
def architecture(request: pytest.FixtureRequest) -> Architecture:
    found = request.param
    assert isinstance(found, Architecture)
    return found


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """Return the builder's programs, which configure the trees of all architectures."""
    packages = [Path(name) for name in os.environ["PROGRAMS"].split()]
    return unpack_programs(packages, tmp_path_factory.mktemp("builder") / "root")


@pytest.fixture(scope="module")
def packages(architecture: Architecture) -> list[Package]:
    folder = Path(os.environ[f"DEBIAN_{architecture.name.upper()}"]).parent
    sample = os.environ["SAMPLE"].split()
    return [open_package(path) for path in sorted(folder.glob("*.deb")) if path.stem in sample]


@pytest.fixture(scope="module")
def tree(
    packages: list[Package],
    programs: Programs,
    architecture: Architecture,
    tmp_path_factory: pytest.TempPathFactory,
) -> Tree:
    tree = Tree(tmp_path_factory.mktemp("image") / "root", 1_600_000_000, architecture)
    tree.root.mkdir()
    for package in sorted(packages, key=lambda package: package.name != "base-files"):
        tree.unpack(package, package.data())
    configure(tree, packages, TABLES, programs)
    return tree


@pytest.fixture(scope="module")
def state(tree: Tree) -> dict[str, Entry]:
    return tree.state()


def lines(tree: Tree, name: str) -> list[str]:
    return tree.path(name).read_text().splitlines()


def test_all_packages_of_the_sample_are_here(packages: list[Package]) -> None:
    assert len(packages) > 25


@pytest.mark.parametrize("name", ["passwd", "group", "shadow", "gshadow"])
def test_no_account_stands_twice(tree: Tree, name: str) -> None:
    names = [line.split(":")[0] for line in lines(tree, f"etc/{name}")]
    assert len(names) == len(set(names))
    assert {"root", "model"} <= set(names)


def test_accounts_have_debian_s_numbers_and_no_password(tree: Tree, state: dict[str, Entry]) -> None:
    users = {line.split(":")[0]: line.split(":") for line in lines(tree, "etc/passwd")}
    assert users["root"] == ["root", "x", "0", "0", "root", "/root", "/bin/bash"]
    assert users["_apt"][1:4] == ["x", "42", "65534"]
    assert users["model"] == ["model", "x", "1000", "1000", "", "/home/model", "/bin/bash"]
    assert {line.split(":")[1] for line in lines(tree, "etc/shadow")} == {"*"}
    assert {line.split(":")[0] for line in lines(tree, "etc/shadow")} == set(users)
    numbers = [line.split(":")[2] for line in lines(tree, "etc/group")]
    assert len(numbers) == len(set(numbers))
    for name in ("shadow", "gshadow"):
        assert (state[f"etc/{name}"].mode, state[f"etc/{name}"].gid) == (0o640, 42)
    assert (state["home/model"].uid, state["home/model"].gid) == (1000, 1000)


def test_folders_have_debian_s_modes(state: dict[str, Entry]) -> None:
    assert (state["var/mail"].mode, state["var/mail"].gid) == (0o2775, 8)
    assert state["run/lock"].mode == 0o1777
    assert state["tmp"].mode == 0o1777
    assert state["root"].mode == 0o700
    assert state["var/run"].target == "/run"
    assert state["usr/local/man"].target == "share/man"
    assert (state["var/log/btmp"].mode, state["var/log/btmp"].gid) == (0o660, 43)
    assert state["etc/security/opasswd"].mode == 0o600


def test_shells_are_those_that_update_shells_would_list(tree: Tree) -> None:
    shells = [
        "/bin/sh",
        "/usr/bin/sh",
        "/bin/bash",
        "/usr/bin/bash",
        "/bin/rbash",
        "/usr/bin/rbash",
        "/usr/bin/dash",
    ]
    assert lines(tree, "etc/shells") == ["# /etc/shells: valid login shells", *shells]
    assert lines(tree, "var/lib/shells.state") == shells


def test_pam_is_what_pam_auth_update_would_write(tree: Tree) -> None:
    def rules(name: str) -> list[str]:
        return [line for line in lines(tree, f"etc/pam.d/common-{name}") if line and not line.startswith("#")]

    permit = ["requisite\t\t\tpam_deny.so", "required\t\t\tpam_permit.so"]
    assert rules("auth") == [
        "auth\t[success=1 default=ignore]\tpam_unix.so nullok",
        *(f"auth\t{rule}" for rule in permit),
    ]
    assert rules("account")[0] == "account\t[success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so "
    assert rules("password")[0] == "password\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt"
    session = [
        "session\t[default=1]\t\t\tpam_permit.so",
        *(f"session\t{rule}" for rule in permit),
        "session optional\t\t\tpam_umask.so",
        "session\trequired\tpam_unix.so ",
    ]
    assert rules("session") == rules("session-noninteractive") == session
    assert lines(tree, "var/lib/pam/auth") == [
        "Module: unix",
        "[success=end default=ignore]\tpam_unix.so nullok",
    ]
    assert lines(tree, "var/lib/pam/session") == [
        "Module: null",
        "[default=1]\t\t\tpam_permit.so",
        "Module: unix",
        "required\tpam_unix.so",
    ]
    assert lines(tree, "var/lib/pam/seen") == ["unix", "mkhomedir"]


def test_no_placeholder_of_a_template_is_left(tree: Tree) -> None:
    left = [path.name for path in tree.path("etc/pam.d").glob("common-*") if "$" in path.read_text()]
    assert left == []


def test_openssl_finds_each_certificate_by_its_subject(tree: Tree, state: dict[str, Entry]) -> None:
    bundle = tree.path("etc/ssl/certs/ca-certificates.crt").read_text()
    certificates = list(tree.path("usr/share/ca-certificates").rglob("*.crt"))
    assert bundle.count("BEGIN CERTIFICATE") == len(certificates) > 100
    names = {
        name.rpartition("/")[2]: entry for name, entry in state.items() if name.startswith("etc/ssl/certs/")
    }
    subjects = [name for name in names if name.endswith((".0", ".1"))]
    assert len(subjects) == len(certificates)
    assert all(
        names[names[subject].target].target.startswith("/usr/share/ca-certificates/") for subject in subjects
    )


def test_alternatives_lead_to_their_programs(tree: Tree, state: dict[str, Entry]) -> None:
    assert state["usr/bin/awk"].target == "/etc/alternatives/awk"
    assert state["etc/alternatives/awk"].target == "/usr/bin/mawk"
    assert state["etc/alternatives/nawk"].target == "/usr/bin/mawk"
    assert state["etc/alternatives/unlzma"].target == "/usr/bin/unxz"
    assert "var/log/alternatives.log" not in state
    assert lines(tree, "var/lib/dpkg/alternatives/awk")[0] == "auto"


def test_the_loader_s_cache_has_the_libraries_and_no_path_of_the_builder(tree: Tree) -> None:
    cache = tree.path("etc/ld.so.cache").read_bytes()
    triplet = tree.architecture.triplet
    assert f"/lib/{triplet}/libssl.so.3\0".encode() in cache
    loader = Path(tree.architecture.loader).name
    assert f"/lib/{triplet}/{loader}\0".encode() in cache
    assert str(tree.root).encode() not in cache
    assert list(tree.path("var/cache/ldconfig").iterdir()) == []


def test_libraries_are_listed_as_those_of_the_image_s_architecture(tree: Tree) -> None:
    cache = tree.path("etc/ld.so.cache").read_bytes()
    (count,) = struct.unpack_from("<I", cache, 20)
    flags = {struct.unpack_from("<i", cache, 48 + 24 * number)[0] for number in range(count)}
    assert flags == {{"amd64": 0x0303, "arm64": 0x0A03}[tree.architecture.name]}


def test_the_loaders_of_images_are_those_of_the_image_and_its_folder(tree: Tree) -> None:
    folder = f"usr/lib/{tree.architecture.triplet}/gdk-pixbuf-2.0/2.10.0"
    cache = tree.path(f"{folder}/loaders.cache").read_text()
    listed = {line.strip('"') for line in cache.splitlines() if line.endswith('.so"')}
    assert len(listed) > 5
    assert listed == {f"/{folder}/loaders/{path.name}" for path in tree.path(f"{folder}/loaders").iterdir()}
    assert cache.count("linux-gnu") == cache.count(tree.architecture.triplet) == len(listed)


def test_no_file_that_was_made_names_the_builder_s_folder(tree: Tree, state: dict[str, Entry]) -> None:
    root = str(tree.root).encode()
    made = [name for name, entry in state.items() if entry.sha256]
    assert len(made) > 100
    assert [name for name in made if root in tree.path(name).read_bytes()] == []
    assert [name for name, entry in state.items() if str(tree.root) in entry.target] == []


def test_apt_is_told_of_debian_s_suites_without_remarks(tree: Tree) -> None:
    sources = lines(tree, "etc/apt/sources.list.d/debian.sources")
    assert [line for line in sources if line.startswith("Suites: ")] == [
        "Suites: trixie trixie-updates",
        "Suites: trixie-security",
    ]
    assert {line for line in sources if line.startswith("Components: ")} == {"Components: main"}
    assert [line for line in sources if line.startswith("##")] == []


def test_dpkg_is_told_to_leave_out_what_the_image_leaves_out(tree: Tree, state: dict[str, Entry]) -> None:
    configured = lines(tree, "etc/dpkg/dpkg.cfg.d/10-monobase")
    folders = [
        line.removeprefix("path-exclude=/").removesuffix("/*") for line in configured if "exclude" in line
    ]
    assert {"usr/share/man", "usr/share/locale", "usr/share/bug", "usr/share/doc"} <= set(folders)
    below = [name for name in state for folder in folders if name.startswith(f"{folder}/")]
    files = [name for name in below if not tree.path(name).is_dir() and not name.endswith("/copyright")]
    assert files == []
    assert configured[-1] == "path-include=/usr/share/doc/*/copyright"


def test_file_types_are_known(state: dict[str, Entry]) -> None:
    assert state["usr/share/mime/mime.cache"].size_bytes > 100_000


def test_configuring_again_changes_nothing(
    tree: Tree, state: dict[str, Entry], packages: list[Package], programs: Programs
) -> None:
    configure(tree, packages, TABLES, programs)
    again = tree.state()
    assert [name for name in again.keys() | state.keys() if again.get(name) != state.get(name)] == []


def write_tables(folder: Path, scripts: str, alternatives: str = "") -> Path:
    (folder / "scripts.txt").write_text(scripts)
    (folder / "alternatives.txt").write_text(alternatives)
    return folder


def with_scripts(folder: Path, **scripts: str) -> list[Package]:
    return [open_package(Deb("new", control_files=scripts).write(folder))]


@pytest.mark.parametrize("script", ["preinst", "postinst"])
def test_a_script_that_nobody_read_is_refused(tmp_path: Path, script: str) -> None:
    tables = write_tables(tmp_path, "other nothing\n")
    with pytest.raises(ImageError, match=rf"scripts\.txt: does not list new, whose {script} is not run"):
        find_steps(with_scripts(tmp_path, **{script: "#!/bin/sh\n"}), tables)


def test_a_script_that_runs_at_a_removal_only_needs_no_line(tmp_path: Path) -> None:
    assert find_steps(with_scripts(tmp_path, prerm="#!/bin/sh\n"), write_tables(tmp_path, "")) == set()


@pytest.mark.parametrize(
    ("words", "named"), [("fonts typo", "typo"), ("", "nothing at all"), ("# later", "nothing at all")]
)
def test_a_word_that_is_no_step_is_refused(tmp_path: Path, words: str, named: str) -> None:
    tables = write_tables(tmp_path, f"new {words}\n")
    with pytest.raises(ImageError, match=rf"scripts\.txt: says {named} of new, which is none of accounts, "):
        find_steps(with_scripts(tmp_path, postinst=""), tables)


@pytest.mark.parametrize(
    ("scripts", "alternatives"),
    [
        ("new nothing\n", ""),
        ("new alternatives\n", ""),
        ("new fonts\n", "new /usr/bin/x x /usr/bin/new 10\n"),
    ],
)
def test_an_alternative_that_the_tables_lack_is_refused(
    tmp_path: Path, scripts: str, alternatives: str
) -> None:
    postinst = "#!/bin/sh\nupdate-alternatives --quiet \\\n  --install /usr/bin/x x /usr/bin/new 10\n"
    with pytest.raises(
        ImageError, match=r"alternatives\.txt: lacks new, whose postinst calls update-alternatives"
    ):
        find_steps(with_scripts(tmp_path, postinst=postinst), write_tables(tmp_path, scripts, alternatives))


def test_an_alternative_that_the_tables_have_is_none_to_refuse(tmp_path: Path) -> None:
    tables = write_tables(tmp_path, "new alternatives shells\n", "new /usr/bin/x x /usr/bin/new 10\n")
    postinst = "#!/bin/sh\nupdate-alternatives --install /usr/bin/x x /usr/bin/new 10\n"
    assert find_steps(with_scripts(tmp_path, postinst=postinst), tables) == {"shells"}
