"""Configures unpacked packages like Debian's maintainer scripts, without running these.

`scripts.txt` lists each package with a preinst or postinst, and the steps that replace it. A package that is
not listed is refused: nobody has read its script yet. README.md lists the differences from a system that dpkg
configured.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from image.debian.rootfs.bytecode import compile_sources
from image.debian.rootfs.library_cache import write_library_cache
from image.debian.rootfs.package import Package
from image.debian.rootfs.programs import Programs
from image.debian.rootfs.tree import LEFT_OUT, Tree, image_path
from image.errors import ImageError

# Groups that packages create at installation, with fixed numbers: dpkg's depend on the order.
_GROUPS = {"_ssh": 101, "rdma": 102}
# The default user of a model.
_MODEL = "model:x:1000:1000::/home/model:/bin/bash"
_SHADOW_GROUP = 42
_MAIL_GROUP = 8
_UTMP_GROUP = 43
_ALTERNATIVES_LOG = "/var/log/alternatives.log"
# Words of scripts.txt not in _STEPS: `configure` does these for all packages at once, or ignores them.
_ELSEWHERE = frozenset({"alternatives", "apt_sources", "bytecode", "libraries", "nothing"})
# The postinst of these packages calls update-alternatives for nothing else.
_ONLY_MANUAL_PAGES = frozenset({"bash"})
_INSTALL = re.compile(rb"update-alternatives[^#]*--install")


def configure(tree: Tree, packages: Sequence[Package], tables: Path, programs: Programs) -> None:
    """Configure all packages of a tree.

    Args:
        tree: The tree, with the packages unpacked.
        packages: All of them.
        tables: Folder of scripts.txt and alternatives.txt.
        programs: The builder's programs, which run in place of those of the tree.

    Raises:
        ImageError: A package has a script that scripts.txt does not list, or a program failed.
    """
    names = {package.name for package in packages}
    for step in sorted(find_steps(packages, tables)):
        _STEPS[step](tree, programs)
    for package in packages:
        if package.name == "apt":
            example = package.read("usr/share/doc/apt/examples/debian.sources")
            tree.write("etc/apt/sources.list.d/debian.sources", _sources(example))
    rows = _read_table(tables / "alternatives.txt", triplet=tree.architecture.triplet)
    _alternatives(tree, programs, [words for words in rows if words[0] in names])
    tree.write("etc/dpkg/dpkg.cfg.d/10-monobase", _DPKG_EXCLUDES)
    if "python3.13" in names:
        _bytecode(tree, programs)
    _libraries(tree, packages)


def find_steps(packages: Sequence[Package], tables: Path) -> set[str]:
    """Return the names of the steps that replace the packages' scripts.

    Args:
        packages: The packages.
        tables: Folder of scripts.txt and alternatives.txt.

    Raises:
        ImageError: A package has a script that the tables do not list.
    """
    replaced = {words[0]: words[1:] for words in _read_table(tables / "scripts.txt")}
    known_alternatives = {words[0] for words in _read_table(tables / "alternatives.txt")}
    steps: set[str] = set()
    for package in packages:
        if not package.scripts:
            continue
        if package.name not in replaced:
            raise ImageError(
                f"{tables / 'scripts.txt'}: does not list {package.name}, "
                f"whose {' and '.join(package.scripts)} is not run; "
                "read the script, and add a line with the steps that replace it"
            )
        words = set(replaced[package.name])
        unknown = words - _STEPS.keys() - _ELSEWHERE
        if unknown or not words:
            raise ImageError(
                f"{tables / 'scripts.txt'}: says {' '.join(sorted(unknown)) or 'nothing at all'} "
                f"of {package.name}, which is none of {', '.join(sorted(_STEPS.keys() | _ELSEWHERE))}"
            )
        _, postinst = package.control_files.get("postinst", (0, b""))
        has_alternatives = _INSTALL.search(postinst) is not None and package.name not in _ONLY_MANUAL_PAGES
        if has_alternatives and ("alternatives" not in words or package.name not in known_alternatives):
            raise ImageError(
                f"{tables / 'alternatives.txt'}: lacks {package.name}, whose postinst calls "
                "update-alternatives; add its lines, and `alternatives` in scripts.txt"
            )
        steps |= words - _ELSEWHERE
    return steps


def _base_files(tree: Tree, _programs: Programs) -> None:
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
    for name in (
        "",
        "/bin",
        "/etc",
        "/games",
        "/include",
        "/lib",
        "/libexec",
        "/sbin",
        "/share",
        "/share/man",
        "/src",
    ):
        tree.make_directory(f"usr/local{name}")
    tree.link("usr/local/man", "share/man")
    tree.link("etc/dpkg/origins/default", "debian")
    for name, mode in (("wtmp", 0o664), ("btmp", 0o660), ("lastlog", 0o664)):
        tree.write(f"var/log/{name}", "", mode, _UTMP_GROUP)


def _accounts(tree: Tree, _programs: Programs) -> None:
    users = tree.path("usr/share/base-passwd/passwd.master").read_text().splitlines()
    groups = tree.path("usr/share/base-passwd/group.master").read_text().splitlines()
    groups += [f"{name}:*:{gid}:" for name, gid in _GROUPS.items()]
    users.append(_MODEL)
    groups.append("model:x:1000:")
    tree.make_directory("home/model", 0o755, 1000, 1000)
    passwords = [line.split(":")[0] for line in users]
    tree.write("etc/passwd", _lines(line.replace(":*:", ":x:", 1) for line in users))
    tree.write("etc/group", _lines(line.replace(":*:", ":x:", 1) for line in groups))
    # Without password and expiry: nobody logs in to a container.
    tree.write("etc/shadow", _lines(f"{name}:*:::::::" for name in passwords), 0o640, _SHADOW_GROUP)
    tree.write("etc/gshadow", _lines(f"{line.split(':')[0]}:*::" for line in groups), 0o640, _SHADOW_GROUP)
    # useradd assigns ranges of subordinate IDs if these files exist.
    tree.write("etc/subuid", "")
    tree.write("etc/subgid", "")


def _ssh_agent(tree: Tree, _programs: Programs) -> None:
    tree.chown("usr/bin/ssh-agent", 0o2755, _GROUPS["_ssh"])


def _shells(tree: Tree, _programs: Programs) -> None:
    """Write the files of update-shells: the list of shells, and its record of the packages' shells."""
    header = tree.path("usr/share/debianutils/shells").read_text()
    folder = tree.path("usr/share/debianutils/shells.d")
    texts = [header, *(path.read_text() for path in sorted(folder.iterdir()))]
    found = [line.partition("#")[0] for text in texts for line in text.splitlines()]
    # The path in the package first, then the path since /bin is a link.
    shells = list(
        dict.fromkeys(name for line in found if line for name in (line, f"/{image_path(line[1:])}"))
    )
    tree.write("etc/shells", header + _lines(shell for shell in shells if shell not in header.splitlines()))
    tree.write("var/lib/shells.state", _lines(shells))


