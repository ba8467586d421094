"""Makes the virtual environment of an editor: `./bazelw run //tools/workspace:venv` writes `.venv`.

It holds the wheels of the Python lock, and has the source tree on its path. Editors use it to complete and
check; `.venv/bin/pytest FILE` runs tests without Bazel.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import click
import pip

from gens.command import MonobaseCommand
from gens.errors import MonobaseError

# The Python of the lock: another one may need other wheels.
_VERSION = "3.11"
_NAME = f"python{_VERSION}"
# In the toolbox these folders are the toolbox's: a link to its interpreter would dangle outside.
_SYSTEM = (Path("/usr"), Path("/bin"))
_LOCATE = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys._base_executable)"


class VenvError(MonobaseError):
    """The virtual environment cannot be made."""

    exit_code = 11


@click.command(cls=MonobaseCommand)
@click.option(
    "--python", type=click.Path(path_type=Path), help=f"The interpreter.  [default: {_NAME} on the PATH]"
)
@click.option("--requirements", type=click.Path(path_type=Path), required=True, help="The Python lock.")
def main(*, python: Path | None, requirements: Path) -> None:
    """Make .venv in the source tree, for an editor; an existing one is replaced."""
    root = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", Path.cwd()))
    interpreter = find_interpreter(os.environ) if python is None else locate(python)
    make_venv(root / ".venv", interpreter, requirements.absolute(), root)
    click.echo(f"{root / '.venv'}: {interpreter} with the wheels of {requirements}")


def find_interpreter(variables: Mapping[str, str]) -> Path:
    """Return an interpreter of the caller's machine.

    Args:
        variables: Environment variables, with `PATH`; `MONOBASE_IN_TOOLBOX` is set in the toolbox.

    Returns:
        Its executable; shims of version managers are resolved.

    Raises:
        VenvError: No interpreter was found.
    """
    for folder in variables.get("PATH", "").split(os.pathsep):
        program = shutil.which(_NAME, path=folder) if folder else None
        if program is None:
            continue
        try:
            found = locate(Path(program))
        except VenvError:
            continue
        if "MONOBASE_IN_TOOLBOX" not in variables or not any(map(found.resolve().is_relative_to, _SYSTEM)):
            return found
    raise VenvError(
        f"no {_NAME} on the PATH that an editor can use; install one, or name one with `-- --python PATH`"
    )


def locate(program: Path) -> Path:
    """Return the interpreter behind a program.

    Args:
        program: An interpreter, a link to one, or a shim that starts one.

    Raises:
        VenvError: It does not start, or has another version.
    """
    try:
        done = subprocess.run([program, "-I", "-c", _LOCATE], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise VenvError(f"{program}: does not start: {error}") from error
    version, executable = done.stdout.splitlines()
    if version != _VERSION:
        raise VenvError(f"{program}: is Python {version}, and the lock is for {_VERSION}")
    return Path(executable)


def make_venv(venv: Path, interpreter: Path, requirements: Path, root: Path) -> None:
    """Make a virtual environment with the wheels of a lock.

    Args:
        venv: Its folder; an existing virtual environment is removed.
        interpreter: Its interpreter.
        requirements: The lock.
        root: The source tree, which becomes importable in it.

    Raises:
        VenvError: The folder holds something else, or a command failed.
    """
    if venv.exists() and not (venv / "pyvenv.cfg").exists():
        raise VenvError(f"{venv}: is not a virtual environment; remove it")
    # Bazel has set PYTHONPATH and others for this program, not for the commands below.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    _run([str(interpreter), "-m", "venv", "--clear", "--without-pip", str(venv)], variables)
    # pip finds itself on its path, but must be installed into the environment all the same.
    _run(
        [
            *(str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--ignore-installed", "--no-deps", "--only-binary", ":all:", "--require-hashes"),
            *("--requirement", str(requirements)),
        ],
        variables | {"PYTHONPATH": str(Path(pip.__file__).parent.parent)},
    )
    (venv / "lib" / _NAME / "site-packages" / "monobase.pth").write_text(f"{root}\n")


def _run(command: list[str], variables: Mapping[str, str]) -> None:
    code = subprocess.run(command, env=variables, check=False).returncode
    if code != 0:
        raise VenvError(f"`{' '.join(command)}` ended with {code}; see above")


if __name__ == "__main__":
    main()
