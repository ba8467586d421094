"""Runs the daemon's installer for one environment, from local files alone."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gens.generation import generation_directory_name
from image.errors import ImageError
from image.model.baked_environment import BakedEnvironment
from image.model.package_layers import gather_wheels
from layers.install import DEFAULT_PREFIX

# Settings of this machine's user, and of the program that calls the installer.
_FOREIGN = ("UV_", "MONOBASE_", "PYTHON", "RUNFILES_")
_ARCHIVES = (".tar.gz", ".tar.zst")


@dataclass(frozen=True, slots=True)
class Sources:
    """The files that an environment is installed from.

    Attributes:
        installer: The program of `//daemon`, a script for this Python.
        wheels: The wheels of the environment and its toolkits; others may be among them.
        interpreter: The archive of its interpreter, below a folder of the release if uv's own list has it;
            and, for an archive of another origin, a list as `UV_PYTHON_DOWNLOADS_JSON_URL` names one.
        gens: Folder of definitions and locks; None for those of the installer.
    """

    installer: Path
    wheels: Sequence[Path]
    interpreter: Sequence[Path]
    gens: Path | None = None


def install_prefix(baked: BakedEnvironment, sources: Sources, scratch: Path) -> Path:
    """Install an environment and its toolkits.

    Args:
        baked: The environment.
        sources: What it is installed from.
        scratch: An empty folder.

    Returns:
        The prefix, which refers to itself as `DEFAULT_PREFIX`.

    Raises:
        ImageError: The installer failed; the message has its own.
    """
    prefix = (scratch / "prefix").absolute()
    number = str(baked.generation)
    command: list[str | Path] = [
        sys.executable, sources.installer.absolute(), "install", "--prefix", prefix,
        "--min-gen-id", number, "--max-gen-id", number,
    ]  # fmt: skip
    for name in (baked.environment, *(toolkit.name for toolkit in baked.toolkits)):
        command += ["--only", name]
    if sources.gens is not None:
        command += ["--gens", sources.gens.absolute()]
    done = subprocess.run(
        command, env=_variables(sources, scratch), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        errors="replace", check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise ImageError(
            f"{baked.environment}: cannot be installed: the installer ended with exit code {done.returncode}:"
            f" {done.stderr.strip()}"
        )
    _refuse_system_interpreter(baked, prefix)
    _move(baked, prefix)
    return prefix


def _variables(sources: Sources, scratch: Path) -> dict[str, str]:
    """Return variables by which uv uses the given files alone."""
    home = (scratch / "home").absolute()
    (home / ".config" / "uv").mkdir(parents=True)
    wheels = gather_wheels(sources.wheels, home)
    # An index of this form is a folder. With it as the default one, uv asks no other.
    (home / ".config" / "uv" / "uv.toml").write_text(
        f'[[index]]\nurl = {json.dumps(wheels.as_uri())}\nformat = "flat"\ndefault = true\n'
    )
    found = {
        **{name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)},
        "HOME": str(home),
        "PATH": "",  # none of this machine's Pythons is used
        "TMPDIR": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CONFIG_DIRS": str(home),
    }
    return found | _interpreter_variables(sources.interpreter, home)


def _interpreter_variables(files: Sequence[Path], home: Path) -> dict[str, str]:
    archives = {path.name: path.absolute() for path in files if path.name.endswith(_ARCHIVES)}
    lists = [path for path in files if path.suffix == ".json"]
    if not archives or len(lists) > 1:
        raise ImageError(
            f"python of the image: has {len(archives)} archives and {len(lists)} lists of downloads; give an"
            " archive of python-build-standalone, and at most one list"
        )
    if not lists:
        # uv compares the archive with the digest that it knows itself.
        mirror = next(iter(archives.values())).resolve().parent.parent
        return {"UV_PYTHON_INSTALL_MIRROR": mirror.as_uri()}
    entries = json.loads(lists[0].read_bytes())
    for entry in entries.values():
        name = str(entry["url"]).rpartition("/")[2]
        entry["url"] = archives[name].as_uri() if name in archives else entry["url"]
    path = home / "downloads.json"
    path.write_text(json.dumps(entries))
    return {"UV_PYTHON_DOWNLOADS_JSON_URL": path.as_uri()}


def _environment(baked: BakedEnvironment, prefix: Path) -> Path:
    return prefix / "monobase" / generation_directory_name(baked.generation) / baked.environment


def _refuse_system_interpreter(baked: BakedEnvironment, prefix: Path) -> None:
    python = (_environment(baked, prefix) / "bin" / "python").resolve()
    if not python.is_relative_to((prefix / "uv" / "python").resolve()):
        raise ImageError(
            f"{baked.environment}: Python {baked.python} was not installed from the given archive: {python}"
            " is used; give the archive of this version"
        )


def _move(baked: BakedEnvironment, prefix: Path) -> None:
    """Name the final prefix where the installed environment names this one: links in it are relative."""
    configuration = _environment(baked, prefix) / "pyvenv.cfg"
    text = configuration.read_text(encoding="utf-8")
    configuration.unlink()  # the file has another link in the store of contents
    configuration.write_text(text.replace(str(prefix), str(DEFAULT_PREFIX)), encoding="utf-8")
    configuration.chmod(0o644)
