"""Finds the uv that the project pins, and the index that this machine uses.

It imports little, so that uv can be asked while the rest of a command is imported.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

import uv

# Settings that a machine may decide: the host of the default index, how to reach it, the cache's folder. Any
# other setting of uv would make two machines resolve differently.
_MACHINE_SETTINGS = (
    "UV_CACHE_DIR",
    "UV_CONFIG_FILE",
    "UV_DEFAULT_INDEX",
    "UV_HTTP_",
    "UV_INDEX_URL",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_NO_CONFIG",
    "UV_OFFLINE",
    "UV_REQUEST_TIMEOUT",
    "UV_SYSTEM_CERTS",
)


@dataclass(frozen=True, slots=True)
class Resolver:
    """The program uv, with its environment variables.

    Attributes:
        program: Path of uv.
        name: Its name and version, such as `uv 0.13.9`.
        environment: Environment variables of its processes.
        default_index: URL of the default index if uv's `cache-control` can be set for it, or None.
    """

    program: str
    name: str
    environment: Mapping[str, str]
    default_index: str | None = None


def find_resolver(environment: Mapping[str, str] = os.environ) -> Resolver:
    """Return the uv that the project pins, with this machine's index configuration.

    Args:
        environment: Environment variables of the caller.
    """
    program = uv.find_uv_bin()
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("UV_") or name.startswith(_MACHINE_SETTINGS) or _is_credential(name)
    }
    kept |= {"UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
    # Both run at once: the version and the default index.
    with subprocess.Popen([program, "--version"], stdout=subprocess.PIPE, text=True) as process:
        resolver = _with_machines_index(Resolver(program, "uv", kept))
        said, _ = process.communicate()
    return replace(resolver, name=f"uv {said.split()[1]}")


def with_default_index(resolver: Resolver, index: str) -> Resolver:
    """Return a resolver with an index in place of the default one of this machine.

    Args:
        resolver: The resolver.
        index: URL of the index, or `NAME=URL`.
    """
    if resolver.default_index is not None:
        return _with_project_index(resolver, index)
    return replace(resolver, environment={**resolver.environment, "UV_DEFAULT_INDEX": index})


def _with_machines_index(resolver: Resolver) -> Resolver:
    kept = resolver.environment
    if "UV_NO_CONFIG" in kept or "UV_CONFIG_FILE" in kept or any(map(_is_credential, kept)):
        # With either of these variables uv reads no index from the project. Credentials may belong to an
        # index by its name, which it must then keep.
        return resolver
    index = kept.get("UV_DEFAULT_INDEX") or kept.get("UV_INDEX_URL") or _ask_for_default_index(resolver)
    return resolver if index is None else _with_project_index(resolver, index)


def _with_project_index(resolver: Resolver, index: str) -> Resolver:
    without_index = {
        name: value
        for name, value in resolver.environment.items()
        if name not in ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
    }
    return replace(resolver, environment=without_index, default_index=re.sub(r"^[\w-]+=", "", index))


def _ask_for_default_index(resolver: Resolver) -> str | None:
    """Return the default index as uv sees it, from a compilation of nothing, which takes no request."""
    command = (
        "pip",
        "compile",
        "-",
        "--no-header",
        "--emit-index-url",
        "--offline",
        "--python",
        sys.executable,
    )
    output = subprocess.run(
        [resolver.program, *command],
        cwd="/",
        input="",
        env=dict(resolver.environment),
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = re.search(r"^--index-url (http\S+)", output, re.MULTILINE)
    # A masked password makes a URL useless.
    return found[1] if found is not None and "*" not in found[1] else None


def _is_credential(name: str) -> bool:
    return name.startswith("UV_INDEX_") and name.endswith(("_USERNAME", "_PASSWORD"))
