"""Install one distribution into a folder, for wheels.bzl: runs before any other package is there.

Usage: install_wheel.py REQUIREMENTS FOLDER
"""

import compileall
import importlib.util
import runpy
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

# Where Debian has the wheel of pip (package python3-pip-whl); other Pythons have one in `ensurepip`.
_DEBIAN_WHEELS = Path("/usr/share/python-wheels")


class NoPipError(Exception):
    """The interpreter has no pip, and there is no wheel of one."""


def find_pip(debian_wheels: Path = _DEBIAN_WHEELS) -> Path | None:
    """Return the wheel of pip to put on the path; None where pip is on it.

    Args:
        debian_wheels: The folder where Debian has wheels.

    Raises:
        NoPipError: There is none.
    """
    if importlib.util.find_spec("pip"):
        return None
    ensurepip = importlib.util.find_spec("ensurepip")
    bundled = Path(ensurepip.origin).parent / "_bundled" if ensurepip and ensurepip.origin else debian_wheels
    wheels = sorted(path for folder in (bundled, debian_wheels) for path in folder.glob("pip-*.whl"))
    if not wheels:
        raise NoPipError(
            f"{sys.executable} has no pip; install Debian's python3-pip-whl, "
            "or name another Python 3.11 in MONOBASE_PYTHON"
        )
    return wheels[-1]


def remove_scripts(folder: Path) -> None:
    """Remove what names this machine: scripts of entry points, and RECORD, which has their digests."""
    for path in sorted((folder / "bin").glob("*")):
        if path.is_file() and path.read_bytes()[:2] == b"#!":
            path.unlink()
    for path in folder.glob("*.dist-info/RECORD"):
        path.unlink()


def compile_modules(folder: Path) -> None:
    """Compile all modules: a sandbox keeps no bytecode, so that each test would compile what it imports.

    By hash, unchecked, and without the place of the folder: the bytes are the same in any repository.
    """
    compileall.compile_dir(
        folder,
        quiet=2,  # a template of a module is no module, and nobody imports it
        force=True,
        stripdir=folder,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


def main(requirements: str, folder: str) -> None:
    """Install what the file `requirements` pins into `folder`, as pip's configuration and the hashes say."""
    try:
        wheel = find_pip()
    except NoPipError as error:
        sys.exit(str(error))
    if wheel:
        sys.path.insert(0, str(wheel))
    sys.argv = ["pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--require-hashes"]
    sys.argv += [
        "--only-binary",
        ":all:",
        "--no-compile",
        "--no-warn-script-location",
        "--root-user-action",
        "ignore",
    ]
    sys.argv += ["--target", folder, "--requirement", requirements]
    try:
        runpy.run_module("pip", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code:
            raise
    remove_scripts(Path(folder))
    compile_modules(Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
