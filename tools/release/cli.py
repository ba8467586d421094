"""`bazel run --config=release //:release`: publishes a release. docs/releasing.md has the steps."""

import re
import tempfile
from pathlib import Path
from typing import Any

import click

from gens.command import MonobaseCommand
from gens.version import read_version
from image.oci.options import enter_working_directory
from image.oci.reference import parse_repository
from tools.release.contents import SUMS, ReleasedImage, read_images, write_files
from tools.release.errors import OutputError
from tools.release.publication import Publisher

# Semantic versioning without build metadata, whose `+` no tag may have. Helm refuses leading zeros, too.
_NUMBER = "(0|[1-9][0-9]*)"
_IDENTIFIER = f"({_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_IDENTIFIER}(\.{_IDENTIFIER})*)?")
_LONGEST_VERSION = 127  # a tag has 128 characters at most, and begins with a `v`
# The source tree, with what Bazel built in it: not resolved, as runfiles are links.
_RUNFILES = Path(__file__).absolute().parents[2]


def _version(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not _VERSION.fullmatch(value) or len(value) > _LONGEST_VERSION:
        raise click.BadParameter(f"{value!r} is not a version such as 1.2.0 or 1.2.0-rc.1")
    return value


def _repository(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if ":" in value.partition("/")[2] or "@" in value:
        raise click.BadParameter(f"{value!r} has a tag, a digest or a user; --version makes the tags")
    try:
        parse_repository(f"{value}/monobase")
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


class _ReleaseCommand(MonobaseCommand):
    """A command whose `--version` is not its own, but the release's."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:  # noqa: ANN401 (as in click)
        super().__init__(*arguments, **settings)
        self.params = [parameter for parameter in self.params if parameter.name != "version"]


@click.command(cls=_ReleaseCommand)
@click.option(
    "--repository", callback=_repository, required=True, metavar="REGISTRY/PATH",
    help="Where to: images, bills and chart get repositories below it.",
)  # fmt: skip
@click.option("--version", "release", callback=_version, required=True, help="Version of the release.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder to make for the files.  [default: monobase-VERSION]",
)
@click.option("--dry-run", is_flag=True, help="Write the files, and push nothing.")
@click.option("--unstamped", is_flag=True, help="Release a build that does not have this version, to try it.")
@click.option("--insecure", is_flag=True, help="Trust any certificate, and a registry without TLS.")
@click.option("--root", type=click.Path(path_type=Path), default=_RUNFILES, hidden=True)
def main(
    repository: str,
    release: str,
    output: Path | None,
    dry_run: bool,
    unstamped: bool,
    insecure: bool,
    root: Path,
) -> None:
    """Write the files of a release, and push its images, bills of materials and chart.

    Prints the digest of everything that was pushed. A version that names something else in the registry is
    refused. After a failure, the same command goes on.
    """
    built = read_version().version
    if built != release and not unstamped:
        raise click.UsageError(
            f"--version {release}: the images say {built}; build them with --config=release from a clean "
            "commit with this VERSION, or try it with --unstamped"
        )
    enter_working_directory()
    directory = output or Path(f"monobase-{release}")
    images = read_images(root)
    try:
        count = _write(root, images, repository, release, directory)
    except OSError as error:
        raise OutputError(f"{error.filename or directory}: cannot be written: {error.strerror}") from error
    click.echo(f"wrote {count} files to {directory}; {SUMS} has their digests", err=True)
    if dry_run:
        return
    (chart,) = directory.glob("*.tgz")
    publisher = Publisher(repository, insecure, lambda line: click.echo(line, err=True))
    publisher.refuse_taken(images, chart, release)
    for published in publisher.publish(images, chart, release):
        click.echo(f"{published.reference}@{published.digest}")


def _write(
    root: Path, images: tuple[ReleasedImage, ...], repository: str, release: str, directory: Path
) -> int:
    """Write the files into a new folder, or find that an existing one has them; return their number."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    # Beside it, so that a folder is whole or absent.
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}-") as scratch:
        written = Path(scratch, "files")
        write_files(root, images, repository, release, written)
        files = _contents(written)
        if not directory.exists():
            written.rename(directory)
        elif not directory.is_dir() or _contents(directory) != files:
            raise click.UsageError(
                f"{directory}: exists, and is not this release; remove it, or name another with --output"
            )
    return len(files)


def _contents(directory: Path) -> dict[str, bytes | None]:
    return {path.name: path.read_bytes() if path.is_file() else None for path in directory.iterdir()}


if __name__ == "__main__":
    main()
