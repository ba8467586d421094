"""Targets that bring an image out of the build: to a registry, or to the container engine of this machine."""

load("@rules_python//python:defs.bzl", "py_binary")

def oci_push(name, image, **kwargs):
    """A program that pushes an image: `bazel run :NAME -- --repository R --tag T`.

    Args:
      name: of the target.
      image: a target whose one output is a folder with an OCI layout.
      **kwargs: what py_binary takes besides.
    """
    py_binary(
        name = name,
        srcs = [Label("//image/oci:push_main.py")],
        args = ["$(rootpath %s)" % image],
        data = [image],
        main = Label("//image/oci:push_main.py"),
        deps = [Label("//image/oci:push")],
        **kwargs
    )

def oci_load(name, image, tag, **kwargs):
    """A program that loads an image into podman or Docker: `bazel run :NAME`.

    Args:
      name: of the target.
      image: a target whose one output is a folder with an OCI layout.
      tag: what the image is called there unless the caller says otherwise: `monobase/daemon:latest`.
      **kwargs: what py_binary takes besides.
    """
    py_binary(
        name = name,
        srcs = [Label("//image/oci:load_main.py")],
        args = [
            "$(rootpath %s)" % image,
            "--default-tag",
            tag,
        ],
        data = [image],
        main = Label("//image/oci:load_main.py"),
        deps = [Label("//image/oci:load")],
        **kwargs
    )
