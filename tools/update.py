"""`bazel run //tools:update`: makes the locks of generations, and seals them."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import click

from gens.catalog import load_catalog
from gens.command import MonobaseCommand
from gens.errors import DifferenceError, LockError, ResolutionError, SumsError
from gens.lock import parse_lock
from gens.sums import broken_seals, format_sums, read_sums
from tools.locking.generation_tree import replace_locks
from tools.locking.relock import Result, plan, relock
from tools.locking.summary import summary_lines
from tools.options import definitions_option, locks_option, max_gen_id_option, min_gen_id_option

# A resolution mostly waits for the index, so that more of them than cores may run.
_JOBS_FOR_EACH_CORE = 4


@click.command(cls=MonobaseCommand)
@min_gen_id_option(required=True)
@max_gen_id_option()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 with a diff if anything would change.")
@click.option("--refresh", is_flag=True, help="Resolve also targets whose locks are up to date.")
@click.option(
    "--reopen", type=int, multiple=True, metavar="ID", help="Break the seal of an unpublished generation."
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=_JOBS_FOR_EACH_CORE * (os.cpu_count() or 1),
    show_default=True,
    help="Resolutions at a time.",
)
@definitions_option
@locks_option
def main(
    *,
    min_gen_id: int,
    max_gen_id: int | None,
    check: bool,
    refresh: bool,
    reopen: tuple[int, ...],
    jobs: int,
    definitions: Path | None,
    locks: Path,
) -> None:
    """Make the locks of the generations from MIN_GEN_ID on, and seal the complete ones.

    A lock whose inputs have not changed is kept. A sealed generation is never rewritten: if it would change,
    the command fails and shows the difference. The index is the one of uv's configuration on this machine.
    """
    started_s = time.monotonic()
    catalog = load_catalog(definitions, locks)
    sums_path = locks / "gens.sum"
    sums = read_sums(sums_path)
    works = [
        plan(
            catalog, generation, None if generation.id in reopen else sums.get(generation.id), refresh=refresh
        )
        for generation in catalog.between(min_gen_id, max_gen_id)
    ]
    results = relock(works, jobs)
    complete = [result for result in results if result.is_complete]
    # A stack that fails, fails alone: the other locks are written, and the seal waits for it.
    written = [
        result for result in results if result.is_complete or (result.locks and result.work.seal is None)
    ]
    for result in complete:
        _refuse_broken_seal(result)
    new_sums = sums | {result.work.generation.id: result.seal for result in complete}
    if check:
        _refuse_difference(complete)
    else:
        for result in written:
            if result.difference:
                replace_locks(locks / result.work.generation.directory_name, result.locks)
        if new_sums != sums:
            _write(sums_path, format_sums(new_sums))
    for result in written:
        click.echo("\n".join(_summary(result)))
    click.echo(
        f"{sum(len(result.locks) for result in written)} locks in {time.monotonic() - started_s:.1f} s"
    )
    _report_failures(results, written)


def _report_failures(results: list[Result], written: list[Result]) -> None:
    refused = [result for result in results if result not in written]
    lines = [*_failures("written", refused), *_failures("sealed", written)]
    if lines:
        raise ResolutionError("\n".join(lines))


def _failures(what: str, results: list[Result]) -> Iterator[str]:
    failures = [text for result in results for text in (*result.failures, *result.failed_stacks)]
    if failures:
        names = [result.work.generation.directory_name for result in results if not result.is_complete]
        yield f"{', '.join(names)} not {what}: {len(failures)} failed"
        yield from failures
    for result in results:
        if not result.failures and result.failed_stacks and result.work.seal is not None:
            identity = result.work.generation.id
            yield (
                f"generation {identity} is sealed in gens.sum; if no node has installed it, --reopen "
                f"{identity} writes its other locks"
            )


def _refuse_broken_seal(result: Result) -> None:
    seal = result.work.seal
    if seal is None:
        return
    generation = result.work.generation
    broken = broken_seals(generation, seal, result.seal)
    if broken:
        raise SumsError(
            "\n".join(
                [
                    f"generation {generation.id} is sealed in gens.sum and would change:",
                    *(f"  {message}" for message in broken),
                    result.difference.rstrip("\n"),
                    "A published generation is never changed: add another one to gens/prod.bzl.",
                    f"If no node has installed this one, --reopen {generation.id} rewrites it.",
                ]
            )
        )


def _refuse_difference(results: list[Result]) -> None:
    differing = [result for result in results if result.difference or result.work.seal is None]
    for result in differing:
        click.echo(result.difference, nl=False)
    if differing:
        names = ", ".join(
            result.work.generation.directory_name + ("" if result.work.seal is not None else " (not sealed)")
            for result in differing
        )
        raise DifferenceError(f"`bazel run //tools:update` would change {names}")


def _write(path: Path, text: str) -> None:
    staging = path.with_name(f".{path.name}.new")
    try:
        staging.write_text(text, encoding="utf-8")
        staging.replace(path)
    except OSError as error:
        raise LockError(f"{path}: cannot be written: {error}") from error


def _summary(result: Result) -> Iterator[str]:
    changed = sum(result.work.current.get(name) != text for name, text in result.locks.items())
    gone = len(result.work.current.keys() - result.locks.keys())
    what = f"{changed} written, {gone} removed" if changed or gone else "unchanged"
    yield f"{result.work.generation.directory_name}: {len(result.locks)} locks, {what}"
    locks = {name: parse_lock(text, Path(name)) for name, text in result.locks.items()}
    yield from summary_lines(result.work.generation, locks)


if __name__ == "__main__":
    main()
