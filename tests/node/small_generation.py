"""A small generation in which everything is shared somehow."""

from tests.index.cuda_set import cudnn_wheel
from tests.node.node import Node
from tests.synthetic.catalog import environment_cell, toolkit_cell


def define_small_generation(node: Node) -> None:
    """Define three environments and two toolkits with few files, in which everything is shared somehow.

    A library that a toolkit and an environment bring; one content in two wheels; a script, a data file and
    a header; two versions of a package.
    """
    same = b"\x7fELF" + b"same content in two wheels" * 40
    cublas = node.wheel(
        "nvidia-cublas-cu12", "12.4.5.8",
        files={
            "nvidia/cublas/lib/libcublas.so.12": b"\x7fELF cublas", "nvidia/cublas/include/cublas.h": b"//\n",
        },
    )  # fmt: skip
    cudnn = node.index.add(cudnn_wheel("9.1.0.70", 12))
    alpha = node.wheel(
        files={"alpha/__init__.py": b"NAME = 'alpha'\n", "alpha/part.py": b"x = 1\n", "alpha/same": same},
        console_scripts={"alpha-tool": "alpha:main"},
        data={"data/share/alpha/model.bin": b"weights", "headers/alpha.h": b"//\n"},
    )
    old, new = (
        node.wheel(
            "torch", version,
            files={"torch/__init__.py": f"v = '{version}'\n".encode(), "torch/lib/same.so": same},
        )
        for version in ("2.4.1", "2.5.1")
    )  # fmt: skip
    node.define(
        environment_cell([alpha]),
        environment_cell([alpha, old, cublas, cudnn], "2.4.1", "cu124"),
        environment_cell([alpha, new, cublas], "2.5.1", "cu124"),
        toolkit_cell([cublas], "12.4.1"),
        toolkit_cell([cudnn], "9.1.0.70", "12"),
    )
