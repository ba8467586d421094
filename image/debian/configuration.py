"""What Debian's maintainer scripts make of unpacked packages, done without running them.

`scripts.txt` names for each package with a postinst the function that takes its place; a package that it does
not know is refused, so that a new version of the lock cannot bring one unseen.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from image.debian.package import Package
from image.debian.tree import Tree
from image.errors import ImageError

# Accounts that Debian makes when packages are installed, with the numbers that its own images have.
_USERS = {"_apt": (42, 65534, "/nonexistent")}
_GROUPS = {"_ssh": 101, "rdma": 102}
# Who a model is when nobody says otherwise.
_MODEL = "model:x:1000:1000::/home/model:/bin/bash"
_SHADOW_GROUP = 42
_MAIL_GROUP = 8
_ALTERNATIVES_LOG = "/var/log/alternatives.log"
_INSTALL = re.compile(rb"update-alternatives[^#]*--install")


def configure(tree: Tree, packages: Sequence[Package], tables: Path) -> None:
    """Configure all packages of a tree.

    Args:
        tree: The tree, with the packages unpacked.
        packages: All of them.
        tables: Folder of scripts.txt and alternatives.txt.

    Raises:
        ImageError: A package has a script that scripts.txt does not know, or a program of the image failed.
    """
    names = {package.name for package in packages}
    known = _read_table(tables / "scripts.txt")
    replaced = {words[0]: words[1:] for words in known}
    done: set[str] = set()
    for package in packages:
        if not package.has_postinst:
            continue
        if package.name not in replaced:
            raise ImageError(
                f"{tables / 'scripts.txt'}: does not know {package.name}, whose postinst nobody runs here; "
                "read it, and add a line that says what takes its place"
            )
        installs = _INSTALL.search(package.control_files["postinst"][1]) is not None
        if installs and "alternatives" not in replaced[package.name] and package.name != "bash":
            raise ImageError(
                f"{tables / 'alternatives.txt'}: lacks {package.name}, whose postinst calls "
                "update-alternatives; add its lines, and `alternatives` in scripts.txt"
            )
        done |= set(replaced[package.name])
    done -= {"nothing", "alternatives", "apt_sources", "libraries", "bytecode"}
    for step in sorted(done):
        _STEPS[step](tree)
    for package in packages:
        if package.name == "apt":
            example = package.read("usr/share/doc/apt/examples/debian.sources")
            tree.write("etc/apt/sources.list.d/debian.sources", _sources(example))
    _alternatives(tree, [words for words in _read_table(tables / "alternatives.txt") if words[0] in names])
    tree.write("etc/dpkg/dpkg.cfg.d/10-monobase", _DPKG_EXCLUDES)
    if "python3.13" in names:
        _bytecode(tree)
    _libraries(tree)


def _base_files(tree: Tree) -> None:
    for source, target in (
        ("dot.profile", "root/.profile"),
        ("dot.bashrc", "root/.bashrc"),
        ("profile", "etc/profile"),
        ("motd", "etc/motd"),
    ):
        tree.copy(f"usr/share/base-files/{source}", target)
    for name in ("mnt", "srv", "opt", "etc/opt", "var/opt", "media", "usr/lib/pkgconfig"):
        tree.make_directory(name)
    tree.make_directory("var/mail", 0o2775, _MAIL_GROUP)
    tree.link("var/spool/mail", "../mail")
    tree.make_directory("run/lock", 0o1777)
    tree.link("var/run", "/run")
    tree.link("var/lock", "/run/lock")
    for name in ("", "/bin", "/etc", "/games", "/include", "/lib", "/sbin", "/share", "/share/man", "/src"):
        tree.make_directory(f"usr/local{name}")
    tree.link("usr/local/man", "share/man")
    tree.link("etc/dpkg/origins/default", "debian")


def _accounts(tree: Tree) -> None:
    users = tree.path("usr/share/base-passwd/passwd.master").read_text().splitlines()
    groups = tree.path("usr/share/base-passwd/group.master").read_text().splitlines()
    users += [f"{name}:*:{uid}:{gid}::{home}:/usr/sbin/nologin" for name, (uid, gid, home) in _USERS.items()]
    groups += [f"{name}:*:{gid}:" for name, gid in _GROUPS.items()]
    users.append(_MODEL)
    groups.append("model:x:1000:")
    tree.make_directory("home/model", 0o755, 1000, 1000)
    passwords = [line.split(":")[0] for line in users]
    tree.write("etc/passwd", _lines(line.replace(":*:", ":x:", 1) for line in users))
    tree.write("etc/group", _lines(line.replace(":*:", ":x:", 1) for line in groups))
    # No password and no age: nobody logs in to a container.
    tree.write("etc/shadow", _lines(f"{name}:*:::::::" for name in passwords), 0o640, _SHADOW_GROUP)
    tree.write("etc/gshadow", _lines(f"{line.split(':')[0]}:*::" for line in groups), 0o640, _SHADOW_GROUP)


def _ssh_agent(tree: Tree) -> None:
    tree.chown("usr/bin/ssh-agent", 0o2755, _GROUPS["_ssh"])


def _shells(tree: Tree) -> None:
    shells = ["/usr/bin/sh"]
    for path in sorted(tree.path("usr/share/debianutils/shells.d").iterdir()):
        for shell in path.read_text().split():
            name = shell.removeprefix("/usr")
            shells += [name, f"/usr{name}"]
    header = tree.path("usr/share/debianutils/shells").read_text()
    tree.write("etc/shells", header + _lines(dict.fromkeys(shells)))


def _name_service(tree: Tree) -> None:
    tree.copy("usr/share/libc-bin/nsswitch.conf", "etc/nsswitch.conf")


def _networks(tree: Tree) -> None:
    tree.write("etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
    tree.write("etc/networks", "default\t\t0.0.0.0\nloopback\t127.0.0.0\nlink-local\t169.254.0.0\n")


def _readline(tree: Tree) -> None:
    tree.copy("usr/share/readline/inputrc", "etc/inputrc")


def _time_zone(tree: Tree) -> None:
    tree.link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")


def _fonts(tree: Tree) -> None:
    for name in ("10-hinting-slight.conf", "70-no-bitmaps-except-emoji.conf"):
        if not tree.holds(f"etc/fonts/conf.d/{name}"):
            tree.link(f"etc/fonts/conf.d/{name}", f"/usr/share/fontconfig/conf.avail/{name}")


def _pam(tree: Tree) -> None:
    """Fill Debian's templates with what `usr/share/pam-configs/unix` says, as pam-auth-update does."""
    unix = {
        "$auth_primary": "auth\t[success=1 default=ignore]\tpam_unix.so nullok",
        "$account_primary": "account\t[success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so",
        "$password_primary": "password\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt",
        "$session_primary": "session\t[default=1]\tpam_permit.so",
        "$session_nonint_primary": "session\t[default=1]\tpam_permit.so",
        "$session_additional": "session\trequired\tpam_unix.so",
        "$session_nonint_additional": "session\trequired\tpam_unix.so",
    }
    for name in ("account", "auth", "password", "session", "session-noninteractive"):
        template = tree.path(f"usr/share/pam/common-{name}").read_text().splitlines()
        lines = [unix.get(line.strip(), "" if line.startswith("$") else line) for line in template]
        tree.write(f"etc/pam.d/common-{name}", _lines(lines))


