"""The file for node-feature-discovery's local source: the generations that a model can use on this node.

https://kubernetes-sigs.github.io/node-feature-discovery/stable/usage/customization-guide.html#local-feature-source
Each line `LABEL=VALUE` becomes a label of the node. The label has its prefix: node-feature-discovery adds a
missing one only while its `DisableAutoPrefix` gate is off. It does not read files whose name begins with a
dot, so it never reads a file that is being written.
"""

from pathlib import Path

from daemon.errors import DiskError
from daemon.host.durability import DAEMON_SUFFIX, remove_temporary_files, write_if_changed
from daemon.upkeep.readiness import Readiness

FILE_NAME = "monobase"
_PREFIX = "feature.node.kubernetes.io/monobase-"


def features_text(readiness: Readiness) -> str:
    """Return the features: a line for each ready generation, and the target of `latest`."""
    lines = [f"{_PREFIX}{generation.name}=true" for generation in readiness.generations if generation.ready]
    if readiness.latest is not None:
        lines.append(f"{_PREFIX}latest={readiness.latest}")
    lines.append(f"{_PREFIX}ready={'true' if readiness.ready else 'false'}")
    return "".join(f"{line}\n" for line in lines)


def write_features(directory: Path, readiness: Readiness) -> bool:
    """Write the file for node-feature-discovery.

    Args:
        directory: Its folder `features.d`.
        readiness: The readiness of the node.

    Returns:
        Whether the file has changed.

    Raises:
        DiskError: It cannot be written.
    """
    path = directory / FILE_NAME
    text = features_text(readiness).encode()
    try:
        remove_temporary_files(directory, DAEMON_SUFFIX, FILE_NAME)  # of a daemon that was killed
        return write_if_changed(path, text, DAEMON_SUFFIX)
    except OSError as error:
        raise DiskError(
            f"{path}: cannot be written: {error.strerror}; mount the features.d folder of "
            "node-feature-discovery writable, or leave --features-dir out"
        ) from error
