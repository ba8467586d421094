"""The real kustomize and the schemas of Kubernetes' API, for tests."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

# What definitions in the cluster add, for which Kubernetes itself has no schema.
_CUSTOM_GROUPS = ("monitoring.coreos.com/",)


def kustomize(directory: Path) -> list[dict[str, Any]]:
    """Render a kustomization; skip where there is no kustomize.

    Raises:
        AssertionError: kustomize refuses it.
    """
    program = shutil.which("kustomize")
    if program is None:
        pytest.skip("kustomize is not installed here; the toolbox of ./bazelw has it")
    done = subprocess.run([program, "build", str(directory)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr  # noqa: S101 (of a test)
    assert not done.stderr, done.stderr  # noqa: S101 (deprecations)
    return list(yaml.safe_load_all(done.stdout))


def overlay(directory: Path, base: str, fields: dict[str, Any]) -> Path:
    """Write an overlay.

    Args:
        directory: A new folder for it.
        base: Its base, as seen from there.
        fields: What its kustomization says besides.

    Returns:
        The folder.
    """
    directory.mkdir()
    (directory / "kustomization.yaml").write_text(yaml.safe_dump({"resources": [base], **fields}))
    return directory


def validate(manifests: Iterable[dict[str, Any]]) -> list[str]:
    """Compare objects with the newest Kubernetes' schemas; a field that these do not know is an error too.

    Returns:
        Kind and name of each object that was compared.

    Raises:
        kubernetes_validate.ValidationError: One is not valid.
    """
    compared = []
    version = kubernetes_validate.latest_version()
    for manifest in manifests:
        if not manifest["apiVersion"].startswith(_CUSTOM_GROUPS):
            kubernetes_validate.validate(manifest, version, strict=True)
            compared.append(f"{manifest['kind']}/{manifest['metadata']['name']}")
    return compared
