# mypy: ignore-errors
"""A CUDA extension of Torch, to be compiled against an environment."""

from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

setup(
    name="twice",
    version="1.0",
    packages=["twice"],
    ext_modules=[CUDAExtension("twice._kernel", ["twice.cu"])],
    cmdclass={"build_ext": BuildExtension},
    install_requires=["torch"],
)
