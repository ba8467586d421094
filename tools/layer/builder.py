"""The command `monobase-layer` of the builder image: it locks layers as well."""

import os

from layers.main import main
from tools.layer.cli import check, lock

main.add_command(lock)
main.add_command(check)


def _defaults() -> dict[str, dict[str, str]]:
    """Return the options that are defaults in an image with generations of its own."""
    gens = os.environ.get("MONOBASE_GENS")
    if not gens:
        return {}
    return {name: {"definitions": gens, "locks": gens} for name in ("lock", "check")}


if __name__ == "__main__":
    main(default_map=_defaults())
