"""The command that prints a base."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from tools.deploy.base import Image, pinned
from tools.deploy.render import main

DIGEST = "sha256:" + "3" * 64
POD = "kind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: an-image}]}\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "kustomization.yaml").write_text(
        pinned("namespace: here\nresources: [a.yaml]\n", [Image("an-image", DIGEST)])
    )
    (tmp_path / "a.yaml").write_text(POD)
    return tmp_path


def _run(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [str(directory), *arguments])


def test_it_prints_objects_with_registry_digest_namespace_and_variables(directory: Path) -> None:
    where = ("--registry", "registry.example/team", "--namespace", "there")
    result = _run(directory, *where, "--env", "A=b=c", "--env", "B=")
    assert result.exit_code == 0, result.output
    assert yaml.safe_load(result.stdout) == {
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "there"},
        "spec": {
            "containers": [
                {
                    "name": "a",
                    "image": f"registry.example/team/an-image@{DIGEST}",
                    "env": [{"name": "A", "value": "b=c"}, {"name": "B"}],
                }
            ]
        },
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--registry is needed"),
        (("--registry", "https://registry.example"), "is not a registry"),
        (("--registry", "registry.example", "--namespace", "Not_One"), "is not a name of a namespace"),
        (("--registry", "registry.example", "--env", "A"), "is not NAME=VALUE"),
    ],
)
def test_wrong_usage_exits_with_2(directory: Path, arguments: tuple[str, ...], message: str) -> None:
    result = _run(directory, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_malformed_base_exits_with_3(directory: Path) -> None:
    (directory / "a.yaml").unlink()
    result = _run(directory, "--registry", "registry.example")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "a.yaml: cannot be read" in result.stderr
