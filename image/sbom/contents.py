"""Reads the content of an image: Debian packages, wheels, generations and the application, with layers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from image.errors import ImageError
from image.oci.config import ANNOTATION_PREFIX
from image.oci.descriptor import Descriptor
from image.oci.layout import Layout, read_json
from image.sbom.copyright_file import copyright_path, parse_copyright
from image.sbom.image_files import ImageFiles, file_digests, holds_below, read_files
from image.sbom.installed_package import STATUS_PATH, InstalledPackage, parse_status
from image.sbom.installed_wheel import METADATA_PATH, InstalledWheel, parse_wheel
from image.sbom.licence import Licence

_OS_RELEASE = "etc/os-release"
_COPYRIGHT = re.compile(r"usr/share/doc/[^/]+/copyright")
# Of an image with an environment in it, all is below this folder (layers/install.py).
_PREFIX = "srv/r8/monobase/"
_GENERATION = re.compile(r"opt/monobase/gens/(?P<name>g[0-9]{5,})(?:\.json|/.*)")


@dataclass(frozen=True, slots=True)
class ModelContents:
    """The content of the layers of a model.

    Attributes:
        licence: Licence of the model, from its label; empty if it has none.
        files: Digests of the files of the layers without wheels, by their paths.
        layer: The highest layer, which has the code.
    """

    licence: str
    files: Mapping[str, str]
    layer: Descriptor


@dataclass(frozen=True, slots=True)
class Contents:
    """The content of an image.

    Attributes:
        layout: The image.
        architecture: Its architecture (GOARCH), from its configuration.
        title: Its name, from its label.
        created: Date in its configuration (RFC 3339).
        licence: Licence of its application, from its label.
        system: Name and version of the operating system, such as `debian` and `13`.
        packages: Its Debian packages, sorted by name, each with the layer that installed it.
        licences: Licences of each package, by its name.
        wheels: Its wheels, sorted by name, each with the layer that installed it; without those below.
        environment_wheels: The wheels of an environment that is in the image, in the same way.
        generations: Digests of the files of each generation, by their paths, by its name.
        application: Digests of all other files of the layers of the application, by their paths.
        application_layer: The highest of those layers.
        model: Of a model's image: what it has above Monobase's image.
    """

    layout: Layout
    architecture: str
    title: str
    created: str
    licence: str
    system: tuple[str, str]
    packages: tuple[tuple[InstalledPackage, Descriptor], ...]
    licences: Mapping[str, tuple[Licence, ...]]
    wheels: tuple[tuple[InstalledWheel, Descriptor], ...]
    environment_wheels: tuple[tuple[InstalledWheel, Descriptor], ...]
    generations: Mapping[str, Mapping[str, str]]
    application: Mapping[str, str]
    application_layer: Descriptor
    model: ModelContents | None = None


def read_contents(layout: Layout, base: Layout | None = None) -> Contents:
    """Read the content of an image from its layers.

    Args:
        layout: The image.
        base: Of a model's image: the image of Monobase below; the layers above it are the model's.

    Returns:
        The content.

    Raises:
        ImageError: It does not have the form of Monobase's images, or is not on top of the base.
    """
    count = len(layout.layers) if base is None else len(base.layers)
    if base is not None and layout.layers[:count] != base.layers:
        raise ImageError(f"{layout.directory}: does not begin with the layers of {base.directory}")
    files = read_files(layout, _is_wanted)
    config = read_json(layout.path(layout.config))
    labels = _labels(layout)
    packages = _packages(layout, files)
    wheels = _wheels(files)
    # A layer without packages, wheels and an environment holds Monobase's files only.
    ours = [layer.blob for layer in files.layers[:count] if not layer.contents]
    ours = [blob for blob in ours if not holds_below(layout, blob, _PREFIX)]
    of_the_model = [layer.blob for layer in files.layers[count:] if not layer.contents]
    if not ours:
        raise ImageError(f"{layout.directory}: has no layer of an application")
    generations: dict[str, dict[str, str]] = {}
    application: dict[str, str] = {}
    for blob in ours:
        for path, digest in file_digests(layout, blob).items():
            found = _GENERATION.fullmatch(path)
            (application if found is None else generations.setdefault(found["name"], {}))[path] = digest
    return Contents(
        layout,
        architecture=config["architecture"],
        title=_label(layout, labels, "title"),
        created=config["created"],
        licence=_licence(layout, labels if base is None else _labels(base)),
        system=_system(layout, files),
        packages=packages,
        licences={package.name: _licences(layout, files, package) for package, _ in packages},
        wheels=tuple(pair for pair in wheels if not pair[0].path.startswith(_PREFIX)),
        environment_wheels=tuple(pair for pair in wheels if pair[0].path.startswith(_PREFIX)),
        generations=generations,
        application=application,
        application_layer=ours[-1],
        model=None if base is None else _model(layout, of_the_model, labels),
    )


def _is_wanted(path: str) -> bool:
    return (
        path == STATUS_PATH
        or path.endswith("/os-release")
        or _COPYRIGHT.fullmatch(path) is not None
        or METADATA_PATH.fullmatch(path) is not None
    )


def _packages(layout: Layout, files: ImageFiles) -> tuple[tuple[InstalledPackage, Descriptor], ...]:
    """Read the highest layer's dpkg status; those of lower layers show which layer installed a package."""
    brought: dict[tuple[str, str], Descriptor] = {}
    packages: tuple[InstalledPackage, ...] = ()
    for layer in files.layers:
        status = layer.contents.get(STATUS_PATH)
        if status is not None:
            packages = parse_status(status, f"{layout.path(layer.blob)}: {STATUS_PATH}")
            for package in packages:
                brought.setdefault((package.name, package.version), layer.blob)
    return tuple((package, brought[package.name, package.version]) for package in packages)


