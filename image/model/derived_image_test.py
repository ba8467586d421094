import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from image.errors import ImageError
from image.model.derived_image import DerivedSettings, base_for, write_derived
from image.oci.config import ImageConfig, to_json
from image.oci.layer import Layer, write_layer
from image.oci.layout import Layout, read_json, to_json_bytes, write_layout

P = "org.opencontainers.image"
BASE = ImageConfig(
    "amd64",
    "2026-11-22T02:09:05Z",
    user="1000:1000",
    environment={"PATH": "/bin", "KEPT": "a=b"},
    entrypoint=["/exec"],
    command=["bash"],
    working_directory="/home/model",
    exposed_ports=["80/tcp"],
    labels={f"{P}.title": "base", f"{P}.version": "1", f"{P}.created": "2026-11-22T02:09:05Z", "theirs": "x"},
)


def layer(path: Path, text: bytes) -> tuple[Layer, Path]:
    member = tarfile.TarInfo("file")
    member.size = len(text)
    return write_layer(path, [(member, text)], f"layer {text.decode()}"), path


def base_image(folder: Path, config: ImageConfig = BASE) -> Layout:
    folder.mkdir()
    written = layer(folder / "layer", b"base")
    content = to_json_bytes(to_json(config, [written[0]]))
    return write_layout(folder / "layout", content, [(written[0].blob, written[1])], config.labels)


def derive(tmp_path: Path, base: Layout, **settings: Any) -> tuple[Layout, dict[str, Any]]:  # noqa: ANN401
    on_top = [layer(tmp_path / "one", b"1"), layer(tmp_path / "two", b"2")]
    image = write_derived(tmp_path / "derived", base, on_top, DerivedSettings(**settings))
    return image, read_json(image.path(image.config))


def test_an_image_has_the_layers_of_its_base_and_its_own_above(tmp_path: Path) -> None:
    base = base_image(tmp_path / "base")
    image, config = derive(tmp_path, base)
    assert image.layers[:1] == base.layers
    assert len(image.layers) == len(config["rootfs"]["diff_ids"]) == len(config["history"]) == 3
    assert [entry["created_by"] for entry in config["history"]] == ["layer base", "layer 1", "layer 2"]
    assert all(image.path(blob).is_file() for blob in image.blobs)


def test_what_is_not_said_is_the_base_s(tmp_path: Path) -> None:
    _, config = derive(tmp_path, base_image(tmp_path / "base"))
    execution = config["config"]
    assert (execution["User"], execution["WorkingDir"]) == ("1000:1000", "/home/model")
    assert (execution["Entrypoint"], execution["Cmd"]) == (["/exec"], ["bash"])
    assert execution["Env"] == ["PATH=/bin", "KEPT=a=b"]
    assert (config["architecture"], config["created"]) == ("amd64", BASE.created)


def test_what_is_said_replaces_or_adds(tmp_path: Path) -> None:
    said = {
        "command": ["python", "server.py"], "environment": {"PATH": "/mine", "NEW": "1"}, "user": "7:7",
        "exposed_ports": ["8080/tcp"], "stop_signal": "SIGINT", "working_directory": "/opt/model",
    }  # fmt: skip
    _, config = derive(tmp_path, base_image(tmp_path / "base"), **said)
    assert config["config"]["Env"] == ["PATH=/mine", "KEPT=a=b", "NEW=1"]
    assert config["config"]["ExposedPorts"] == {"80/tcp": {}, "8080/tcp": {}}
    assert config["config"]["Cmd"] == ["python", "server.py"]
    assert (config["config"]["User"], config["config"]["StopSignal"]) == ("7:7", "SIGINT")


def test_another_entrypoint_has_not_the_command_of_the_base(tmp_path: Path) -> None:
    _, config = derive(tmp_path, base_image(tmp_path / "base"), entrypoint=["/other"])
    assert config["config"]["Entrypoint"] == ["/other"]
    assert "Cmd" not in config["config"]


def test_labels_name_the_base_and_do_not_repeat_what_it_says_of_itself(tmp_path: Path) -> None:
    base = base_image(tmp_path / "base")
    image, config = derive(tmp_path, base, labels={f"{P}.title": "mine"})
    expected = {
        f"{P}.created": BASE.created,
        f"{P}.base.digest": base.manifest.digest,
        f"{P}.title": "mine",
        "theirs": "x",
    }
    assert config["config"]["Labels"] == expected
    assert read_json(image.path(image.manifest))["annotations"] == expected


def test_the_same_inputs_make_the_same_image(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        digests.append(derive(tmp_path / name, base_image(tmp_path / name / "base"))[0].manifest.digest)
    assert digests[0] == digests[1]


def test_a_base_for_another_architecture_is_refused(tmp_path: Path) -> None:
    base = base_image(tmp_path / "base")
    assert base_for(base.directory, "amd64") == base
    with pytest.raises(ImageError, match="is an image for amd64, not for arm64; write base with"):
        base_for(base.directory, "arm64")


def test_a_configuration_that_does_not_fit_the_layers_is_refused(tmp_path: Path) -> None:
    base = base_image(tmp_path / "base")
    config = read_json(base.path(base.config))
    config["rootfs"]["diff_ids"] = []
    base.path(base.config).write_text(json.dumps(config))
    with pytest.raises(ImageError, match="is not the configuration of a Linux image with 1 layers"):
        derive(tmp_path, base)
