"""The whole source tree as files that tests can depend on, whatever BUILD files say of them."""

# Not sources, or data in bulk that no checker reads.
_SKIPPED = [".git", ".venv", "__pycache__", ".hypothesis", ".mypy_cache", ".ruff_cache", ".pytest_cache", "node_modules"]

def _is_skipped(path):
    name = path.basename
    return (
        name in _SKIPPED or
        name.startswith("bazel-") or
        (path.dirname.basename == "gens" and name[0] == "g" and name[1:].isdigit())
    )

def _source_tree_impl(rctx):
    root = rctx.workspace_root
    folders = [root]
    for _ in range(10000):  # Starlark has no while
        if not folders:
            break
        folder = folders.pop()
        for path in folder.readdir(watch = "yes" if folder == root else "no"):
            if _is_skipped(path):
                continue
            if path.is_dir:
                # The tree, not each folder of it: Bazel fails when a folder that it watches by itself is removed (a
                # folder of the root still is one: after its removal, `bazel clean --expunge`).
                if folder == root:
                    rctx.watch_tree(path)
                folders.append(path)
            else:
                # Without the suffix, Bazel would treat a linked BUILD file as a package of this repository.
                rctx.symlink(path, "files/%s.tree" % str(path)[len(str(root)) + 1:])
    if folders:
        fail("more than 10000 folders below %s: is an output folder of a tool among them?" % root)
    rctx.file("BUILD.bazel", """\
exports_files(["BUILD.bazel"])

filegroup(
    name = "files",
    srcs = glob(["files/**"]),
    visibility = ["//visibility:public"],
)
""")

source_tree = repository_rule(
    doc = "Links every source file of the workspace into one filegroup, `:files`, each with the suffix `.tree`.",
    implementation = _source_tree_impl,
)
