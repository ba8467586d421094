"""`bazel run //tools:mirror`: fills, checks and prunes a mirror of generations."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal

from gens.catalog import load_catalog
from gens.command import MonobaseCommand
from gens.errors import DifferenceError
from gens.generation import generation_directory_name
from gens.progress import Bar
from gens.redaction import learn, learn_variables
from gens.selection import Selection
from image.oci.options import SizeType, enter_working_directory
from tools.mirror.archive import ArchiveMirror
from tools.mirror.check import Difference, check
from tools.mirror.destination import Destination, Removed
from tools.mirror.interpreters import Download, InterpreterSupply, find_downloads
from tools.mirror.pace import Pace
from tools.mirror.places import Places, mount_between, parse_place
from tools.mirror.receive import Supply
from tools.mirror.source import Source
from tools.mirror.wanted import Request, Wanted, read_wanted
from tools.mirror.work import Result, fill
from tools.options import definitions_option, locks_option, max_gen_id_option, min_gen_id_option

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The options that say how, not what.

    Attributes:
        to: The mirror.
        sources: The sources.
        checks: Whether the mirror is only compared.
        prunes: Whether what is not named is removed.
        interpreters: Whether uv's interpreters are mirrored.
        verify: Whether existing files are read; None for a check of a folder or archive.
        jobs: Files at a time.
        retries: Consecutive failures that are retried.
        mount_from: Other repositories of the registry that may have wheels.
        chunk_size: Longest body of a request to a registry; 0 for no limit.
        insecure: Whether any certificate is trusted, and a registry without TLS.
    """

    to: str
    sources: tuple[str, ...]
    checks: bool
    prunes: bool
    interpreters: bool
    verify: bool | None
    jobs: int
    retries: int
    mount_from: tuple[str, ...]
    chunk_size: int
    insecure: bool


