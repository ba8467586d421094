"""The file for node-feature-discovery's local source: the environments that a model can use on this node.

https://kubernetes-sigs.github.io/node-feature-discovery/stable/usage/customization-guide.html#local-feature-source
Each line `LABEL=VALUE` becomes a label of the node. The label has its prefix: node-feature-discovery adds a
missing one only while its `DisableAutoPrefix` gate is off. It does not read files whose name begins with a
dot, so it never reads a file that is being written. It ignores a file of more than 64 KiB.
"""

from pathlib import Path

from daemon.errors import DiskError
from daemon.host.durability import DAEMON_SUFFIX, remove_temporary_files, write_if_changed
from daemon.upkeep.readiness import Readiness
from gens.label import LABEL_PREFIX, label_name

FILE_NAME = "monobase"
_MOST_BYTES = 65_536


def features_text(readiness: Readiness) -> str:
    """Return the features: whether the node is ready, `latest`, whole generations and ready environments.

    Of what node-feature-discovery does not read, as the file would be too long, environments of the oldest
    generations are left out: a node without a label gets no pod that asks for it, and no wrong one.
    """
    lines = [f"monobase-ready={'true' if readiness.ready else 'false'}"]
    if readiness.latest is not None:
        lines.append(f"monobase-latest={readiness.latest}")
    names = [label_name(generation.name) for generation in readiness.generations if generation.whole]
    names += [
        label_name(generation.name, target.name)
        for generation in readiness.generations
        if generation.checked
        for target in generation.targets
        if target.kind == "environment" and target.state == "ready"
    ]
    text = "".join(f"{LABEL_PREFIX}/{line}\n" for line in lines)
    for line in [f"{LABEL_PREFIX}/{name}=true\n" for name in names]:
        if len(text) + len(line) <= _MOST_BYTES:
            text += line
    return text


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
