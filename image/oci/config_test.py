from image.oci.config import ImageConfig, to_json
from image.oci.descriptor import LAYER_GZIP, Descriptor
from image.oci.layer import Layer

DATE = "2026-11-14T10:05:11Z"


def layer(letter: str) -> Layer:
    return Layer(
        Descriptor(LAYER_GZIP, f"sha256:{'0' * 64}", 1), f"sha256:{letter * 64}", f"layer {letter}", 1
    )


def test_the_lowest_layer_stands_first_in_layers_and_history() -> None:
    found = to_json(ImageConfig("arm64", DATE), [layer("a"), layer("b")])
    assert found["rootfs"] == {"type": "layers", "diff_ids": [f"sha256:{letter * 64}" for letter in "ab"]}
    assert found["history"] == [
        {"created": DATE, "created_by": "layer a"},
        {"created": DATE, "created_by": "layer b"},
    ]
    assert (found["created"], found["architecture"], found["os"]) == (DATE, "arm64", "linux")


def test_what_runs_has_the_names_of_the_specification() -> None:
    config = ImageConfig(
        "amd64",
        DATE,
        user="1000:1000",
        environment={"PATH": "/usr/bin", "LANG": "C.UTF-8"},
        entrypoint=("tini", "--"),
        command=("bash",),
        working_directory="/home/model",
        exposed_ports=("8080/tcp",),
        stop_signal="SIGTERM",
        labels={"org.opencontainers.image.title": "x"},
    )
    assert to_json(config, [])["config"] == {
        "User": "1000:1000",
        "ExposedPorts": {"8080/tcp": {}},
        "Env": ["PATH=/usr/bin", "LANG=C.UTF-8"],
        "Entrypoint": ["tini", "--"],
        "Cmd": ["bash"],
        "WorkingDir": "/home/model",
        "Labels": {"org.opencontainers.image.title": "x"},
        "StopSignal": "SIGTERM",
    }


def test_what_is_empty_is_left_out() -> None:
    assert to_json(ImageConfig("arm64", DATE), [])["config"] == {"WorkingDir": "/"}
