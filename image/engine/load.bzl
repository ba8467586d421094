"""Programs that load an image into the container engine of this machine, or run it there."""

load("@rules_python//python:defs.bzl", "py_binary")

def _of_engine(name, program, args, image, **kwargs):
    py_binary(
        name = name,
        srcs = [Label("//image/engine:%s.py" % program)],
        args = args,
        data = [
            image,
            Label("//gens:version"),
        ],
        main = Label("//image/engine:%s.py" % program),
        deps = [Label("//image/engine")],
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
    args = ["$(rootpath %s)" % image, "--default-tag", tag]
    _of_engine(name, "load_main", args, image, **kwargs)

def oci_run(name, image, tag, **kwargs):
    """A program that runs a command in a container of an image: `bazel run :NAME -- COMMAND`.

    Args:
      name: of the target.
      image: a target whose one output is a folder with an OCI layout.
      tag: what the image is called in the engine: `monobase-baked:latest`.
      **kwargs: what py_binary takes besides.
    """
    args = ["--image=$(rootpath %s)" % image, "--default-tag", tag]
    _of_engine(name, "run_main", args, image, **kwargs)
