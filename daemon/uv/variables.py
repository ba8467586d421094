"""Selects the environment variables that uv gets: of uv's own, only those that say how to reach an index."""

import re
from collections.abc import Mapping

_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})
# Monobase's configuration says where indexes are; these variables say how to reach them.
_REACHING = frozenset({
    "UV_API_KEY", "UV_ASTRAL_MIRROR_URL", "UV_AUTH_TOKEN", "UV_AZURE_ENDPOINT_URL", "UV_CONCURRENT_DOWNLOADS",
    "UV_CONCURRENT_INSTALLS", "UV_CREDENTIALS_DIR", "UV_GCS_ENDPOINT_URL", "UV_GITHUB_TOKEN",
    "UV_HTTP_CONNECT_TIMEOUT", "UV_HTTP_RETRIES", "UV_HTTP_TIMEOUT", "UV_INDEX_STRATEGY", "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER", "UV_NATIVE_TLS", "UV_NO_HF_TOKEN", "UV_PYPY_INSTALL_MIRROR",
    "UV_PYTHON_DOWNLOADS_JSON_URL", "UV_PYTHON_INSTALL_MIRROR", "UV_REQUEST_TIMEOUT", "UV_S3_ENDPOINT_URL",
    "UV_SYSTEM_CERTS",
})  # fmt: skip
_REACHING_PATTERN = re.compile(r"UV_INDEX_.+_(?:USERNAME|PASSWORD)")
# Variables that would change which Python runs, what is written where, or the output that Monobase reads; and
# Monobase's own, which uv does not need: MONOBASE_SOURCES may have passwords.
_FOREIGN = re.compile(
    r"UV(?:_.*)?|PYTHON.*|_*PYVENV_.*|_?CONDA_.*|VIRTUAL_ENV.*|PIP_.*|RUST_.*|TRACING_DURATIONS_.*|"
    r"MONOBASE_.*|PYC_INVALIDATION_MODE|(?:CLICOLOR_)?FORCE(?:_COLOR)?|CLICOLOR|COLUMNS"
)


def is_true(value: str | None) -> bool:
    """Return whether a switch among uv's variables is on."""
    return value is not None and value.strip().lower() in _TRUE


def passed_on(variables: Mapping[str, str], *, reaching: bool) -> dict[str, str]:
    """Return the variables that uv may have.

    Args:
        variables: Variables of the machine, such as `os.environ`.
        reaching: Whether the call uses an index.

    Returns:
        Those that may pass.
    """
    return {
        name: value
        for name, value in variables.items()
        if not _FOREIGN.fullmatch(name)
        or (reaching and value and (name in _REACHING or _REACHING_PATTERN.fullmatch(name)))
    }
