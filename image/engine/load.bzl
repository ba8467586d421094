"""Programs that load an image into the container engine of this machine."""

load("@rules_python//python:defs.bzl", "py_binary")

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
        srcs = [Label("//image/engine:load_main.py")],
        args = [
            "$(rootpath %s)" % image,
            "--default-tag",
            tag,
        ],
        data = [
            image,
            Label("//gens:version"),
        ],
        main = Label("//image/engine:load_main.py"),
        deps = [Label("//image/engine")],
        **kwargs
    )