def _certificates(tree: Tree) -> None:
    """Make what update-ca-certificates makes: a bundle, and links by subject."""
    folder = tree.path("usr/share/ca-certificates")
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.crt"))
    tree.write("etc/ca-certificates.conf", _lines(names))
    tree.make_directory("etc/ssl/certs")
    tree.make_directory("usr/local/share/ca-certificates")
    tree.write("etc/ssl/certs/ca-certificates.crt", b"".join((folder / name).read_bytes() for name in names))
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            stem = Path(name).name.removesuffix(".crt").translate(str.maketrans(" ,()", "__=="))
            tree.link(f"etc/ssl/certs/{stem}.pem", f"/usr/share/ca-certificates/{name}")
            shutil.copyfile(folder / name, Path(scratch, f"{stem}.pem"))
        # The links lead nowhere outside of the image, so OpenSSL looks at copies.
        tree.run("usr/bin/openssl", "rehash", scratch, variables={"OPENSSL_CONF": "/dev/null"})
        for link in sorted(Path(scratch).iterdir()):
            if link.is_symlink():
                tree.link(f"etc/ssl/certs/{link.name}", os.readlink(link))  # noqa: PTH115


def _glib(tree: Tree) -> None:
    library = "usr/lib/x86_64-linux-gnu"
    if tree.holds("usr/share/glib-2.0/schemas"):
        tree.run(f"{library}/glib-2.0/glib-compile-schemas", tree.path("usr/share/glib-2.0/schemas"))
    if tree.holds(f"{library}/gio/modules"):
        tree.run(f"{library}/glib-2.0/gio-querymodules", tree.path(f"{library}/gio/modules"))