def _wheels(files: ImageFiles) -> tuple[tuple[InstalledWheel, Descriptor], ...]:
    found = {
        path: (parse_wheel(path, content), layer.blob)
        for layer in files.layers
        for path, content in layer.contents.items()
        if METADATA_PATH.fullmatch(path)
    }
    return tuple(sorted(found.values(), key=lambda pair: pair[0].name))


def _licences(layout: Layout, files: ImageFiles, package: InstalledPackage) -> tuple[Licence, ...]:
    content = files.read(copyright_path(package.name))
    if content is None:
        raise ImageError(
            f"{layout.directory}: {package.name} has no /{copyright_path(package.name)},"
            " which Debian's policy asks of each package"
        )
    return parse_copyright(package.name, content)


def _system(layout: Layout, files: ImageFiles) -> tuple[str, str]:
    """Read os-release(5)."""
    lines = (files.read(_OS_RELEASE) or b"").decode().splitlines()
    fields = {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in lines)}
    if not fields.get("ID") or not fields.get("VERSION_ID"):
        raise ImageError(f"{layout.directory}: /{_OS_RELEASE} in it names no ID and VERSION_ID")
    return fields["ID"], fields["VERSION_ID"]


def _model(layout: Layout, layers: Sequence[Descriptor], labels: Mapping[str, str]) -> ModelContents:
    files = {path: digest for blob in layers for path, digest in file_digests(layout, blob).items()}
    licence = labels.get(f"{ANNOTATION_PREFIX}.licenses", "")
    return ModelContents(licence, dict(sorted(files.items())), layout.layers[-1])


def _labels(layout: Layout) -> Mapping[str, str]:
    found: Mapping[str, str] = read_json(layout.path(layout.config)).get("config", {}).get("Labels", {})
    return found


def _licence(layout: Layout, labels: Mapping[str, str]) -> str:
    """Return the licence of Monobase: an image with an environment in it has another label for it."""
    return labels.get("monobase.licenses") or _label(layout, labels, "licenses")


def _label(layout: Layout, labels: Mapping[str, str], name: str) -> str:
    value = labels.get(f"{ANNOTATION_PREFIX}.{name}")
    if not value:
        raise ImageError(f"{layout.directory}: has no label {ANNOTATION_PREFIX}.{name}")
    return value