def _name_service(tree: Tree, _programs: Programs) -> None:
    tree.copy("usr/share/libc-bin/nsswitch.conf", "etc/nsswitch.conf")


def _networks(tree: Tree, _programs: Programs) -> None:
    hosts = ("127.0.0.1\tlocalhost", "::1\t\tlocalhost ip6-localhost ip6-loopback")
    tree.write("etc/hosts", _lines((*hosts, "ff02::1\t\tip6-allnodes", "ff02::2\t\tip6-allrouters", "")))
    networks = ("default\t\t0.0.0.0", "loopback\t127.0.0.0", "link-local\t169.254.0.0", "")
    tree.write("etc/networks", _lines(networks))


def _readline(tree: Tree, _programs: Programs) -> None:
    tree.copy("usr/share/readline/inputrc", "etc/inputrc")


def _time_zone(tree: Tree, _programs: Programs) -> None:
    tree.link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")


def _fonts(tree: Tree, _programs: Programs) -> None:
    for name in ("10-hinting-slight.conf", "70-no-bitmaps-except-emoji.conf"):
        if not tree.holds(f"etc/fonts/conf.d/{name}"):
            tree.link(f"etc/fonts/conf.d/{name}", f"/usr/share/fontconfig/conf.avail/{name}")
    tree.make_directory("usr/local/share/fonts")


