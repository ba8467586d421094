"""The repositories of the checks."""

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
    source_tree(name = "source_tree")

lint = module_extension(implementation = _lint_impl)
