"""Runs the real kustomize and checks objects with the schemas of Kubernetes' API, for tests."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tools.deploy.node_readiness_rule import API_VERSION, SCHEMA

# Kinds that custom resource definitions add: Kubernetes itself has no schema for them. One has ours.
_CUSTOM_GROUPS = ("monitoring.coreos.com/",)


def kustomize(directory: Path) -> list[dict[str, Any]]:
    """Render a kustomization; skip the test where kustomize is not installed.

    Raises:
        AssertionError: kustomize refuses the kustomization, or warns.
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
        base: Path of its base, relative to `directory`.
        fields: Further fields of its kustomization.

    Returns:
        The folder.
    """
    directory.mkdir()
    (directory / "kustomization.yaml").write_text(yaml.safe_dump({"resources": [base], **fields}))
    return directory


def validate(manifests: Iterable[dict[str, Any]]) -> list[str]:
    """Validate objects with the schemas of the newest Kubernetes; an unknown field is an error as well.

    A NodeReadinessRule is validated with Monobase's own schema.

    Returns:
        Kind and name of each object that was validated.

    Raises:
        kubernetes_validate.ValidationError: An object is not valid.
        jsonschema.ValidationError: A NodeReadinessRule is not valid.
    """
    compared = []
    version = kubernetes_validate.latest_version()
    for manifest in manifests:
        if manifest["apiVersion"].startswith(_CUSTOM_GROUPS):
            continue
        if manifest["apiVersion"] == API_VERSION:
            jsonschema.validate(manifest, SCHEMA)
        else:
            kubernetes_validate.validate(manifest, version, strict=True)
        compared.append(f"{manifest['kind']}/{manifest['metadata']['name']}")
    return compared
