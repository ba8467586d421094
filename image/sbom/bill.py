"""Makes the bill of materials of an image as CycloneDX (ECMA-424, specification 1.6).

Not 1.7: in 2026 Trivy, Dependency-Track and OSV-Scanner still refused it, and nothing in it is needed here.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseAcknowledgement, LicenseExpression
from cyclonedx.model.lifecycle import LifecyclePhase, PredefinedLifecycle
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.spdx import is_supported_id
from packageurl import PackageURL
from packaging.version import Version

from image.debian.lock.lock_file import Lock
from image.errors import ImageError
from image.oci.descriptor import Descriptor
from image.sbom.contents import Contents
from image.sbom.installed_package import package_url, resolve_dependencies
from image.sbom.installed_wheel import wheel_url
from image.sbom.licence import Licence, licence_of
from image.sbom.node_environment import (
    NodeEnvironment,
    environment_component,
    interpreter_components,
    package_components,
    toolkit_components,
)

SCHEMA_VERSION = SchemaVersion.V1_6
_DECLARED = LicenseAcknowledgement.DECLARED
_LAYER = "monobase:layer"
_TOOL = "cyclonedx-python-lib"


def make_bill(
    contents: Contents,
    lock: Lock,
    wheel_digests: Mapping[tuple[str, str], str],
    environment: NodeEnvironment | None = None,
) -> Bom:
    """Make the bill of an image.

    Args:
        contents: What the image holds.
        lock: The lock of the Debian packages, for the digests of the .deb files.
        wheel_digests: SHA-256 of wheel files, by normalized name and version.
        environment: The environment that a model uses on the node, or that is in the image.

    Returns:
        The bill, always the same for the same image.

    Raises:
        ImageError: The image holds a package or wheel that is not locked.
    """
    image = _image(contents)
    system = _system(contents)
    packages = _packages(contents, lock)
    wheels = _wheels(contents, wheel_digests)
    generations = [_generation(name, files) for name, files in contents.generations.items()]
    application = _application(contents)
    model = _model(contents)
    used = [] if environment is None else _environment(contents, environment)
    below = {other.bom_ref.value for _, others in used for other in others}
    tops = [component for component, _ in used if component.bom_ref.value not in below]
    bill = Bom(
        components=[
            application,
            *model,
            system,
            *generations,
            *packages.values(),
            *wheels.values(),
            *(component for component, _ in used),
        ],
        metadata=BomMetaData(
            timestamp=datetime.fromisoformat(contents.created),
            component=image,
            lifecycles=[PredefinedLifecycle(LifecyclePhase.BUILD)],
            tools=ToolRepository(
                components=[Component(name=_TOOL, version=version(_TOOL), type=ComponentType.LIBRARY)]
            ),
        ),
    )
    needs = resolve_dependencies([package for package, _ in contents.packages])
    edges: list[tuple[Component, Iterable[Component]]] = [
        (image, [*model, application, system, *([] if model else tops)]),
        (system, packages.values()),
        *((packages[name], [packages[other] for other in others]) for name, others in needs.items()),
        *_wheel_edges(contents, wheels),
        # A wheel that no other wheel requires belongs to the application, or to the model.
        (application, [*generations, *([] if model else _roots(contents, wheels))]),
        *((one, [*tops, *_roots(contents, wheels)]) for one in model),
        *used,
        *((generation, []) for generation in generations),
    ]
    bill.dependencies = [
        Dependency(component.bom_ref, [Dependency(other.bom_ref) for other in others])
        for component, others in edges
    ]
    # The serial number is derived from the content: equal bills have equal numbers.
    bill.serial_number = uuid.UUID(int=0)
    bill.serial_number = uuid.uuid5(
        uuid.NAMESPACE_OID, hashlib.sha256(format_bill(bill).encode()).hexdigest()
    )
    return bill


def format_bill(bill: Bom) -> str:
    """Return a bill as JSON, always the same bytes for the same bill."""
    text = make_outputter(bill, OutputFormat.JSON, SCHEMA_VERSION).output_as_string()
    return json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _image(contents: Contents) -> Component:
    digest = contents.layout.manifest.digest
    url = PackageURL("oci", None, contents.title, digest, {"arch": contents.architecture})
    return Component(
        name=contents.title,
        version=digest,
        type=ComponentType.CONTAINER,
        bom_ref=url.to_string(),
        purl=url,
        hashes=[_sha256(digest.removeprefix("sha256:"))],
        properties=[_layer(blob) for blob in contents.layout.layers],
    )


def _system(contents: Contents) -> Component:
    name, number = contents.system
    return Component(
        name=name,
        version=number,
        type=ComponentType.OPERATING_SYSTEM,
        bom_ref=f"{name}-{number}",
    )


def _packages(contents: Contents, lock: Lock) -> Mapping[str, Component]:
    digests = {
        (package.name, package.version): package.sha256
        for packages in lock.layers.values()
        for package in packages
    }
    components = {}
    for package, layer in contents.packages:
        digest = digests.get((package.name, package.version))
        if digest is None:
            raise ImageError(
                f"{contents.layout.directory}: {package.name} {package.version} in it is not locked;"
                " the lock and the image are of different commits"
            )
        url = package_url(package, "-".join(contents.system))
        components[package.name] = Component(
            name=package.name,
            version=package.version,
            type=ComponentType.LIBRARY,
            bom_ref=url.to_string(),
            purl=url,
            description=package.summary,
            supplier=OrganizationalEntity(name=package.maintainer) if package.maintainer else None,
            hashes=[_sha256(digest)],
            licenses=_licences(contents.licences[package.name]),
            external_references=_website(package.homepage),
            properties=[_layer(layer)],
        )
    return components


def _wheels(contents: Contents, digests: Mapping[tuple[str, str], str]) -> Mapping[str, Component]:
    components = {}
    for wheel, layer in contents.wheels:
        digest = digests.get((wheel.name, wheel.version))
        if digest is None:
            raise ImageError(
                f"{contents.layout.directory}: {wheel.name} {wheel.version} in it"
                " is not among the wheels of the command line"
            )
        url = wheel_url(wheel)
        components[wheel.name] = Component(
            name=wheel.name,
            version=wheel.version,
            type=ComponentType.LIBRARY,
            bom_ref=url.to_string(),
            purl=url,
            description=wheel.summary,
            hashes=[_sha256(digest)],
            licenses=_licences(wheel.licences),
            properties=[_layer(layer)],
        )
    return components


def _application(contents: Contents) -> Component:
    return Component(
        name="monobase",
        # The code has no version number: the digest of its layer serves as one.
        version=contents.application_layer.digest,
        type=ComponentType.APPLICATION,
        bom_ref="monobase",
        licenses=_licences([licence_of(contents.licence)]),
        components=_files(contents.application),
        properties=[_layer(contents.application_layer)],
    )


def _model(contents: Contents) -> list[Component]:
    model = contents.model
    if model is None:
        return []
    return [
        Component(
            name=contents.title,
            # As of the application, the digest of the layer of its code serves as a version.
            version=model.layer.digest,
            type=ComponentType.APPLICATION,
            bom_ref="model",
            licenses=_licences([licence_of(model.licence)] if model.licence else []),
            components=_files(model.files),
            properties=[_layer(model.layer)],
        )
    ]


def _environment(contents: Contents, environment: NodeEnvironment) -> list[tuple[Component, list[Component]]]:
    """Return the components of an environment and of its parts, each with those that it consists of."""
    packages = package_components(environment)
    for wheel, layer in contents.environment_wheels:
        package = packages.get(wheel.name)
        if package is None or Version(str(package.version)) != Version(wheel.version):
            raise ImageError(
                f"{contents.layout.directory}: {wheel.name} {wheel.version} in it is not of the environment"
                f" {environment.name}; the lock and the image are of different commits"
            )
        package.description = wheel.summary
        package.licenses = _licences(wheel.licences)
        package.properties.add(_layer(layer))
    toolkits = toolkit_components(environment)
    interpreter = interpreter_components(environment)
    return [
        (environment_component(environment), [*interpreter, *packages.values()]),
        *toolkits,
        *((one, []) for one in [*interpreter, *packages.values()]),
        *((one, []) for _, others in toolkits for one in others),
    ]


def _generation(name: str, files: Mapping[str, str]) -> Component:
    return Component(
        name="monobase-generation",
        version=name,
        type=ComponentType.DATA,
        bom_ref=f"monobase-generation@{name}",
        description="The definition of a generation and its locks",
        components=_files(files),
    )


def _files(digests: Mapping[str, str]) -> list[Component]:
    return [
        Component(name=f"/{path}", type=ComponentType.FILE, bom_ref=f"file:/{path}", hashes=[_sha256(digest)])
        for path, digest in digests.items()
    ]


def _wheel_edges(
    contents: Contents, components: Mapping[str, Component]
) -> list[tuple[Component, list[Component]]]:
    return [
        (components[wheel.name], [components[name] for name in wheel.needs if name in components])
        for wheel, _ in contents.wheels
    ]


def _roots(contents: Contents, components: Mapping[str, Component]) -> list[Component]:
    needed = {name for wheel, _ in contents.wheels for name in wheel.needs}
    return [component for name, component in components.items() if name not in needed]


def _licences(licences: Sequence[Licence]) -> list[License]:
    """Return licences in the form of 1.6: either one expression, or identifiers and names."""
    if len(licences) > 0 and all(licence.is_spdx for licence in licences):
        texts = [licence.text for licence in licences]
        if len(texts) == 1 and is_supported_id(texts[0]):
            return [DisjunctiveLicense(id=texts[0], acknowledgement=_DECLARED)]
        joined = " AND ".join(f"({text})" if " " in text and len(texts) > 1 else text for text in texts)
        return [LicenseExpression(joined, acknowledgement=_DECLARED)]
    return [
        DisjunctiveLicense(id=licence.text, acknowledgement=_DECLARED)
        if licence.is_spdx and is_supported_id(licence.text)
        else DisjunctiveLicense(name=licence.text, acknowledgement=_DECLARED)
        for licence in licences
    ]


def _website(address: str) -> list[ExternalReference]:
    if not address:
        return []
    return [ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(address))]


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _layer(blob: Descriptor) -> Property:
    return Property(name=_LAYER, value=blob.digest)
