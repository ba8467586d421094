"""Pushes a release: images, a bill of materials beside each, and the chart."""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gens.errors import DifferenceError
from image.errors import TransientError
from image.oci.descriptor import Descriptor, descriptor_of
from image.oci.image_index import Content
from image.oci.layout import read_layout, write_layout
from image.oci.reference import parse_repository
from image.registry.client import Registry
from image.registry.credentials import find_credentials
from image.registry.patience import Patience, persist
from image.registry.push import PushOptions, push
from tools.deploy.chart.chart import NAME as CHART
from tools.deploy.chart.chart import write_artifact
from tools.release.contents import ReleasedImage

_EMPTY = "application/vnd.oci.empty.v1+json"
_BILL = "application/vnd.cyclonedx+json"
_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Published:
    """A reference that was pushed, with its digest.

    Attributes:
        reference: Its name with a tag.
        digest: Its digest.
    """

    reference: str
    digest: str


@dataclass(frozen=True, slots=True)
class Publisher:
    """Pushes to repositories below one registry and path.

    Attributes:
        registry: Registry and path, such as `registry.example/team`.
        insecure: Whether any certificate is trusted, and plain HTTP if there is no TLS.
        say: Called with a line for a person.
    """

    registry: str
    insecure: bool
    say: Callable[[str], None]

    def publish(self, images: tuple[ReleasedImage, ...], chart: Path, version: str) -> Iterator[Published]:
        """Push images, bills and chart; what is there already is not sent again.

        Args:
            images: The images; their tag is the version with a `v` before it, as in Git.
            chart: Archive of the chart; its tag is the version, as Helm requires.
            version: Version of the release.

        Yields:
            What was pushed.

        Raises:
            ImageError: An image is damaged.
            RegistryError: The registry refuses something, or did not answer.
        """
        with tempfile.TemporaryDirectory(prefix="monobase-release-") as scratch:
            for image in images:
                yield self._push(image.name, image.index, f"v{version}")
                for architecture, bill in image.bills.items():
                    digest = image.index.image(architecture).manifest.digest
                    directory = Path(scratch, image.name, architecture)
                    artifact = [(descriptor_of(_BILL, bill.read_bytes()), bill)]
                    write_layout(directory, b"{}", artifact, {}, _EMPTY)
                    # The name by which cosign finds what belongs to an image.
                    yield self._push(image.name, read_layout(directory), f"{digest.replace(':', '-')}.sbom")
            write_artifact(chart, Path(scratch, "chart"))
            yield self._push(CHART, read_layout(Path(scratch, "chart")), version)

    def refuse_taken(self, images: tuple[ReleasedImage, ...], chart: Path, version: str) -> None:
        """Refuse a version whose tags name something else: whoever pulled it would get other contents.

        Args:
            images: The images.
            chart: Archive of the chart.
            version: Version of the release.

        Raises:
            DifferenceError: A tag names something else.
            RegistryError: The registry refuses something, or did not answer.
        """
        with tempfile.TemporaryDirectory(prefix="monobase-release-") as scratch:
            write_artifact(chart, Path(scratch, "chart"))
            of_chart = read_layout(Path(scratch, "chart"))
            self._refuse_taken(CHART, of_chart.manifest, version)
        for image in images:
            self._refuse_taken(image.name, image.index.root, f"v{version}")

    def _refuse_taken(self, name: str, wanted: Descriptor, tag: str) -> None:
        client = self._client(name)
        patience = Patience(_RETRIES, _Listener(self.say).retry)
        found = persist(lambda: client.manifest_digest(tag, wanted.media_type), patience)
        if found not in (None, wanted.digest):
            raise DifferenceError(
                f"{self.registry}/{name}:{tag}: is {found} already, and {wanted.digest} in this build; "
                "a version is published once: release another one"
            )

    def _push(self, name: str, content: Content, tag: str) -> Published:
        client, options = self._client(name), PushOptions(tags=(tag,), retries=_RETRIES)
        result = push(content, client, options, _Listener(self.say))
        self.say(f"{client.repository}:{tag}: pushed {result.pushed} blobs, {result.skipped} were there")
        return Published(f"{client.repository}:{tag}", result.digest)

    def _client(self, name: str) -> Registry:
        """Return a connection to the repository of an image or of the chart."""
        repository = parse_repository(f"{self.registry}/{name}")
        client = Registry(
            repository,
            find_credentials(repository, os.environ),
            insecure=self.insecure,
            jobs=PushOptions().jobs,
            environment=os.environ,
        )
        persist(client.connect, Patience(_RETRIES, _Listener(self.say).retry))
        return client


@dataclass(frozen=True, slots=True)
class _Listener:
    say: Callable[[str], None]

    def advance(self, count: int) -> None:
        """Show nothing: a release is several pushes, and each ends with a line."""

    def retry(self, error: TransientError, pause_s: float) -> None:
        self.say(f"{error}; again in {pause_s:.1f} s")
