"""`bazel run //tools:update_releases`: reads which releases of Torch, CUDA and cuDNN an index serves."""

import difflib
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from gens.command import MonobaseCommand
from gens.errors import DefinitionError, DifferenceError
from tools.options import locks_option
from tools.releases.facts import format_facts, read_facts
from tools.releases.index import Index
from tools.releases.reader import read_releases

_NAME = "releases.json"


@click.command(cls=MonobaseCommand)
@click.option("--check", is_flag=True, help="Change nothing; exit 1 with a diff if anything would change.")
@click.option(
    "--index-url",
    help="The index.  [default: UV_DEFAULT_INDEX, UV_INDEX_URL or PIP_INDEX_URL, else the public one]",
)
@locks_option
def main(*, check: bool, index_url: str | None, locks: Path) -> None:
    """Read the releases of Torch, its companions, CUDA and cuDNN from an index into gens/releases.json.

    It reads only releases that have changed. The first time takes minutes and gigabytes: for companions that
    name no Torch, it compares symbols with those of Torch's libraries.
    """
    started_s = time.monotonic()
    path = locks / _NAME
    known = read_facts(path)
    index = Index(index_url)
    facts = read_releases(index, known, datetime.now(UTC).date())
    old, new = "" if known is None else path.read_text(encoding="utf-8"), format_facts(facts)
    if old != new:
        difference = "".join(
            difflib.unified_diff(old.splitlines(True), new.splitlines(True), f"gens/{_NAME}", f"{index.name}")
        )
        if check:
            click.echo(difference, nl=False)
            raise DifferenceError(f"`bazel run //tools:update_releases` would change gens/{_NAME}")
        _write(path, new)
    click.echo(
        f"gens/{_NAME}: {'written' if old != new else 'unchanged'}; {len(facts.torch)} releases of Torch, "
        f"{index.metadata_read} wheels read in {time.monotonic() - started_s:.1f} s"
    )


def _write(path: Path, text: str) -> None:
    staging = path.with_name(f".{path.name}.new")
    try:
        staging.write_text(text, encoding="utf-8")
        staging.replace(path)
    except OSError as error:
        raise DefinitionError(f"{path}: cannot be written: {error}") from error


if __name__ == "__main__":
    main()
