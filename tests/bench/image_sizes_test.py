import json
from pathlib import Path

from image.oci.descriptor import LAYER_GZIP, Descriptor, descriptor_of
from image.oci.layout import write_layout
from tests.bench.image_sizes import SizedImage, SizedLayer, pulled_bytes, size_image


def layer(name: str, size_bytes: int) -> SizedLayer:
    return SizedLayer(name, Descriptor(LAYER_GZIP, f"sha256:{name}", size_bytes))


def image(name: str, *layers: SizedLayer) -> SizedImage:
    return SizedImage(name, layers, (Descriptor("config", f"sha256:config of {name}", 10),))


SYSTEM, BUILD = layer("system", 1000), layer("build", 500)


def test_layers_that_two_images_share_are_pulled_once() -> None:
    images = [
        image("daemon", SYSTEM, BUILD, layer("code", 3)),
        image("runtime", SYSTEM, BUILD, layer("exec", 4)),
    ]
    assert [one.size_bytes for one in images] == [1513, 1514]
    assert pulled_bytes(images) == 1000 + 500 + 3 + 4 + 10 + 10


def test_without_a_layer_an_image_is_smaller_by_that_layer() -> None:
    whole = image("daemon", SYSTEM, BUILD, layer("code", 3))
    assert whole.without([BUILD.blob.digest]).size_bytes == whole.size_bytes - 500
    assert whole.without(["sha256:another"]) == whole


def test_each_layer_has_what_the_history_says_of_it_and_steps_without_a_layer_do_not_count(
    tmp_path: Path,
) -> None:
    blobs = []
    for content in (b"a", b"bc"):
        path = tmp_path / content.decode()
        path.write_bytes(content)
        blobs.append((descriptor_of(LAYER_GZIP, content), path))
    history = [{"created_by": "one"}, {"created_by": "a label", "empty_layer": True}, {"created_by": "two"}]
    config = json.dumps({"history": history}).encode()
    layout = write_layout(tmp_path / "layout", config, blobs, {})
    sized = size_image("daemon", layout)
    assert [(one.holds, one.blob.size_bytes) for one in sized.layers] == [("one", 1), ("two", 2)]
    assert sized.size_bytes == 3 + len(config) + layout.manifest.size_bytes
