"""The shape of a mirror: what is written is read back, and nothing malformed is read."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from gens.errors import MirrorError
from gens.lock import Lock, LockedWheel, format_lock
from gens.mirror_shape import (
    INTERPRETER_TYPE,
    LOCK_TYPE,
    MANIFEST_TYPE,
    TITLE,
    WHEEL_TYPE,
    InterpreterConfig,
    archive_type,
    file_path,
    format_artifact,
    format_interpreter_config,
    format_interpreters_index,
    format_lock_config,
    interpreter_artifact,
    interpreter_path,
    interpreter_tag,
    lock_artifact,
    lock_config,
    lock_tag,
    parse_artifact,
    parse_interpreter_config,
    parse_interpreters_index,
    parse_lock_config,
    project_path,
)

TORCH = LockedWheel("torch", "2.4.1+cu118", "7" * 64, "torch-2.4.1+cu118-cp311-cp311-linux_x86_64.whl", 857)
NUMPY = LockedWheel("numpy", "1.26.4", "6" * 64, "numpy-1.26.4-cp311-cp311-linux_x86_64.whl", 18)
LOCK = Lock(
    3, "environment", "python3.11-torch2.4.1-cu118", "sha256:" + "a" * 64, "uv 0.13.9",
    "2026-11-01T00:00:00Z", (NUMPY, TORCH),
)  # fmt: skip
CONFIG = lock_config(LOCK, "x86_64", format_lock(LOCK))
PYTHON = InterpreterConfig(
    "cpython-3.12.12-linux-x86_64-gnu",
    "20251120/cpython-3.12.12+20251120-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz",
    "5" * 64,
    31_000_000,
)


def _changed(content: bytes, fields: dict[str, Any]) -> bytes:
    return json.dumps(json.loads(content) | fields).encode()


def test_a_lock_of_the_first_machine_has_a_tag_without_it() -> None:
    assert lock_tag(3, "python3.12", "x86_64") == "g00003-python3.12"
    assert lock_tag(3, "python3.12", "aarch64") == "g00003-python3.12-aarch64"


def test_a_plus_sign_which_a_tag_cannot_have_becomes_an_underscore() -> None:
    assert interpreter_tag("cpython-3.14.0+freethreaded-linux-x86_64-gnu") == (
        "interpreter-cpython-3.14.0_freethreaded-linux-x86_64-gnu"
    )


def test_a_tag_that_no_registry_takes_is_refused() -> None:
    with pytest.raises(MirrorError, match="at most 128"):
        lock_tag(3, "python3.12-" + "x" * 120, "x86_64")
    with pytest.raises(MirrorError, match="is not the key"):
        interpreter_tag("../../x")


def test_a_tree_has_one_path_for_each_wheel_page_and_interpreter() -> None:
    assert file_path(NUMPY.sha256, NUMPY.filename) == f"files/{'6' * 64}/{NUMPY.filename}"
    assert project_path("numpy") == "simple/numpy/index.html"
    assert interpreter_path(PYTHON.path) == f"interpreters/{PYTHON.path}"
    with pytest.raises(MirrorError, match="is not the path"):
        interpreter_path("../x.tar.gz")


def test_the_config_of_a_lock_is_read_back() -> None:
    assert parse_lock_config(format_lock_config(CONFIG), "here") == CONFIG
    assert CONFIG.lock == "sha256:" + hashlib.sha256(format_lock(LOCK).encode()).hexdigest()
    assert CONFIG.tag == "g00003-python3.11-torch2.4.1-cu118"


def test_two_locks_never_have_the_same_config() -> None:
    other = lock_config(replace(LOCK, generation_id=4), "x86_64", format_lock(LOCK))
    assert format_lock_config(other) != format_lock_config(CONFIG)


@pytest.mark.parametrize(
    "fields",
    [
        {"generation": -1},
        {"generation": "3"},
        {"kind": "folder"},
        {"name": "../x"},
        {"machine": "x86/64"},
        {"lock": "sha256:1"},
        {"packages": []},
        {"packages": [{"name": "numpy", "version": "1", "filename": "numpy-1-py3-none-any.whl", "size": 1}]},
    ],
)
def test_a_malformed_config_of_a_lock_is_refused_with_where_it_was(fields: dict[str, Any]) -> None:
    with pytest.raises(MirrorError, match=r"^registry/x: "):
        parse_lock_config(_changed(format_lock_config(CONFIG), fields), "registry/x")


@pytest.mark.parametrize(
    "fields",
    [
        {"sha256": "Z" * 64},
        {"sha256": "../../etc"},
        {"size": 0},
        {"size": 10**16},
        {"filename": "../numpy-1.26.4-py3-none-any.whl"},
        {"filename": "numpy-1.26.5-cp311-cp311-linux_x86_64.whl"},
        {"name": "NumPy"},
        {"version": "none"},
    ],
)
def test_a_malformed_wheel_of_a_config_is_refused(fields: dict[str, Any]) -> None:
    found = json.loads(format_lock_config(CONFIG))
    found["packages"][0] |= fields
    with pytest.raises(MirrorError, match=r"^registry/x: "):
        parse_lock_config(json.dumps(found).encode(), "registry/x")


def test_a_package_that_is_named_twice_is_refused() -> None:
    found = json.loads(format_lock_config(CONFIG))
    found["packages"].append(found["packages"][0])
    with pytest.raises(MirrorError, match="packages"):
        parse_lock_config(json.dumps(found).encode(), "registry/x")


def test_what_is_not_json_is_refused() -> None:
    for content in (b"", b"{", b"[]", b"\xff", b"[" * 100_000):
        with pytest.raises(MirrorError, match=r"^registry/x: cannot be read"):
            parse_lock_config(content, "registry/x")


def test_a_key_that_a_reader_does_not_know_is_ignored() -> None:
    assert parse_lock_config(_changed(format_lock_config(CONFIG), {"later": "x"}), "here") == CONFIG


def test_the_config_of_an_interpreter_is_read_back() -> None:
    content = format_interpreter_config(PYTHON)
    assert parse_interpreter_config(content, "here") == PYTHON
    assert json.loads(content)["filename"] == PYTHON.filename


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "/etc/passwd"},
        {"path": "20251120/../x.tar.gz"},
        {"path": ""},
        {"filename": "other.tar.gz"},
        {"key": "a/b"},
        {"sha256": "5"},
        {"size": -1},
    ],
)
def test_a_malformed_config_of_an_interpreter_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(MirrorError, match=r"^here: "):
        parse_interpreter_config(_changed(format_interpreter_config(PYTHON), fields), "here")


def test_the_list_of_interpreters_is_read_back_and_does_not_depend_on_their_order() -> None:
    other = replace(PYTHON, key="cpython-3.11.14-linux-x86_64-gnu")
    content = format_interpreters_index([PYTHON, other])
    assert content == format_interpreters_index([other, PYTHON])
    assert parse_interpreters_index(content, "here") == {PYTHON.key: PYTHON, other.key: other}
    with pytest.raises(MirrorError, match=r"^here: "):
        parse_interpreters_index(content.replace(b"20251120/", b"../"), "here")


def test_the_artifact_of_a_lock_has_each_wheel_under_its_own_digest() -> None:
    artifact = lock_artifact(CONFIG)
    found = json.loads(format_artifact(artifact))
    assert (found["mediaType"], found["artifactType"]) == (MANIFEST_TYPE, LOCK_TYPE)
    assert found["config"]["mediaType"] == LOCK_TYPE
    config = format_lock_config(CONFIG)
    assert found["config"]["digest"] == "sha256:" + hashlib.sha256(config).hexdigest()
    assert found["config"]["size"] == len(config)
    assert found["layers"][1] == {
        "mediaType": WHEEL_TYPE,
        "digest": f"sha256:{TORCH.sha256}",
        "size": TORCH.size_bytes,
        "annotations": {TITLE: TORCH.filename},
    }
    assert parse_artifact(format_artifact(artifact), "here") == artifact


def test_the_artifact_of_an_interpreter_has_its_archive_as_only_layer() -> None:
    artifact = interpreter_artifact(PYTHON)
    (layer,) = artifact.layers
    assert (layer.digest, layer.title) == (f"sha256:{PYTHON.sha256}", PYTHON.filename)
    assert (artifact.artifact_type, layer.media_type) == (INTERPRETER_TYPE, archive_type("x.tar.gz"))
    assert parse_artifact(format_artifact(artifact), "here") == artifact
    with pytest.raises(MirrorError, match="is not an archive"):
        archive_type("python.zip")


def test_a_manifest_without_an_artifact_type_has_that_of_its_config() -> None:
    artifact = lock_artifact(CONFIG)
    found = json.loads(format_artifact(artifact))
    del found["artifactType"], found["mediaType"]
    assert parse_artifact(json.dumps(found).encode(), "here") == artifact


@pytest.mark.parametrize(
    "fields",
    [
        {"schemaVersion": 1},
        {"mediaType": "application/vnd.oci.image.index.v1+json"},
        {"artifactType": "application/vnd.monobase.lock.v2+json"},
        {
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": "sha256:1",
                "size": 1,
            }
        },
        {"layers": [{"mediaType": WHEEL_TYPE, "digest": "sha512:1", "size": 1}]},
        {"layers": [{"mediaType": WHEEL_TYPE, "digest": "sha256:" + "1" * 64, "size": "1"}]},
        {
            "layers": [
                {
                    "mediaType": WHEEL_TYPE,
                    "digest": "sha256:" + "1" * 64,
                    "size": 1,
                    "annotations": {TITLE: "../x.whl"},
                }
            ]
        },
    ],
)
def test_a_manifest_of_something_else_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(MirrorError, match=r"^here: "):
        parse_artifact(_changed(format_artifact(lock_artifact(CONFIG)), fields), "here")