def _pam(tree: Tree, _programs: Programs) -> None:
    """Write the files that pam-auth-update makes of libpam-runtime's templates and its profile `unix`.

    They are the same to the byte, with its records: otherwise pam-auth-update treats the files as edited by a
    person, and does not add the profiles of packages that are installed later.
    """
    unix = {
        "account": "[success=end new_authtok_reqd=done default=ignore]\tpam_unix.so",
        "auth": "[success=end default=ignore]\tpam_unix.so nullok",
        "password": "[success=end default=ignore]\tpam_unix.so obscure yescrypt",
        "session": "required\tpam_unix.so",
        "session-noninteractive": "required\tpam_unix.so",
    }
    none = "[default=1]\t\t\tpam_permit.so"
    for name, rule in unix.items():
        kind, is_session = name.partition("-")[0], name.startswith("session")
        # pam-auth-update writes a blank after a rule without arguments; `end` is the line after the denial.
        line = f"{kind}\t{rule.replace('=end', '=1')}{' ' if rule.endswith('.so') else ''}"
        primary, additional = (f"{kind}\t{none}", line) if is_session else (line, None)
        written: list[str] = []
        for template in tree.path(f"usr/share/pam/common-{name}").read_text().splitlines():
            filled = {"_primary": primary, "_additional": additional}
            place = next((end for end in filled if template.startswith("$") and template.endswith(end)), None)
            rest = template if place is None else filled[place]
            written += [] if rest is None else [rest]
        tree.write(f"etc/pam.d/common-{name}", _lines(written))
        modules = ("Module: null", none, "Module: unix", rule) if is_session else ("Module: unix", rule)
        tree.write(f"var/lib/pam/{name}", _lines(modules))
    profiles = sorted(path.name for path in tree.path("usr/share/pam-configs").iterdir())
    tree.write("var/lib/pam/seen", _lines(sorted(profiles, key=lambda name: name != "unix")))
    tree.write("etc/security/opasswd", "", 0o600)
    tree.write("etc/environment", "")


def _certificates(tree: Tree, programs: Programs) -> None:
    """Write the files of update-ca-certificates: a bundle, and links by subject."""
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
        # The links are valid only inside the image, so OpenSSL reads copies.
        programs.run("usr/bin/openssl", "rehash", scratch, variables={"OPENSSL_CONF": "/dev/null"})
        for link in sorted(Path(scratch).iterdir()):
            if link.is_symlink():
                tree.link(f"etc/ssl/certs/{link.name}", os.readlink(link))  # noqa: PTH115


def _glib(tree: Tree, programs: Programs) -> None:
    compilers = f"{programs.libraries}/glib-2.0"
    if tree.holds("usr/share/glib-2.0/schemas"):
        programs.run(f"{compilers}/glib-compile-schemas", tree.path("usr/share/glib-2.0/schemas"))
    modules = tree.path(f"usr/lib/{tree.architecture.triplet}/gio/modules")
    # gio-querymodules would load them, which the builder cannot for another architecture.
    if modules.is_dir() and (found := sorted(path.name for path in modules.glob("*.so"))):
        raise ImageError(
            f"{modules}: holds {', '.join(found)}, and nothing makes its list of modules; "
            "write giomodule.cache in configuration.py"
        )


