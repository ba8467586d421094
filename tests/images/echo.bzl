"""The example of a model in other folders."""

load("//runtime:model.bzl", "model_image")

def echo_image(name, cmd, python = None):
    """Declares the image of runtime/examples/echo with a server of its own.

    Args:
      name: of the image.
      cmd: what makes the server `$@` of that of the example, `$<`.
      python: the interpreter that compiles the packages, if not that of the build.
    """
    native.genrule(
        name = "server",
        testonly = True,
        srcs = ["//runtime/examples/echo:server.py"],
        outs = ["server.py"],
        cmd = cmd,
    )
    model_image(
        name = name,
        testonly = True,
        srcs = ["server.py"],
        architecture = "amd64",
        base = "//runtime:image_amd64",
        command = [
            "python",
            "server.py",
        ],
        debian_lock = "//image/debian:packages.amd64.lock.json",
        labels = {
            "org.opencontainers.image.description": "The example of a weightless model",
            "org.opencontainers.image.licenses": "Apache-2.0",
        },
        lock = "//runtime/examples/echo:model.lock",
        ports = ["8080/tcp"],
        python = python,
        tags = ["manual"],
        title = "echo",
        visibility = ["//tests/images:__pkg__"],
        wheels = ["@echo_wheels_amd64//:wheels"],
    )
