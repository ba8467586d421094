"""`bazel run //tests/cluster -- --kubeconfig F --registry R`: the conformance run on a real cluster."""

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import click
import yaml

from gens.command import MonobaseCommand
from image.oci.options import enter_working_directory
from tests.cluster.conformance import report, run_steps
from tests.cluster.kubectl import Kubectl, Manifest, StepError
from tests.cluster.steps import DAEMON, STEPS, Subject, refuse_existing, with_variables
from tools.deploy.base import Image, read_base
from tools.deploy.rendering import render
from tools.release.contents import RUNTIME, read_images, write_files
from tools.release.publication import Publisher

_NAMESPACE = "monobase-conformance"
_VERSION = "0.0.0-conformance"
_RUNFILES = Path(__file__).absolute().parents[2]
_PAUSE_S = 5.0
# What the example of a model needs (runtime/kubernetes/model).
_ONLY = "python3.12-torch2.13.0-cu130 cuda13.0"


@click.command(cls=MonobaseCommand)
@click.option("--kubeconfig", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True)
@click.option("--registry", required=True, help="Registry and path that you push to and nodes pull from.")
@click.option("--insecure", is_flag=True, help="Trust any certificate, and a registry without TLS.")
@click.option(
    "--generation", "generations", type=int, multiple=True, default=(3, 2), show_default=True,
    help="The generation to install; with an older one, that one is installed too, leased and pruned.",
)  # fmt: skip
@click.option("--only", default=_ONLY, show_default=True, help="What nodes install of it.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=1),
    default=3600.0,
    show_default=True,
    help="Seconds for each wait.",
)
@click.option("--keep", is_flag=True, help="After a failure, leave all as it is.")
@click.option("--report", "report_file", type=click.Path(path_type=Path), help="Where to write the report.")
def main(
    kubeconfig: Path,
    registry: str,
    insecure: bool,
    generations: tuple[int, ...],
    only: str,
    wait_s: float,
    keep: bool,
    report_file: Path | None,
) -> None:
    """Push images, try what a release promises on a cluster, and print a table; exit with 1 if a step failed.

    The cluster must not have Monobase: the run takes its PriorityClass and its folder of the nodes.
    """
    enter_working_directory()
    program = shutil.which("kubectl")
    if program is None:
        raise click.UsageError("kubectl is not installed; install it")
    if len(generations) > 2 or len(set(generations)) < len(generations):
        raise click.UsageError(f"--generation {' '.join(map(str, generations))}: name one, or two of them")
    _check_report(report_file)
    kubectl = Kubectl(program, kubeconfig.absolute(), wait_s, _PAUSE_S, True, dict(os.environ))
    _check_cluster(kubectl, kubeconfig)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the cluster is cleaned up
    subject = _subject(kubectl, registry, insecure, only, max(generations))
    if len(generations) > 1:
        subject = replace(subject, older=min(generations))
    results = run_steps(subject, STEPS, keep, lambda name: click.echo(f"{name} …", err=True))
    table = report(results)
    click.echo(table, nl=False)
    if report_file is not None:
        report_file.write_text(table)
    raise SystemExit(int(any(result.verdict == "failed" for result in results)))


def _check_report(path: Path | None) -> None:
    """Refuse a report that cannot be written, before the hours of a run."""
    try:
        if path is not None:
            path.open("a").close()
    except OSError as error:
        raise click.UsageError(f"--report {path}: cannot be written: {error.strerror}") from error


def _check_cluster(kubectl: Kubectl, kubeconfig: Path) -> None:
    """Refuse a cluster that does not answer, or that has objects of the names of the run."""
    try:
        # Once: a cluster that does not answer at the beginning is another one, or down.
        refuse_existing(replace(kubectl, tries=1), _NAMESPACE)
    except StepError as error:
        raise click.UsageError(f"{kubeconfig}: {error}") from error


def _subject(kubectl: Kubectl, registry: str, insecure: bool, only: str, generation: int) -> Subject:
    variables = {
        "MONOBASE_MIN_GEN_ID": str(generation),
        "MONOBASE_MAX_GEN_ID": str(generation),
        "MONOBASE_ONLY": only,
    }
    images = read_images(_RUNFILES)
    pinned = {
        image.name: Image(image.name, image.index.root.digest).in_registry(registry) for image in images
    }
    with tempfile.TemporaryDirectory(prefix="monobase-conformance-") as scratch:
        files = Path(scratch, "files")
        write_files(_RUNFILES, images, registry, _VERSION, files)
        (chart,) = files.glob("*.tgz")
        publisher = Publisher(registry, insecure, lambda line: click.echo(line, err=True))
        for published in publisher.publish(images, chart, _VERSION):
            click.echo(f"pushed {published.reference}", err=True)
        rendered = _of_chart(chart, variables)
    base = read_base(_RUNFILES / "daemon/kubernetes/base")
    daemon = render(replace(base, images=(pinned[DAEMON],)), _NAMESPACE, variables)
    model = read_base(_RUNFILES / "runtime/kubernetes/model")
    (pod,) = with_variables(
        render(replace(model, images=(pinned[RUNTIME],))), MONOBASE_GEN_ID=str(generation)
    )
    torch = next(
        item["value"] for item in pod["spec"]["containers"][0]["env"] if item["name"] == "TORCH_VERSION"
    )
    return Subject(kubectl, _NAMESPACE, daemon, rendered, pod, torch, generation)


def _of_chart(chart: Path, variables: dict[str, str]) -> list[Manifest]:
    """Return what Helm renders of the chart; nothing where it is not installed."""
    program = shutil.which("helm")
    if program is None:
        return []
    values = chart.with_name("values.yaml")
    values.write_text(yaml.safe_dump({"env": variables}))
    done = subprocess.run(
        [program, "template", "monobase", str(chart), "--namespace", _NAMESPACE, "--values", str(values)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise click.ClickException(f"{program} cannot render the chart: {done.stderr.strip()}")
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


if __name__ == "__main__":
    main()