def _pixbuf_loaders(tree: Tree) -> None:
    folder = "usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0"
    loaders = sorted(tree.path(f"{folder}/2.10.0/loaders").glob("*.so"))
    found = tree.run(
        f"{folder}/gdk-pixbuf-query-loaders",
        *loaders,
        variables={"GDK_PIXBUF_MODULEDIR": f"/{folder}/2.10.0/loaders"},
    )
    tree.write(f"{folder}/2.10.0/loaders.cache", found.replace(f"{tree.root}/".encode(), b"/"))


def _mime(tree: Tree) -> None:
    tree.run("usr/bin/update-mime-database", tree.path("usr/share/mime"))


def _python(tree: Tree) -> None:
    tree.make_directory("usr/local/lib/python3.13/dist-packages")


_STEPS: Mapping[str, Callable[[Tree], None]] = {
    "accounts": _accounts,
    "base_files": _base_files,
    "certificates": _certificates,
    "fonts": _fonts,
    "glib": _glib,
    "mime": _mime,
    "name_service": _name_service,
    "networks": _networks,
    "pam": _pam,
    "pixbuf_loaders": _pixbuf_loaders,
    "python": _python,
    "readline": _readline,
    "shells": _shells,
    "ssh_agent": _ssh_agent,
    "time_zone": _time_zone,
}


def _bytecode(tree: Tree) -> None:
    """Compile Python's library, by hashes: the image is read-only, and its times may be anything."""
    library = tree.path("usr/lib/python3.13")
    tree.run(
        # -B: what compileall imports would be written with the builder's paths in it.
        "usr/bin/python3.13", "-B", "-E", "-S", "-m", "compileall",
        "-q", "--invalidation-mode", "unchecked-hash",
        "-s", tree.root, "-p", "/", library,
        variables={"PYTHONHASHSEED": "0"},
    )  # fmt: skip


def _alternatives(tree: Tree, rows: Sequence[Sequence[str]]) -> None:
    for _, link, name, path, priority, *slaves in rows:
        options: list[str] = []
        for number in range(0, len(slaves), 3):
            options += ["--slave", *slaves[number : number + 3]]
        tree.run(
            "usr/bin/update-alternatives", "--quiet", "--root", tree.root, "--log", _ALTERNATIVES_LOG,
            "--install", link, name, path, priority, *options,
        )  # fmt: skip
    # The log has times and the builder's paths in it. Like all paths given here, its own is below the root.
    tree.path(_ALTERNATIVES_LOG.lstrip("/")).unlink(missing_ok=True)


def _libraries(tree: Tree) -> None:
    """Make ld.so.cache, and the links by soname that packages leave to ldconfig."""
    tree.make_directory("var/cache/ldconfig", 0o700)
    # It is linked statically and follows no absolute link out of the root that -r names.
    tree.run_static("usr/sbin/ldconfig", "-r", tree.root)
    for leftover in tree.path("var/cache/ldconfig").iterdir():
        leftover.unlink()


def _sources(example: bytes) -> str:
    """Give apt's own example of Debian's sources, without its remarks, and with `main` alone."""
    lines = [line for line in example.decode().splitlines() if not line.startswith("##")]
    return _lines(re.sub(r"^Components: .*", "Components: main", line) for line in lines)


_DPKG_EXCLUDES = """\
# What this image leaves out, left out of what is installed on top of it as well.
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
"""


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _read_table(path: Path) -> list[list[str]]:
    return [words for line in path.read_text().splitlines() if (words := line.partition("#")[0].split())]
