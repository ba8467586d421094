"""A small image in the form of Monobase's, for tests: layers of packages, wheels and the application."""

import tarfile
from collections.abc import Mapping
from pathlib import Path

from image.oci.config import ANNOTATION_PREFIX
from image.oci.layer import write_layer
from image.oci.layout import Layout, to_json_bytes, write_layout

CREATED = "2026-11-22T02:09:05Z"
LIBC = """\
Package: libc6
Status: install ok installed
Source: glibc
Version: 2.41-12+deb13u5
Architecture: amd64
Maintainer: GNU Libc Maintainers <glibc@example.org>
Homepage: https://example.org/libc
Depends: libgcc-s1
Description: GNU C Library: Shared libraries
 Contains the standard libraries.
"""
BSDUTILS = """\
Package: bsdutils
Status: install ok installed
Source: util-linux (2.41.5-0+deb13u1)
Version: 1:2.41.5-0+deb13u1
Architecture: amd64
Pre-Depends: libc6 (>= 2.38)
Depends: default-mta | mail-transport-agent, bsdutils
Provides: mail-reader (= 1)
Description: basic utilities
"""
GPLUSPLUS = """\
Package: g++
Status: install ok installed
Version: 4:14.2.0-1
Architecture: all
Pre-Depends: nowhere | mail-reader
Description: GNU C++ compiler
"""
REMOVED = """\
Package: gone
Status: deinstall ok config-files
Version: 1
Architecture: all
Description: no longer there
"""
DEP5 = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: somebody
License: GPL-2+ or Artistic, and Expat
 The text.
"""
METADATA = """\
Metadata-Version: 2.4
Name: Sample_Wheel
Version: 1.0
Summary: A sample
License-Expression: MIT OR Apache-2.0
Requires-Dist: other; python_version < "3"
Requires-Dist: needed-wheel>=1
"""
NEEDED = "Metadata-Version: 2.1\nName: needed-wheel\nVersion: 2.0\nLicense: MIT\n"
LIBRARY = "usr/local/lib/python3.13/dist-packages"
DAEMON = "opt/monobase/daemon/main.py"


def status(*stanzas: str) -> bytes:
    """Return dpkg's status file for some packages."""
    return "\n".join(stanzas).encode()


def sample_layers() -> list[dict[str, bytes | str]]:
    """Return the layers: the content or the target of a symbolic link, by path."""
    return [
        {
            "etc/os-release": "../usr/lib/os-release",
            "usr/lib/os-release": b'ID=debian\nVERSION_ID="13"\n',
            "usr/share/doc/bsdutils/copyright": DEP5.encode(),
            "usr/share/doc/libc6/copyright": b"See /usr/share/common-licenses/LGPL-2.1.\n",
            "var/lib/dpkg/status": status(LIBC, BSDUTILS, REMOVED),
        },
        {
            "usr/share/doc/g++": "libc6",
            "var/lib/dpkg/status": status(LIBC, BSDUTILS, GPLUSPLUS, REMOVED),
        },
        {
            f"{LIBRARY}/sample_wheel-1.0.dist-info/METADATA": METADATA.encode(),
            f"{LIBRARY}/needed_wheel-2.0.dist-info/METADATA": NEEDED.encode(),
        },
        {
            "opt/monobase/gens/g00000.json": b"{}",
            "opt/monobase/gens/g00000/python3.11.txt": b"# a lock\n",
        },
        {DAEMON: b"print()\n", "opt/monobase/gens/catalog.py": b"\n"},
    ]


def write_image(directory: Path, layers: list[dict[str, bytes | str]]) -> Layout:
    """Write an image.

    Args:
        directory: The folder to make.
        layers: Layers in the form of `sample_layers`.

    Returns:
        Its layout.
    """
    directory.mkdir()
    written = []
    for number, files in enumerate(layers):
        path = directory / f"{number}.tar.gz"
        written.append((write_layer(path, _members(files), "a sample"), path))
    labels = {f"{ANNOTATION_PREFIX}.title": "sample", f"{ANNOTATION_PREFIX}.licenses": "Apache-2.0"}
    config = {"architecture": "arm64", "created": CREATED, "config": {"Labels": labels}}
    return write_layout(
        directory / "layout", to_json_bytes(config), [(layer.blob, path) for layer, path in written], {}
    )


def _members(files: Mapping[str, bytes | str]) -> list[tuple[tarfile.TarInfo, bytes | None]]:
    members: list[tuple[tarfile.TarInfo, bytes | None]] = []
    for path, content in files.items():
        member = tarfile.TarInfo(path)
        if isinstance(content, str):
            member.type, member.linkname = tarfile.SYMTYPE, content
            members.append((member, None))
        else:
            member.size = len(content)
            members.append((member, content))
    return members
