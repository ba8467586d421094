"""Data types of generations, their environments and their toolkits.

`gens/matrix.bzl` alone expands a definition into environments and toolkits. A Bazel rule writes the result as
JSON, which `parse_generation` reads.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from gens.definition_check import check_definition
from gens.errors import DefinitionError
from gens.path_component import path_component

_FIRST_MACHINE = "x86_64"


@dataclass(frozen=True, slots=True)
class Inputs:
    """The complete inputs of the resolution of one target.

    Attributes:
        python: Full version of the target's interpreter, such as `3.11.10`.
        platform: Target platform in uv's words, such as `x86_64-manylinux_2_28`.
        exclude_newer: Time bound (RFC 3339, UTC): files uploaded later do not exist for the resolution.
        requirements: Requirements (PEP 508) to resolve.
        constraints: Version bounds on packages that are not requirements themselves.
        index_url: Index that serves `index_packages` and nothing else; None means the default index for all.
        index_packages: Names of the packages that come from `index_url`. That index need not report upload
            times, as the versions requested from it are exact.
        no_deps: Leave dependencies out. cuDNN needs this: its cuBLAS is in the CUDA toolkit.
        base: Of a stack: inputs of the environment whose pins it keeps wherever it can; None for no base.
    """

    python: str
    platform: str
    exclude_newer: str
    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    index_url: str | None = None
    index_packages: tuple[str, ...] = ()
    no_deps: bool = False
    base: "Inputs | None" = None

    @property
    def machine(self) -> str:
        """Machine of the platform, as `platform.machine()` names it: `x86_64`, `aarch64`."""
        return self.platform.partition("-")[0]

    @property
    def digest(self) -> str:
        """Digest of these inputs, as in the header of a lock: `sha256:` and 64 hex digits."""
        return _digest(_without_empty(self))


@dataclass(frozen=True, slots=True)
class Environment:
    """One cell of the matrix: a Python, with a Torch build or without, or with a stack.

    Attributes:
        python: Minor version of the interpreter, such as `3.11`.
        python_full: Full version of the interpreter, such as `3.11.10`.
        inputs: Inputs of the resolution of its lock.
        torch: Torch release, such as `2.4.1`; None for the plain Python environment.
        build: Build tag of Torch, such as `cu121` or `cpu`; None for the plain Python environment.
        cuda: CUDA version of the build, such as `12.1`; None for `cpu` and the plain Python environment.
        stack: Name of its stack, such as `vllm`; None for an environment without a stack. A stack may have a
            `cuda` without a Torch, such as jax.
        stack_version: Version of the package that the stack is named after, such as `0.33.0`; None if it is
            named after none.
    """

    python: str
    python_full: str
    inputs: Inputs
    torch: str | None = None
    build: str | None = None
    cuda: str | None = None
    stack: str | None = None
    stack_version: str | None = None

    @property
    def name(self) -> str:
        """Name in paths and messages.

        It is `python3.11-torch2.4.1-cu121`; `python3.11` without Torch; `python3.12-vllm0.33.0` for a stack,
        whatever Torch it has.
        """
        if self.stack is not None:
            return path_component(f"python{self.python}-{self.stack}{self.stack_version or ''}")
        if self.torch is None:
            return path_component(f"python{self.python}")
        return path_component(f"python{self.python}-torch{self.torch}-{self.build}")

    @property
    def full_name(self) -> str:
        """Name among the targets of all platforms: `python3.12`, and `aarch64/python3.12` for the others."""
        return _full_name(self.inputs, self.name)

    @property
    def lock_name(self) -> str:
        """Path of its lock within the generation's folder."""
        return f"{self.full_name}.txt"

    @property
    def kind(self) -> Literal["environment"]:
        """Kind of the target in the header of its lock."""
        return "environment"


@dataclass(frozen=True, slots=True)
class Toolkit:
    """A CUDA or cuDNN tree of a generation.

    Attributes:
        product: `cuda` or `cudnn`.
        version: Version that a model requests: `12.4` (CUDA), `9` (cuDNN).
        full_version: Version that is installed: `12.4.1`, `9.1.0.70`.
        inputs: Inputs of the resolution of its lock.
        cuda_major: For cuDNN, the CUDA major version that it is built for, such as `12`; else None.
    """

    product: Literal["cuda", "cudnn"]
    version: str
    full_version: str
    inputs: Inputs
    cuda_major: str | None = None

    @property
    def name(self) -> str:
        """Name within a generation: `cuda12.4`, `cudnn9-cuda12`."""
        return path_component(f"{self.product}{self.version}{self._suffix}")

    @property
    def directory_name(self) -> str:
        """Name of the tree that generations share: `cuda-12.4.1`, `cudnn-9.1.0.70-cuda12`."""
        return path_component(f"{self.product}-{self.full_version}{self._suffix}")

    @property
    def full_name(self) -> str:
        """Name among the targets of all platforms: `python3.12`, and `aarch64/python3.12` for the others."""
        return _full_name(self.inputs, self.name)

    @property
    def lock_name(self) -> str:
        """Path of its lock within the generation's folder."""
        return f"{self.full_name}.txt"

    @property
    def kind(self) -> Literal["toolkit"]:
        """Kind of the target in the header of its lock."""
        return "toolkit"

    @property
    def _suffix(self) -> str:
        return "" if self.cuda_major is None else f"-cuda{self.cuda_major}"


Target = Environment | Toolkit