def _pixbuf_loaders(tree: Tree, programs: Programs) -> None:
    """Write what gdk-pixbuf-query-loaders says of the same loaders for the builder's architecture."""
    folder = "gdk-pixbuf-2.0"
    ours, theirs = f"usr/lib/{tree.architecture.triplet}/{folder}", f"{programs.libraries}/{folder}"
    loaders = sorted(programs.path(f"{theirs}/2.10.0/loaders").glob("*.so"))
    names = {path.name for path in loaders}
    if different := names ^ {path.name for path in tree.path(f"{ours}/2.10.0/loaders").glob("*.so")}:
        raise ImageError(
            f"/{ours}/2.10.0/loaders: {', '.join(sorted(different))} is there for one "
            f"of {tree.architecture.name} (the image) and {programs.architecture.name} (the builder); "
            "renew the locks"
        )
    found = programs.run(
        f"{theirs}/gdk-pixbuf-query-loaders",
        *loaders,
        variables={"GDK_PIXBUF_MODULEDIR": f"/{theirs}/2.10.0/loaders"},
    )
    # It escapes characters of the builder's folder: the whole folder is replaced, whatever it is.
    text = re.sub(r'(?m)^".*/([^/]+\.so)"', rf'"/{ours}/2.10.0/loaders/\1"', found.decode())
    tree.write(f"{ours}/2.10.0/loaders.cache", text.replace(theirs, ours))


def _mime(tree: Tree, programs: Programs) -> None:
    # Without its fsync of every file, which takes seconds: after a crash Bazel repeats the action.
    variables = {"PKGSYSTEM_ENABLE_FSYNC": "0"}
    programs.run("usr/bin/update-mime-database", tree.path("usr/share/mime"), variables=variables)


def _python(tree: Tree, _programs: Programs) -> None:
    tree.make_directory("usr/local/lib/python3.13/dist-packages")


_STEPS: Mapping[str, Callable[[Tree, Programs], None]] = {
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


def _bytecode(tree: Tree, programs: Programs) -> None:
    # The exception is a link to /etc/python3.13, which would lead to the builder's.
    compile_sources(programs, tree.path("usr/lib/python3.13"), tree.root, "-x", r"/sitecustomize\.py$")


def _alternatives(tree: Tree, programs: Programs, rows: Sequence[Sequence[str]]) -> None:
    for _, link, name, path, priority, *slaves in rows:
        options: list[str] = []
        for number in range(0, len(slaves), 3):
            options += ["--slave", *slaves[number : number + 3]]
        programs.run(
            "usr/bin/update-alternatives", "--quiet", "--root", tree.root, "--log", _ALTERNATIVES_LOG,
            "--install", link, name, path, priority, *options,
        )  # fmt: skip
    # The log contains times and the builder's paths. Its path is relative to the root, like all paths here.
    tree.path(_ALTERNATIVES_LOG.lstrip("/")).unlink(missing_ok=True)


def _libraries(tree: Tree, packages: Sequence[Package]) -> None:
    """Write ld.so.cache, and the links by soname that packages leave to ldconfig."""
    tree.make_directory("var/cache/ldconfig", 0o700)
    for package in packages:
        if package.name == "libc-bin":
            release = package.version.partition("-")[0]
            maker = f"ldconfig (Debian GLIBC {package.version}) stable release version {release}"
            write_library_cache(tree, maker)


def _sources(example: bytes) -> str:
    """Return apt's example of Debian's sources, without comments and with `main` only."""
    lines = [line for line in example.decode().splitlines() if not line.startswith("##")]
    return _lines(re.sub(r"^Components: .*", "Components: main", line) for line in lines)


_DPKG_EXCLUDES = f"""\
# What this image leaves out, left out of what is installed on top of it as well.
{"".join(f"path-exclude=/usr/share/{name}/*{chr(10)}" for name in (*LEFT_OUT, "doc"))}\
path-include=/usr/share/doc/*/copyright
"""


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _read_table(path: Path, triplet: str = "") -> list[list[str]]:
    lines = path.read_text().replace("{triplet}", triplet).splitlines()
    return [words for line in lines if (words := line.partition("#")[0].split())]
