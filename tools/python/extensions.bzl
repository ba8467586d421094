"""The repositories of Python: the interpreter, and the wheels of the lock."""

load(":interpreter.bzl", "interpreter")
load(":lock.bzl", "label_name", "read_lock")
load(":wheels.bzl", "names", "wheel")

def _python_impl(mctx):
    interpreter(name = "interpreter")
    distributions = read_lock(mctx.read(Label("//tools/python:requirements.txt")))
    for name, distribution in distributions.items():
        wheel(
            name = "pip_" + label_name(name),
            needs = distribution.needs,
            # The pip of the lock installs all others.
            pip_wheel = None if name == "pip" else "@pip_pip//:BUILD.bazel",
            requirement = distribution.requirement,
        )
    names(name = "pip", distributions = distributions.keys())

python = module_extension(implementation = _python_impl)
