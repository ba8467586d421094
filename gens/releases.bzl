"""What an index serves, for Starlark: `@releases//:releases.bzl` holds the content of releases.json."""

def _releases_repository_impl(repository_ctx):
    content = repository_ctx.read(repository_ctx.attr.file)
    repository_ctx.file("BUILD.bazel", "exports_files([\"releases.bzl\"])\n")
    repository_ctx.file("releases.bzl", "\"\"\"What gens/releases.json says.\"\"\"\n\nRELEASES = %s\n" % repr(json.decode(content)))

_releases_repository = repository_rule(
    implementation = _releases_repository_impl,
    doc = "The content of releases.json as a value that .bzl files load.",
    attrs = {"file": attr.label(allow_single_file = [".json"], mandatory = True, doc = "The file.")},
)

def _releases_impl(_module_ctx):
    _releases_repository(name = "releases", file = Label("//gens:releases.json"))

releases = module_extension(
    implementation = _releases_impl,
    doc = "The releases of Torch, its companions, CUDA and cuDNN; `bazel run //tools:update_releases` reads them.",
)
