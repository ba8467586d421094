import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from image.model.facts import ModelFacts, format_facts
from image.model.make_model_image import main
from image.oci.config import ImageConfig, to_json
from image.oci.image_index import write_index
from image.oci.layer import format_layer, write_layer
from image.oci.layout import Layout, read_json, read_layout, to_json_bytes, write_layout

CREATED = "2026-11-22T02:09:05Z"


def blob(path: Path, name: str) -> Path:
    """Write a layer with one file, and its facts beside it; return the facts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layer = write_layer(path, [(tarfile.TarInfo(name), None)], name)
    facts = path.with_name(path.name.replace(".tar.gz", ".json"))
    facts.write_text(format_layer(layer))
    return facts


def base(folder: Path, architecture: str) -> Layout:
    folder.mkdir()
    layer = write_layer(folder / "blob", [(tarfile.TarInfo("base"), None)], "base")
    config = to_json(ImageConfig(architecture, CREATED), [layer])
    return write_layout(folder / "layout", to_json_bytes(config), [(layer.blob, folder / "blob")], {})


def make(tmp_path: Path, below: Path) -> Result:
    (tmp_path / "packages").mkdir()
    for number in range(11):
        blob(tmp_path / f"packages/{number:02}.tar.gz", f"package {number}")
    facts = ModelFacts(3, "python3.12", "sha256:" + "b" * 64, "amd64", {"PYTHON_VERSION": "3.12"}, ())
    (tmp_path / "facts").write_text(format_facts(facts))
    (tmp_path / "settings").write_text(json.dumps({"command": ["python"], "labels": {"team": "one"}}))
    layers = [
        word
        for name in ("data", "code")
        for word in ("--layer", f"{tmp_path}/{name}.tar.gz", str(blob(tmp_path / f"{name}.tar.gz", name)))
    ]
    options = {
        "--title": "echo", "--base": below, "--facts": tmp_path / "facts",
        "--settings": tmp_path / "settings", "--packages": tmp_path / "packages",
        "--output": tmp_path / "output",
    }  # fmt: skip
    return CliRunner().invoke(main, [*(str(word) for pair in options.items() for word in pair), *layers])


@pytest.mark.parametrize("of_both", [False, True])
def test_packages_lie_on_the_base_and_below_data_and_code(tmp_path: Path, of_both: bool) -> None:
    below = base(tmp_path / "amd64", "amd64")
    directory = below.directory
    if of_both:
        directory = write_index(tmp_path / "index", [base(tmp_path / "arm64", "arm64"), below]).directory
    done = make(tmp_path, directory)
    assert done.exit_code == 0, done.output
    image = read_layout(tmp_path / "output")
    config = read_json(image.path(image.config))
    assert [entry["created_by"] for entry in config["history"]] == [
        "base", *(f"package {number}" for number in range(11)), "data", "code",
    ]  # fmt: skip
    assert config["architecture"] == "amd64"
    assert config["config"]["Labels"]["team"] == "one"
    assert config["config"]["Labels"]["org.opencontainers.image.base.digest"] == below.manifest.digest


def test_a_base_for_another_architecture_is_refused(tmp_path: Path) -> None:
    done = make(tmp_path, base(tmp_path / "arm64", "arm64").directory)
    assert done.exit_code == 3
    assert "is an image for arm64, not for amd64" in done.output
