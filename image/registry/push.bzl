"""Programs that push an image to a registry."""

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
        srcs = [Label("//image/registry:push_main.py")],
        args = ["$(rootpath %s)" % image],
        data = [
            image,
            Label("//gens:version"),
        ],
        main = Label("//image/registry:push_main.py"),
        deps = [Label("//image/registry")],
        **kwargs
    )
