"""Names of the Kubernetes labels that say which environments a node has ready.

A label is `PREFIX/NAME`. NAME is `monobase-g00003.python3.12-torch2.13.0-cu130` for an environment or stack,
and `monobase-g00003` for a whole generation. Kubernetes allows 63 characters in a NAME: letters, digits, `-`,
`_` and `.`, the first and last of them a letter or digit.
"""

LABEL_PREFIX = "feature.node.kubernetes.io"


def label_name(generation: str, environment: str | None = None) -> str:
    """Return the name of a label, without its prefix.

    Args:
        generation: Name of the generation, such as `g00003`.
        environment: Name of the environment or stack; None for the whole generation.
    """
    return f"monobase-{generation}" if environment is None else f"monobase-{generation}.{environment}"
