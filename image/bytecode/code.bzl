"""Tars of Python code with its bytecode, for layers of images."""

load("@rules_pkg//pkg:pkg.bzl", "pkg_tar")
load(":bytecode.bzl", "bytecode_tar")

def python_code_tar(name, srcs, data = [], **kwargs):
    """Makes a tar of Python files, each with its bytecode, by their paths in the repository below /opt/monobase.

    Args:
      name: of the target.
      srcs: the Python files.
      data: other files.
      **kwargs: what pkg_tar takes besides.
    """
    pkg_tar(
        name = name + "_sources",
        srcs = srcs + data,
        mode = "0644",
        package_dir = "/opt/monobase",
        strip_prefix = "/",
    )
    bytecode_tar(
        name = name + "_bytecode",
        srcs = srcs,
        package_dir = "/opt/monobase",
    )
    pkg_tar(
        name = name,
        deps = [
            name + "_bytecode",
            name + "_sources",
        ],
        **kwargs
    )
