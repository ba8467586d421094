"""A chart: its files, and the archive and the OCI artifact that hold them.

https://helm.sh/docs/topics/charts/ defines the files, https://helm.sh/docs/topics/registries/ the artifact.
"""

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deflate
import yaml

from image.oci.descriptor import descriptor_of
from image.oci.layout import write_layout
from tools.deploy.base import Image
from tools.deploy.chart.objects import objects_of
from tools.deploy.chart.sources import Sources
from tools.deploy.chart.values import values_schema, values_yaml
from tools.deploy.errors import ManifestError

NAME = "monobase"
_CONFIG = "application/vnd.cncf.helm.config.v1+json"
_CONTENT = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_METADATA = "Chart.yaml"
_LEVEL = 9
_NOTES = """\
The daemon installs on each node what its values name; this is ready when every node has it:

    kubectl -n {{ .Release.Namespace }} rollout status daemonset/monobase-daemon

If pods are refused, the namespace lacks the Pod Security level that a folder of the node needs:

    kubectl label namespace {{ .Release.Namespace }} pod-security.kubernetes.io/enforce=privileged
"""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart.

    Attributes:
        metadata: Content of `Chart.yaml`.
        files: Its other files, by path.
    """

    metadata: Mapping[str, Any]
    files: Mapping[str, str]

    @property
    def file_name(self) -> str:
        """Name of its archive, as Helm names it."""
        return f"{self.metadata['name']}-{self.metadata['version']}.tgz"


def make_chart(sources: Sources, image: Image, version: str) -> Chart:
    """Make a chart.

    Args:
        sources: The base and its components.
        image: Image of the daemon.
        version: Version of the chart and of the daemon.

    Raises:
        ManifestError: The manifests are not those that a chart is made of.
    """
    objects = objects_of(sources, image)
    files = {
        "values.yaml": values_yaml(objects.values),
        "values.schema.json": json.dumps(values_schema(objects.values), indent=2) + "\n",
        "templates/NOTES.txt": _NOTES,
    }
    files |= {f"templates/{name}": text for name, text in objects.templates.items()}
    metadata = {
        "apiVersion": "v2",
        "name": NAME,
        "description": "Every combination of CUDA, cuDNN, Python and Torch, installed once on each GPU node",
        "type": "application",
        "version": version,
        "appVersion": version,
        # Of the oldest field in it: readiness by a command and all else is older.
        "kubeVersion": ">=1.26.0-0",
    }
    return Chart(metadata, files)


def to_archive(chart: Chart) -> bytes:
    """Return the `.tgz` of a chart: always the same bytes."""
    files = {
        _METADATA: yaml.safe_dump(dict(chart.metadata), sort_keys=False, width=1_000_000),
        **chart.files,
    }
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        # Helm wants Chart.yaml first; the order of the others is that of their names.
        for path in sorted(files, key=lambda path: (path != _METADATA, path)):
            content = files[path].encode()
            member = tarfile.TarInfo(f"{chart.metadata['name']}/{path}")
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return bytes(deflate.gzip_compress(stream.getvalue(), _LEVEL))


def read_metadata(archive: bytes) -> dict[str, Any]:
    """Return the content of `Chart.yaml` of an archive.

    Raises:
        ManifestError: It is not a chart.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            stream = tar.extractfile(f"{NAME}/{_METADATA}")
            metadata = yaml.safe_load(stream.read()) if stream is not None else None
    except (tarfile.TarError, OSError, KeyError, yaml.YAMLError) as error:
        raise ManifestError(f"the archive is not a chart: {error!r}") from error
    if not isinstance(metadata, dict):
        raise ManifestError("the archive is not a chart: Chart.yaml is not a YAML mapping")
    return metadata


def write_artifact(archive: Path, directory: Path) -> None:
    """Write the OCI layout of a chart, as `helm push` would push it.

    Args:
        archive: The `.tgz`.
        directory: The folder to make.

    Raises:
        ManifestError: The archive is not a chart.
    """
    content = archive.read_bytes()
    metadata = read_metadata(content)
    annotations = {
        "org.opencontainers.image.title": metadata["name"],
        "org.opencontainers.image.description": metadata["description"],
        "org.opencontainers.image.version": metadata["version"],
    }
    config = json.dumps(metadata, separators=(",", ":")).encode()
    write_layout(directory, config, [(descriptor_of(_CONTENT, content), archive)], annotations, _CONFIG)