@click.command(cls=MonobaseCommand)
@click.option(
    "--gen",
    "generation_ids",
    type=click.IntRange(min=0),
    multiple=True,
    metavar="ID",
    help="Generation; may be repeated.",
)
@min_gen_id_option()
@max_gen_id_option()
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Names of the environments and toolkits; may be repeated.",
)
@click.option("--pool", metavar="NAME", help="The pool whose environments and toolkits are mirrored.")
@click.option(
    "--machine",
    "machines",
    multiple=True,
    help="Machine, such as aarch64; may be repeated.  [default: all of the generation]",
)
@click.option(
    "--to",
    required=True,
    metavar="oci://REGISTRY/REPOSITORY|DIR|FILE.tar",
    help="The mirror.",
)
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="index|oci://…|https://…|DIR|FILE.tar",
    help="Source of wheels: the index, another mirror, a folder of wheels; may be repeated, the first comes "
    "first.  [default: index]",
)
@click.option("--check", "checks", is_flag=True, help="Change nothing; report what is lacking, and exit 1.")
@click.option(
    "--prune",
    "prunes",
    is_flag=True,
    help="Remove what these options do not name; with --check, report it only.",
)
@click.option(
    "--interpreters/--no-interpreters",
    default=True,
    show_default=True,
    help="Mirror uv's interpreters for the Pythons of the generations.",
)
@click.option(
    "--verify/--no-verify",
    default=None,
    help="Read existing files of a folder or archive, and replace damaged ones; with --check, read those of "
    "a registry, too, or only compare sizes.  [default: with --check, read those of a folder or archive]",
)
@click.option("--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="Files at a time.")
@click.option(
    "--retries",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Number of consecutive temporary failures without progress that are retried.",
)
@click.option(
    "--mount-from",
    multiple=True,
    metavar="NAME",
    help="Another repository of the same registry that may have wheels; may be repeated.",
)
@click.option(
    "--chunk-size",
    type=SizeType(),
    default="0",
    show_default=True,
    help="Longest body of a request to a registry (50M, 1G), for a proxy that limits it; 0 for no limit.",
)
@click.option("--insecure", is_flag=True, help="Trust any certificate, and a registry without TLS.")
@definitions_option
@locks_option
def main(
    *,
    generation_ids: tuple[int, ...],
    min_gen_id: int | None,
    max_gen_id: int | None,
    only: tuple[str, ...],
    pool: str | None,
    definitions: Path | None,
    locks: Path,
    **order: Any,  # noqa: ANN401 (of click, checked by Order)
) -> None:
    """Mirror generations into a registry, a folder or an archive; only what is lacking is sent.

    Wheels come from the index as uv or pip is configured on this machine, or from --from. Credentials of
    registries are those of `docker login`. A run that was stopped goes on where it was.
    """
    if not generation_ids and min_gen_id is None and max_gen_id is None:
        raise click.UsageError("name generations with --gen, or with --min-gen-id and --max-gen-id")
    if only and pool is not None:
        raise click.UsageError(f"--only and --pool {pool} contradict each other; leave one out")
    # Relative paths are those of this folder, which may be the one of runfiles.
    catalog = load_catalog(definitions and definitions.absolute(), locks.absolute())
    enter_working_directory()
    learn_variables(os.environ)
    learn(order["to"], *order["sources"])
    request = Request(generation_ids, min_gen_id, max_gen_id, Selection(only, pool), order.pop("machines"))
    _run(read_wanted(catalog, request), Order(**order))


def _run(wanted: Wanted, order: Order) -> None:
    places = Places(dict(os.environ), order.mount_from, order.chunk_size, order.insecure)
    downloads, failures = find_downloads(wanted.pythons) if order.interpreters else ({}, {})
    bar = Bar("mirror", wanted.size_bytes, unit="bytes")
    pace = Pace(bar, order.retries)
    destination = places.destination(
        parse_place(order.to), pace.patience, bar.print, jobs=order.jobs, verify=order.verify
    )
    if order.checks:
        with bar:
            found = list(check(wanted, downloads, destination, order.jobs, pace.advance))
        _report_check(
            wanted,
            downloads,
            [*(Difference(str(one)) for one in failures.values()), *found],
            destination,
            order,
        )
        return
    with destination.written(), bar:
        sources = _sources(order, places, pace, destination)
        supply = Supply(sources, pace.patience, pace.advance)
        interpreters = InterpreterSupply(supply, places.web(order.jobs), places.spool(bar.print))
        jobs = 1 if isinstance(destination, ArchiveMirror) else order.jobs
        result = fill(wanted, downloads, destination, supply, interpreters, jobs=jobs, stop=pace.stop)
        result.failures |= failures
        _report(wanted, destination.name, result)
        if order.prunes and not result.failures:
            kept = result.interpreters if order.interpreters else None
            removed = destination.prune(wanted.configs, wanted.items, kept, dry_run=False)
            _report_removed(removed, destination.name, "removed")
        elif order.prunes:
            click.echo(f"{destination.name}: nothing is removed, as the mirror is incomplete", err=True)
    result.refuse_incomplete(destination.name)


def _sources(order: Order, places: Places, pace: Pace, destination: Destination) -> list[Source]:
    named = [parse_place(text) for text in order.sources or ("index",)]
    sources = [places.source(place, pace.patience, order.jobs) for place in named]
    mount_between(destination, sources)
    # An archive that is written again has most of what its successor needs.
    if isinstance(destination, ArchiveMirror) and destination.existing is not None:
        sources.insert(0, destination.existing)
    return sources


def _report(wanted: Wanted, name: str, result: Result) -> None:
    """Print what a run did."""
    generations = ", ".join(generation_directory_name(number) for number in wanted.generations)
    click.echo(
        f"{name}: {generations}: {len(wanted.configs)} locks, {len(wanted.items)} wheels of "
        f"{decimal(wanted.size_bytes)}, {len(result.interpreters)} interpreters",
        err=True,
    )
    parts = [f"sent {_counted(*result.count('sent'))}"]
    if result.count("mounted")[0]:
        parts.append(f"mounted {_counted(*result.count('mounted'))}")
    parts.append(f"{_counted(*result.count('kept'))} were there")
    new, kept = len(result.published.new), len(result.published.kept)
    click.echo(f"{', '.join(parts)}; {new} tags are new, {kept} were there", err=True)


def _counted(number: int, size_bytes: int) -> str:
    return f"{number} blobs ({decimal(size_bytes)})"


def _report_removed(removed: Removed, name: str, verb: str) -> None:
    """Print what a prune removed, or would remove."""
    for one in removed.names[:_SHOWN]:
        click.echo(f"{verb} {one}", err=True)
    more = f", {len(removed.names) - _SHOWN} of them not shown" if len(removed.names) > _SHOWN else ""
    freed = f", {decimal(removed.size_bytes)}" if removed.size_bytes else ""
    click.echo(f"{name}: {verb} {len(removed.names)}{freed}{more}", err=True)
    for line in removed.left:
        click.echo(line, err=True)
    if removed.names and name.startswith("oci://"):
        click.echo(f"{name}: its garbage collection frees the blobs that no tag needs any more", err=True)


def _report_check(
    wanted: Wanted,
    downloads: Mapping[str, Download],
    differences: Sequence[Difference],
    destination: Destination,
    order: Order,
) -> None:
    """Print what a mirror lacks; exit with 1 if it lacks anything."""
    for one in differences:
        click.echo(one.text)
    if order.prunes:
        present = destination.interpreters()
        kept = {key: present[key] for key in downloads if key in present} if order.interpreters else None
        removed = destination.prune(wanted.configs, wanted.items, kept, dry_run=True)
        _report_removed(removed, destination.name, "would remove")
    if differences:
        sizes = [one.size_bytes for one in differences if one.size_bytes]
        is_damaged = any("damaged: its digest" in one.text for one in differences)
        raise DifferenceError(
            f"{destination.name}: {len(differences)} differences, {len(sizes)} wheels of "
            f"{decimal(sum(sizes))} to send; run the command without --check"
            f"{' and with --verify' if is_damaged else ''}"
        )
    click.echo(
        f"{destination.name}: has all {len(wanted.configs)} locks, {len(wanted.items)} wheels of "
        f"{decimal(wanted.size_bytes)} and {len(downloads)} interpreters",
        err=True,
    )


if __name__ == "__main__":
    main()
