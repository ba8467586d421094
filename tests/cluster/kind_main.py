"""`bazel run //tests/cluster:kind`: the conformance run on a cluster that kind makes for it."""

import signal
import tempfile
from pathlib import Path

import click

from gens.command import MonobaseCommand
from tests.cluster.kind import KindError, find_engine, kind_cluster
from tests.cluster.main import main as conformance


@click.command(cls=MonobaseCommand, context_settings={"ignore_unknown_options": True})
@click.option("--workers", type=click.IntRange(1, 16), default=2, show_default=True, help="Number of nodes.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def main(workers: int, options: tuple[str, ...]) -> None:
    """Make a cluster with kind, run the conformance run on it with OPTIONS, and remove it.

    It needs kind and Docker or podman on the PATH. OPTIONS are those of `bazel run //tests/cluster`, but
    --kubeconfig, --registry and --insecure.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: cluster and registry are removed
    try:
        with (
            tempfile.TemporaryDirectory(prefix="monobase-kind-") as scratch,
            kind_cluster(find_engine(), workers, Path(scratch)) as (kubeconfig, registry),
        ):
            named = ["--kubeconfig", str(kubeconfig), "--registry", registry, "--insecure"]
            conformance.main([*named, *options], prog_name="kind", standalone_mode=False)
    except KindError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
