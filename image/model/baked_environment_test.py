from pathlib import Path

import pytest

from gens.catalog import Catalog, load_catalog
from image.architecture import find_architecture
from image.errors import ImageError
from image.model.baked_environment import find_baked, format_baked, parse_baked
from layers.lock import lock_digest
from tests.index.wheel import WheelSpec, write_wheel
from tests.synthetic.catalog import PYTHON_FULL, environment_cell, toolkit_cell, write_catalog

AMD64 = find_architecture("amd64")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    torch, cudart, cudnn = (
        write_wheel(WheelSpec(name, "1.0"), tmp_path / "wheels") for name in ("torch", "cudart", "cudnn")
    )
    cells = [
        environment_cell([torch, cudart], "2.13.0", "cu130", python=PYTHON_FULL),
        toolkit_cell([cudart], "13.0.3"),
        toolkit_cell([cudnn], "9.26.0.51", "13"),
    ]
    gens = write_catalog(tmp_path / "gens", {2: cells})
    return load_catalog(gens)


def test_an_environment_is_described_by_its_locks_and_selected_by_its_variables(catalog: Catalog) -> None:
    name = f"python{PYTHON_FULL.rpartition('.')[0]}-torch2.13.0-cu130"
    found = find_baked(catalog, AMD64, 2, name, ("cuda13.0", "cudnn9-cuda13"))
    lock = (catalog.locks_directory / "g00002" / f"{name}.txt").read_text()
    assert (found.base, found.python) == (lock_digest(lock), PYTHON_FULL)
    assert [package.name for package in found.packages] == ["cudart", "torch"]
    assert [(it.name, [one.name for one in it.packages]) for it in found.toolkits] == [
        ("cuda13.0", ["cudart"]), ("cudnn9-cuda13", ["cudnn"]),
    ]  # fmt: skip
    assert {"TORCH_VERSION": "2.13.0+cu130", "CUDA_VERSION": "13.0", "CUDNN_VERSION": "9"}.items() <= (
        found.variables.items()
    )
    assert parse_baked(format_baked(found).encode(), Path("x")) == found


@pytest.mark.parametrize(
    ("environment", "toolkits", "message"),
    [
        ("python3.11-torch9", (), "the environment to bake: g00002 has no 'python3.11-torch9'; it has "),
        ("cuda13.0", (), "cuda13.0: is a toolkit; name an environment"),
        ("TORCH", ("cuda12.8",), "g00002 has no 'cuda12.8'; it has "),
        ("TORCH", ("TORCH",), "is an environment, not a toolkit; an image has one environment"),
    ],
)
def test_what_a_generation_lacks_is_refused_with_what_it_has(
    catalog: Catalog, environment: str, toolkits: tuple[str, ...], message: str
) -> None:
    name = f"python{PYTHON_FULL.rpartition('.')[0]}-torch2.13.0-cu130"
    named = [name if it == "TORCH" else it for it in (environment, *toolkits)]
    with pytest.raises(ImageError) as caught:
        find_baked(catalog, AMD64, 2, named[0], tuple(named[1:]))
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 2}', '{"format": 1}', "no JSON"])
def test_another_file_is_not_a_description(text: str) -> None:
    with pytest.raises(ImageError, match=r"^/etc/it: "):
        parse_baked(text.encode(), Path("/etc/it"))
