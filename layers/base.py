"""Provides the base of a layer on this machine: the environment and its CUDA toolkit, to compile against.

The daemon's command `monobase` installs them if the prefix lacks them; a mounted prefix that has them is used
as it is.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from gens.catalog import Catalog
from gens.generation import Environment, Generation
from gens.lock import LockedWheel
from layers.errors import LayerBaseError
from layers.lock import LayerLock, content_digest, lock_digest

_INSTALLER = "monobase"


@dataclass(frozen=True, slots=True)
class Base:
    """The base of a layer.

    Attributes:
        environment: The environment.
        generation: Its generation.
        prefix: The prefix that it is in, or will be.
        toolkit: Name of its CUDA toolkit, such as `cuda13.0`; None if it has no CUDA, or the generation no
            toolkit of it.
        wheels: Its wheels.
    """

    environment: Environment
    generation: Generation
    prefix: Path
    toolkit: str | None
    wheels: tuple[LockedWheel, ...]

    @property
    def folder(self) -> Path:
        """The folder of the generation."""
        return self.prefix / "monobase" / self.generation.directory_name

    @property
    def python(self) -> Path:
        """The interpreter of the environment."""
        return self.folder / self.environment.name / "bin" / "python"

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the environment and the toolkit."""
        return (self.environment.name, *(() if self.toolkit is None else (self.toolkit,)))

    @property
    def missing(self) -> tuple[str, ...]:
        """Targets that the prefix lacks."""
        # A name appears when what it names is complete.
        return tuple(name for name in self.targets if not (self.folder / name).exists())

    def variables(self) -> dict[str, str]:
        """Return the variables by which `runtime/activate.sh` activates it."""
        environment = self.environment
        found = {
            "MONOBASE_PREFIX": str(self.prefix), "MONOBASE_GEN_ID": str(self.generation.id),
            "PYTHON_VERSION": environment.python, "TORCH_VERSION": "", "CUDA_VERSION": "",
            "CUDNN_VERSION": "", "MONOBASE_STACK": "",
        }  # fmt: skip
        if environment.stack is not None:
            version = environment.stack_version
            found["MONOBASE_STACK"] = f"{environment.stack}=={version}" if version else environment.stack
        elif environment.torch is not None:
            found["TORCH_VERSION"] = f"{environment.torch}+{environment.build}"
        if self.toolkit is not None:
            found["CUDA_VERSION"] = self.toolkit.removeprefix("cuda")
        return found


def find_base(lock: LayerLock, catalog: Catalog, prefix: Path) -> Base:
    """Find the base of a layer among the known generations.

    Args:
        lock: The lock of the layer.
        catalog: The generations.
        prefix: The prefix that the base is in, or will be.

    Returns:
        The base.

    Raises:
        LayerBaseError: The generation has no such environment, or one with other wheels.
        DefinitionError: There is no such generation.
        LockError: The lock of the base cannot be read.
    """
    generation = catalog.for_machine(lock.machine).generation(lock.generation_id)
    found = next((it for it in generation.environments if it.name == lock.environment), None)
    if found is None:
        raise LayerBaseError(
            f"{lock.generation} of this Monobase has no {lock.environment} for {lock.machine}; lock again, "
            "for an environment that `monobase-layer` knows"
        )
    base_lock = catalog.lock(generation, found)
    digest = lock_digest(catalog.lock_path(generation, found).read_text(encoding="utf-8"))
    if digest != lock.base and content_digest(base_lock.wheels) != lock.content:
        raise LayerBaseError(
            f"{lock.generation}/{lock.environment}: the layer was locked against {lock.base}, this Monobase "
            f"has {digest}; lock again, or use the builder image of the release that it was locked with"
        )
    toolkits = {it.name for it in generation.toolkits}
    toolkit = f"cuda{found.cuda}"
    return Base(found, generation, prefix, toolkit if toolkit in toolkits else None, base_lock.wheels)


def provide_base(base: Base, gens: Path | None = None) -> None:
    """Install what the prefix lacks of a base, with the daemon's command.

    Args:
        base: The base.
        gens: Folder of definitions and locks; None for those of the installer.

    Raises:
        LayerBaseError: There is no installer here, or it failed; it has printed why.
    """
    missing = base.missing
    if not missing:
        return
    installer = shutil.which(_INSTALLER)
    if installer is None:
        raise LayerBaseError(
            f"{base.prefix}: lacks {' and '.join(missing)}, and there is no `{_INSTALLER}` here to install "
            "it; do this in the builder image, or mount a prefix that has it"
        )
    number = str(base.generation.id)
    command = [
        installer,
        "install",
        "--prefix",
        str(base.prefix),
        "--min-gen-id",
        number,
        "--max-gen-id",
        number,
    ]
    command += [word for name in base.targets for word in ("--only", name)]
    command += [] if gens is None else ["--gens", str(gens)]
    # Other settings of the installer are variables: MONOBASE_INDEX_URL, MONOBASE_JOBS…
    code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode
    if code != 0 or base.missing:
        raise LayerBaseError(
            f"{base.prefix}: {' and '.join(base.missing or missing)} cannot be installed: `monobase install` "
            f"ended with exit code {code}; it says above what to do"
        )
