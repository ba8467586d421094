"""Programs that run an image in the container engine of this machine."""

load("@rules_python//python:defs.bzl", "py_binary")

def oci_run(name, image, tag, **kwargs):
    """A program that runs a command in a container of an image: `bazel run :NAME -- COMMAND`.

    Args:
      name: of the target.
      image: a target whose one output is a folder with an OCI layout.
      tag: what the image is called in the engine: `monobase-baked:latest`.
      **kwargs: what py_binary takes besides.
    """
    py_binary(
        name = name,
        srcs = [Label("//image/engine:run_main.py")],
        args = [
            "--image=$(rootpath %s)" % image,
            "--default-tag",
            tag,
        ],
        data = [
            image,
            Label("//gens:version"),
        ],
        main = Label("//image/engine:run_main.py"),
        deps = [Label("//image/engine")],
        **kwargs
    )
