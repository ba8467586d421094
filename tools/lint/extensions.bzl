"""The repositories of the checks, and of the test of the launcher `bazelw`."""

load(":npm.bzl", "npm_package")
load(":tree.bzl", "source_tree")

def _lint_impl(_mctx):
    npm_package(
        name = "buildifier",
        build_file_content = """\
genrule(
    name = "buildifier",
    srcs = ["buildifier-{os}_{arch}"],
    outs = ["bin/buildifier"],
    cmd = "cp $< $@",
    executable = True,
    visibility = ["//visibility:public"],
)
""",
        integrity = "sha512-eZ/Aq+2r4PcJa6LbPCT6ffgIJfTU/gYilqIzoX2OLM4nNkbQC6tTMPZNn7aHHjhGPxbNLv41zm4Xqt1olCLgXw==",
        package = "@bazel/buildifier",
        version = "8.2.1",
    )
    npm_package(
        name = "bazelisk",
        build_file_content = """\
exports_files(["bazelisk-{os}_{arch}"])

alias(
    name = "bazelisk",
    actual = "bazelisk-{os}_{arch}",
    visibility = ["//visibility:public"],
)
""",
        integrity = "sha512-K21x83NXOtd0yb2qzjMES3UV4xEWZ1q1vnXFhADA1u7IoiMVQkJAVQRK3oZ5txpnrGafY15HS+YYr2nmsEP4Tg==",
        package = "@bazel/bazelisk",
        version = "1.28.1",
    )
    source_tree(name = "source_tree")

lint = module_extension(implementation = _lint_impl)
