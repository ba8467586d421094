"""Prints a base for a cluster: `bazel run //daemon/kubernetes:render -- --registry …`."""

import re
from pathlib import Path

import click

from gens.command import MonobaseCommand
from tools.deploy.base import read_base
from tools.deploy.rendering import render, to_yaml

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)", re.DOTALL)


def _namespace(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _NAMESPACE.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not a name of a namespace: a-z, 0-9 and -, at most 63")
    return value


def _registry(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and ("://" in value or "@" in value or not value.strip("/")):
        raise click.BadParameter(f"{value!r} is not a registry and path, such as registry.example/team")
    return value


def _variables(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    variables = {}
    for value in values:
        found = _VARIABLE.fullmatch(value)
        if found is None:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE")
        variables[found["name"]] = found["value"]
    return variables


@click.command(cls=MonobaseCommand)
@click.argument("base", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--registry", callback=_registry, metavar="REGISTRY[/PATH]",
    help="Registry and path of the pushed images (REGISTRY/PATH/NAME); required if the base has none.",
)  # fmt: skip
@click.option("--namespace", callback=_namespace, help="Namespace to use instead of the base's.")
@click.option(
    "--env", "variables", callback=_variables, multiple=True, metavar="NAME=VALUE",
    help="An environment variable of the containers, such as MONOBASE_MIN_GEN_ID=2; NAME= empties one. "
    "May be repeated.",
)  # fmt: skip
def main(
    base: Path,
    registry: str | None,
    namespace: str | None,
    variables: dict[str, str],
) -> None:
    """Print the objects of BASE for `kubectl apply -f -`, with the digests of Bazel's images."""
    found = read_base(base)
    if registry is not None:
        found = found.in_registry(registry)
    elif any(image.repository is None for image in found.images):
        raise click.UsageError("--registry is needed: the base does not say where its images are")
    click.echo(to_yaml(render(found, namespace, variables)), nl=False)


if __name__ == "__main__":
    main()
