"""`bazel run //daemon:push`: pushes an image that Bazel built. README.md lists the flags."""

import os
from dataclasses import dataclass
from pathlib import Path

import click
from rich.filesize import decimal

from gens.command import MonobaseCommand
from gens.progress import Bar
from image.errors import TransientError
from image.oci.image_index import ImageIndex, read_content
from image.oci.options import (
    RepositoryType,
    SizeType,
    TagType,
    enter_working_directory,
    layout_argument,
    option,
)
from image.oci.reference import Repository, parse_repository
from image.registry.client import Registry
from image.registry.credentials import find_credentials
from image.registry.patience import Patience, persist
from image.registry.push import PushOptions, PushResult, blobs_of
from image.registry.push import push as push_image


@click.command(cls=MonobaseCommand)
@layout_argument
@option(
    "--repository", type=RepositoryType(), required=True, help="Where to: registry.example.com/team/monobase."
)
@option(
    "--tag", "tags", type=TagType(), multiple=True,
    help="Tag of the image; may be repeated. Without a tag it is pushed by its digest only.",
)  # fmt: skip
@option(
    "--mount-from", multiple=True, metavar="NAME",
    help="Another repository of the same registry that may have layers of the image; may be repeated.",
)  # fmt: skip
@option("--jobs", type=click.IntRange(1, 64), default=4, help="Blobs at once.")
@option(
    "--chunk-size", type=SizeType(), default="0",
    help="Longest body of a request (50M, 1G), for a proxy that limits it; 0 for no limit.",
)  # fmt: skip
@option(
    "--retries", type=click.IntRange(0), default=5,
    help="Number of consecutive temporary failures without progress that are retried.",
)  # fmt: skip
@option(
    "--insecure", is_flag=True, help="Trust any certificate, and use plain HTTP if the registry has no TLS."
)
def main(
    layout: Path,
    repository: Repository,
    tags: tuple[str, ...],
    mount_from: tuple[str, ...],
    jobs: int,
    chunk_size: int,
    retries: int,
    insecure: bool,
) -> None:
    """Push an image to an OCI registry, with the credentials of `docker login`, and print its digest.

    An image for several architectures is an index of images: its digest and the tags are those of the index.
    """
    enter_working_directory()
    image = read_content(layout)
    credentials = find_credentials(repository, os.environ)
    registry = Registry(repository, credentials, insecure=insecure, jobs=jobs, environment=os.environ)
    sources = tuple(_source(repository, text) for text in mount_from)
    options = PushOptions(tuple(dict.fromkeys(tags)), sources, jobs, chunk_size, retries)
    with Bar("push", sum(blob.size_bytes for blob in blobs_of(image)), unit="bytes") as bar:
        listener = _Listener(bar)
        persist(registry.connect, Patience(retries, listener.retry))
        result = push_image(image, registry, options, listener)
    _tell(repository, result)
    for one in image.images if isinstance(image, ImageIndex) else ():
        click.echo(f"linux/{one.manifest.architecture} is {one.manifest.digest}", err=True)
    click.echo(f"{repository}@{result.digest}")


@dataclass(frozen=True, slots=True)
class _Listener:
    """Shows the progress of a push."""

    bar: Bar

    def advance(self, count: int) -> None:
        self.bar.advance(count)

    def retry(self, error: TransientError, pause_s: float) -> None:
        self.bar.print(f"{error}; again in {pause_s:.1f} s")


def _source(repository: Repository, text: str) -> str:
    """Return the repository of `--mount-from`: a name, or host and name in the same registry."""
    try:
        source = parse_repository(
            text if text.startswith(f"{repository.host}/") else f"{repository.host}/{text}"
        )
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--mount-from") from error
    return source.name


def _tell(repository: Repository, result: PushResult) -> None:
    parts = [f"pushed {result.pushed} blobs ({decimal(result.pushed_bytes)})"]
    if result.sent_bytes != result.pushed_bytes:
        parts.append(f"sent {decimal(result.sent_bytes)}, resumed {result.resumed} times")
    if result.mounted:
        parts.append(f"mounted {result.mounted} ({decimal(result.mounted_bytes)})")
    parts.append(f"skipped {result.skipped} that were there ({decimal(result.skipped_bytes)})")
    click.echo(", ".join(parts), err=True)
    for tag in result.new_tags:
        click.echo(f"{repository}:{tag} is {result.digest} now", err=True)
    for tag in result.kept_tags:
        click.echo(f"{repository}:{tag} was {result.digest} already", err=True)


if __name__ == "__main__":
    main()
