"""The wheels of the Python lock: a repository for each, and one that names them all."""

load(":lock.bzl", "label_name")

# The folder as a whole, not its files: a test has one link to a wheel of thousands of files, in its runfiles and in its sandbox.
# Nothing writes there after the install, so it does not change behind Bazel's back (.bazelrc lets Bazel look, all the same).
_WHEEL = """\
load("@rules_python//python:defs.bzl", "py_library")

py_library(
    name = "pkg",
    data = ["site-packages"],
    imports = ["site-packages"],
    visibility = ["//visibility:public"],
    deps = {deps},
)
"""

def _wheel_impl(rctx):
    rctx.file("requirements.txt", rctx.attr.requirement + "\n")
    environment = {"PYTHONSAFEPATH": "1"}
    if rctx.attr.pip_wheel:
        environment["PYTHONPATH"] = str(rctx.path(rctx.attr.pip_wheel).dirname.get_child("site-packages"))

    # pip's own configuration says where packages come from and whom to trust; the hashes say which.
    installed = rctx.execute(
        [rctx.path(rctx.attr.interpreter), "-B", rctx.path(rctx.attr.program), "requirements.txt", "site-packages"],
        environment = environment,
        timeout = 3600,
    )
    if installed.return_code:
        fail("pip cannot install %s: %s" % (rctx.attr.requirement.partition(" ")[0], installed.stderr or installed.stdout))
    rctx.file("BUILD.bazel", _WHEEL.format(deps = ["@pip//" + label_name(need) for need in rctx.attr.needs]))

wheel = repository_rule(
    doc = "A repository with one distribution of the lock, the library `pkg`, and its files in `site-packages`.",
    implementation = _wheel_impl,
    attrs = {
        "interpreter": attr.label(default = "@interpreter//:python", doc = "The Python that runs pip."),
        "needs": attr.string_list(doc = "The names of the distributions that it needs."),
        "pip_wheel": attr.label(doc = "The wheel of pip, if not what the interpreter has for a start."),
        "program": attr.label(default = "//tools/python:install_wheel.py", doc = "What calls pip."),
        "requirement": attr.string(doc = "Its lines of the lock.", mandatory = True),
    },
)

_NAME = """\
alias(
    name = "{name}",
    actual = "@pip_{name}//:pkg",
    visibility = ["//visibility:public"],
)
"""

def _names_impl(rctx):
    rctx.file("BUILD.bazel", "")
    labels = ['    Label("//%s"),' % label_name(one) for one in rctx.attr.distributions]
    rctx.file("requirements.bzl", "\n".join(["all_requirements = ["] + labels + ["]", ""]))
    for distribution in rctx.attr.distributions:
        name = label_name(distribution)
        rctx.file(name + "/BUILD.bazel", _NAME.format(name = name))

names = repository_rule(
    doc = "A repository with a library for each distribution of the lock, such as @pip//import_linter.",
    implementation = _names_impl,
    attrs = {"distributions": attr.string_list(mandatory = True)},
)
