"""The features of a node for node-feature-discovery's local source: which generations a model can use here.

https://kubernetes-sigs.github.io/node-feature-discovery/stable/usage/customization-guide.html#local-feature-source
Each line `LABEL=VALUE` becomes a label of the node. Its prefix is spelt out: a missing one is only added
while the `DisableAutoPrefix` gate is off. Files whose name begins with a dot are not read, so one that is
being written is not seen.
"""

from pathlib import Path

from daemon.errors import DiskError
from daemon.host.durability import DAEMON_SUFFIX, remove_temporary_files, write_if_changed
from daemon.upkeep.readiness import Readiness

FILE_NAME = "monobase"
_PREFIX = "feature.node.kubernetes.io/monobase-"


def features_text(readiness: Readiness) -> str:
    """Write the features: a line for each ready generation, and what `latest` names."""
    lines = [f"{_PREFIX}{generation.name}=true" for generation in readiness.generations if generation.ready]
    if readiness.latest is not None:
        lines.append(f"{_PREFIX}latest={readiness.latest}")
    lines.append(f"{_PREFIX}ready={'true' if readiness.ready else 'false'}")
    return "".join(f"{line}\n" for line in lines)


def write_features(directory: Path, readiness: Readiness) -> bool:
    """Tell node-feature-discovery what is ready.

    Args:
        directory: Its `features.d`.
        readiness: What is ready.

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
