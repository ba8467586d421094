"""Builds wheels against the base of a layer: what compiles against Torch cannot be built in isolation."""

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from gens.lock import LockedWheel
from layers.base import Base
from layers.errors import LayerBaseError, LayerBuildError
from layers.lock import Built, LayerLock, Override

ACTIVATION = Path("/opt/monobase/exec")
_ARCHITECTURES = "import torch; print(torch._C._cuda_getArchFlags() or '')"
_ARCHITECTURE = re.compile(r"(sm|compute)_([0-9]+)([0-9][af]?)")
# A wheel file's name in the URL of an archive or of a Git repository may hold a token.
_PASSWORD = re.compile(r"(\w://)[^/@\s]+@")


@dataclass(frozen=True, slots=True)
class BuiltWheel:
    """A wheel that was built.

    Attributes:
        path: The file.
        locked: The wheel as a lock names it.
        source: What it was built from.
        needs: Its requirements that apply in the base, without those of extras.
    """

    path: Path
    locked: LockedWheel
    source: str
    needs: tuple[Requirement, ...]


def build_wheels(
    base: Base, layer: Path, sources: Sequence[str], to: Path, activation: Path = ACTIVATION
) -> list[BuiltWheel]:
    """Build a wheel of each source, with the packages of the base and of the layer, and the CUDA toolkit.

    Args:
        base: The base, installed.
        layer: The layer on it.
        sources: As pip takes them: folders, source distributions, Git URLs, `NAME==VERSION` on an index.
        to: An empty folder for the wheels.
        activation: The runtime's `exec`.

    Returns:
        The wheels.

    Raises:
        LayerBaseError: There is no runtime here to activate the base.
        LayerBuildError: A build failed (it has printed why), or made something else than one wheel.
    """
    if not activation.is_file():
        raise LayerBaseError(f"{activation}: does not exist; build in the builder image, which has it")
    variables = _variables(base, layer, activation)
    made = []
    for number, source in enumerate(sources):
        folder = to / str(number)
        folder.mkdir()
        shown = _PASSWORD.sub(r"\1***@", source)
        command = [
            str(activation),
            "python",
            "-m",
            "pip",
            "wheel",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        command += ["--no-build-isolation", "--no-binary", ":all:", "--wheel-dir", str(folder)]
        command += ["--", _as_pip_takes_it(source)]
        # Its output is for the person who builds; what this command prints itself stays apart.
        done = subprocess.run(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            check=False,
        )
        if done.returncode != 0:
            raise LayerBuildError(
                f"{shown}: cannot be built against {base.environment.name}: pip ended with exit code "
                f"{done.returncode}; it says above why (what the build itself needs belongs into the layer's "
                "requirements, as there is no build isolation)"
            )
        found = sorted(folder.glob("*.whl"))
        if len(found) != 1:
            raise LayerBuildError(f"{shown}: made {len(found)} wheels, not one; name a project")
        made.append(read_wheel(found[0], shown, base))
    return made


def _as_pip_takes_it(source: str) -> str:
    """Return a path as an absolute one: to pip, the word `kernels` alone is a project on an index."""
    path = Path(source)
    return str(path.absolute()) if path.exists() else source


def _variables(base: Base, layer: Path, activation: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MONOBASE_")}
    variables = kept | base.variables() | {
        "MONOBASE_USER_VENV": str(layer), "MONOBASE_FIT": "off", "MONOBASE_LEASE": "0",
        "MONOBASE_LAYER_FIT": "off",
    }  # fmt: skip
    index = kept.get("UV_DEFAULT_INDEX") or kept.get("UV_INDEX_URL")
    if index and "PIP_INDEX_URL" not in kept:
        variables["PIP_INDEX_URL"] = index
    if base.toolkit is not None and base.environment.torch is not None:
        # No GPU is here to ask: build what the base's Torch itself was built for.
        variables.setdefault("FORCE_CUDA", "1")
        if "TORCH_CUDA_ARCH_LIST" not in kept and (found := _architectures(variables, activation)):
            variables["TORCH_CUDA_ARCH_LIST"] = found
    return variables


def _architectures(variables: Mapping[str, str], activation: Path) -> str:
    """Return what the base's Torch has code for, in the form of `TORCH_CUDA_ARCH_LIST`."""
    done = subprocess.run(
        [str(activation), "python", "-c", _ARCHITECTURES], env=variables, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return architecture_list(done.stdout) if done.returncode == 0 else ""


def architecture_list(flags: str) -> str:
    """Return Torch's list of architectures, such as `sm_90 compute_120`, as `9.0;12.0+PTX`."""
    found: dict[str, str] = {}
    for kind, major, minor in _ARCHITECTURE.findall(flags):
        name = f"{major}.{minor}"
        found[name] = f"{name}+PTX" if kind == "compute" else found.get(name, name)
    return ";".join(found.values())


def read_wheel(path: Path, source: str, base: Base) -> BuiltWheel:
    """Read a wheel that was built.

    Args:
        path: The file.
        source: What it was built from.
        base: What it is for.

    Returns:
        The wheel.

    Raises:
        LayerBuildError: It is malformed.
    """
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            inside = next(it for it in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", it))
            metadata = HeaderParser().parsestr(archive.read(inside).decode())
        needs = tuple(_applying(metadata.get_all("Requires-Dist", []), base))
    except (InvalidWheelFilename, InvalidRequirement, StopIteration, zipfile.BadZipFile, ValueError) as error:
        raise LayerBuildError(f"{source}: built a malformed wheel, {path.name}: {error}") from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    locked = LockedWheel(name, str(version), digest, path.name, path.stat().st_size)
    return BuiltWheel(path, locked, source, needs)


def _applying(lines: Sequence[str], base: Base) -> Iterator[Requirement]:
    environment = {
        "extra": "",
        "python_version": base.environment.python,
        "python_full_version": base.environment.python_full,
    }
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield requirement


def add_built(lock: LayerLock, base: Base, built: Sequence[BuiltWheel]) -> LayerLock:
    """Return the lock of a layer with wheels that were built on it.

    Args:
        lock: The lock.
        base: Its base.
        built: The wheels; one replaces a wheel of the lock with the same name.

    Returns:
        The lock.

    Raises:
        LayerBuildError: A wheel needs what neither the base nor the layer has.
    """
    new = {it.locked.name: it for it in built}
    wheels = {it.name: it for it in lock.wheels} | {name: it.locked for name, it in new.items()}
    below = {it.name: it.version for it in base.wheels}
    _check_needs(lock, below | {name: it.version for name, it in wheels.items()}, built)
    overrides = {it.name: it for it in lock.overrides}
    overrides |= {
        name: Override(name, it.locked.version, below[name]) for name, it in new.items() if name in below
    }
    sources = {it.name: it for it in lock.built}
    sources |= {name: Built(name, it.locked.version, it.source) for name, it in new.items()}
    return replace(
        lock,
        wheels=tuple(wheels[name] for name in sorted(wheels)),
        overrides=tuple(overrides[name] for name in sorted(overrides)),
        built=tuple(sources[name] for name in sorted(sources)),
    )


def _check_needs(lock: LayerLock, versions: Mapping[str, str], built: Sequence[BuiltWheel]) -> None:
    for wheel in built:
        for need in wheel.needs:
            version = versions.get(canonicalize_name(need.name))
            if version is None or not need.specifier.contains(version, prereleases=True):
                has = "has none" if version is None else f"has {version}"
                raise LayerBuildError(
                    f"{wheel.path.name}: needs {need}, and {lock.environment} with the layer {has}; add it "
                    "to the layer's requirements and lock again"
                )