@dataclass(frozen=True, slots=True)
class Generation:
    """An immutable matrix of versions with an ID.

    Attributes:
        id: Number of the generation, from 0.
        platform: Target platform in uv's words; the first one, if there are several.
        exclude_newer: Time bound of its resolutions (RFC 3339, UTC).
        python: Full version by minor version: `{"3.11": "3.11.10"}`.
        cuda: Full version by version: `{"12.4": "12.4.1"}`.
        cudnn: Full version by major version: `{"9": "9.1.0.70"}`.
        torch: Torch releases.
        packages: Seed packages of every environment.
        indexes: Index by build tag, for builds that the default index does not serve.
        environments: The cells that exist, by platform, Python (the plain one first), Torch release and
            build, and those of stacks behind them.
        toolkits: CUDA toolkits, then cuDNN, by platform.
        absences: Inputs that must not resolve, as the default index does not serve them by the Torch table.
            `tools:update` checks that against the index.
        further_platforms: The other target platforms.
    """

    id: int
    platform: str
    exclude_newer: str
    python: dict[str, str]
    environments: tuple[Environment, ...]
    toolkits: tuple[Toolkit, ...] = ()
    cuda: dict[str, str] = field(default_factory=dict)
    cudnn: dict[str, str] = field(default_factory=dict)
    torch: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    indexes: dict[str, str] = field(default_factory=dict)
    absences: tuple[Inputs, ...] = ()
    further_platforms: tuple[str, ...] = ()

    @property
    def directory_name(self) -> str:
        """Name in paths and messages: `g00003`."""
        return generation_directory_name(self.id)

    @property
    def platforms(self) -> tuple[str, ...]:
        """All target platforms in uv's words."""
        return (self.platform, *self.further_platforms)

    @property
    def machines(self) -> tuple[str, ...]:
        """Machines of the target platforms: `x86_64`, `aarch64`."""
        return tuple(dict.fromkeys(platform.partition("-")[0] for platform in self.platforms))

    def for_machine(self, machine: str) -> "Generation":
        """Return this generation with the environments and toolkits of one machine only.

        Its digest and its seals are not those of the definition.

        Args:
            machine: The machine, as `platform.machine()` names it.

        Raises:
            DefinitionError: None of its platforms is one of that machine.
        """
        platforms = [platform for platform in self.platforms if platform.partition("-")[0] == machine]
        if not platforms:
            raise DefinitionError(
                f"{self.directory_name} is for {' and '.join(self.machines)}, not for {machine}"
            )
        return dataclasses.replace(
            self,
            platform=platforms[0],
            further_platforms=(),
            environments=tuple(cell for cell in self.environments if cell.inputs.machine == machine),
            toolkits=tuple(toolkit for toolkit in self.toolkits if toolkit.inputs.machine == machine),
            absences=tuple(absence for absence in self.absences if absence.machine == machine),
        )

    @property
    def targets(self) -> tuple[Target, ...]:
        """All targets: environments, then toolkits."""
        return (*self.environments, *self.toolkits)

    @property
    def digest(self) -> str:
        """Digest of the whole definition; a node compares it with the definition that it installed."""
        return _digest(_without_empty(self))

    @property
    def field_digests(self) -> dict[str, str]:
        """Digest of each field that is not empty, as in `gens.sum`."""
        fields = {item.name: _without_empty(getattr(self, item.name)) for item in dataclasses.fields(self)}
        return {name: _digest(value) for name, value in fields.items() if not _is_empty(value)}

    def target(self, name: str) -> Target:
        """Return the environment or toolkit with a name; of several platforms, the first one that has it.

        Raises:
            DefinitionError: The generation has no target with that name.
        """
        for target in self.targets:
            if target.name == name:
                return target
        known = ", ".join(dict.fromkeys(target.name for target in self.targets))
        raise DefinitionError(f"{self.directory_name} has no {name!r}; it has {known}")


def generation_directory_name(generation_id: int) -> str:
    """Return the name of a generation in paths and messages, `g00003` for 3."""
    return f"g{generation_id:05d}"


def parse_generation(text: str | bytes, path: Path) -> Generation:
    """Read the definition of a generation from JSON.

    Args:
        text: The JSON that the Bazel rule wrote.
        path: File that it was read from, for messages.

    Returns:
        The generation.

    Raises:
        DefinitionError: The JSON is malformed, a text does not have the form of its field, or two targets
            have the same name.
    """
    try:
        generation = msgspec.json.decode(text, type=Generation)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise DefinitionError(f"{path}: not the definition of a generation: {error}") from error
    check_definition(generation, path)
    seen: set[str] = set()
    for target in generation.targets:
        if target.full_name in seen:
            raise DefinitionError(f"{path}: two targets are named {target.full_name}")
        seen.add(target.full_name)
    return generation


def format_generation(generation: Generation) -> str:
    """Write the definition of a generation as JSON that `parse_generation` reads back as the same value."""
    return msgspec.json.format(msgspec.json.encode(generation), indent=2).decode() + "\n"


def _full_name(inputs: Inputs, name: str) -> str:
    """Return a name with the machine in front, unless it is that of the first generations."""
    return name if inputs.machine == _FIRST_MACHINE else f"{inputs.machine}/{name}"


def _digest(value: object) -> str:
    """Return the SHA-256 of a value's canonical JSON: sorted keys, no blanks."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _without_empty(value: object) -> object:
    """Remove empty values, so that a new field that is empty by default changes no existing digest."""
    if isinstance(value, str):  # most of them: a node digests a thousand environments
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        pruned = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in pruned.items() if not _is_empty(item)}
    if isinstance(value, list | tuple):
        return [_without_empty(item) for item in value]
    return value


def _is_empty(value: object) -> bool:
    return value is None or value is False or value in ("", [], {})
