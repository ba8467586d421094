"""A package of the daemon: its library, the code for the image, and the tests beside its modules."""

load("@rules_python//python:defs.bzl", "py_library")
load("//tools/python:pytest.bzl", "MOSTLY_WAITS", "pytest_test")

def daemon_package(name, deps, apart = {}, test_deps = {}, mostly_waits = []):
    """Declares the library of a package, `:code`, and a test for each `*_test.py`.

    Args:
      name: of the library: the name of the folder.
      deps: what the modules of the package import: packages of the daemon that stand lower, and wheels.
      apart: modules with a library of their own, named like the module, and what each imports beside the package:
        what uses only the package does not depend on it.
      test_deps: what tests import beside the library, by the name of the file; "*" is for all of them.
      mostly_waits: files of tests that wait most of their time.
    """
    py_library(
        name = name,
        srcs = native.glob(
            ["*.py"],
            exclude = ["*_test.py"] + [module + ".py" for module in apart],
        ),
        visibility = ["//visibility:public"],
        deps = deps + ["//daemon:package"],
    )
    for module, module_deps in apart.items():
        py_library(
            name = module,
            srcs = [module + ".py"],
            visibility = ["//visibility:public"],
            deps = [":" + name] + module_deps,
        )
    native.filegroup(
        name = "code",
        srcs = native.glob(
            ["*.py"],
            exclude = ["*_test.py"],
        ),
        visibility = ["//daemon:__pkg__"],
    )
    for test in native.glob(["*_test.py"], allow_empty = True):
        pytest_test(
            name = test.removesuffix(".py"),
            size = "medium",
            srcs = [test],
            tags = MOSTLY_WAITS if test in mostly_waits else [],
            deps = [":" + name] + test_deps.get("*", []) + test_deps.get(test, []) +
                   (["//tests/laws:files"] if test.endswith("_laws_test.py") else []),
        )
