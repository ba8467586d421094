"""`monogen`, which defines a generation, and the targets that a list of generations becomes."""

load("@rules_pkg//pkg:mappings.bzl", "pkg_attributes", "pkg_files", "strip_prefix")
load("@rules_pkg//pkg:pkg.bzl", "pkg_tar")
load("@rules_python//python:defs.bzl", "py_binary")
load("//image/oci:layer.bzl", "oci_layer")
load("//tools/python:pytest.bzl", "pytest_test")
load(":matrix.bzl", "expand")
load(":pool_check.bzl", "validate_pools")
load(":validation.bzl", "validate_monogen", "validate_order")

_DEFAULTS = {
    "torch": [],
    "cuda": {},
    "cudnn": {},
    "packages": [],
    "platforms": ["x86_64-manylinux_2_28"],
    "machines": {},
    "stacks": {},
    "indexes": {},
    "companions": {},
    "absences": None,
}

def monogen(**fields):
    """Defines a generation; fails for a wrong definition with the generation, the field and what is allowed.

    Args:
      **fields: id, python, cuda, cudnn, torch, packages, exclude_newer, platforms, stacks …; README.md describes each.

    Returns:
      the expanded generation.
    """
    fields = dict(_DEFAULTS, **fields)
    errors = validate_monogen(fields)
    if errors:
        fail("\n  ".join(["PROD_MONOGENS in gens/prod.bzl:"] + errors))
    return expand(fields)

def _generation_impl(ctx):
    ctx.actions.write(ctx.outputs.definition, ctx.attr.json + "\n")
    files = depset([ctx.outputs.definition] + ctx.files.locks)
    return [DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files))]

generation = rule(
    implementation = _generation_impl,
    doc = "One generation: its definition as JSON, for Python, and its locks.",
    attrs = {
        "json": attr.string(mandatory = True, doc = "The definition."),
        "locks": attr.label_list(allow_files = [".txt"], doc = "The checked-in locks."),
        "definition": attr.output(mandatory = True, doc = "Output file of the definition."),
    },
)

def _pools_impl(ctx):
    ctx.actions.write(ctx.outputs.out, ctx.attr.json + "\n")
    files = depset([ctx.outputs.out])
    return [DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files))]

_pools = rule(
    implementation = _pools_impl,
    doc = "The pools as JSON, for Python.",
    attrs = {
        "json": attr.string(mandatory = True, doc = "The patterns of each pool."),
        "out": attr.output(mandatory = True, doc = "Output file."),
    },
)

def generations(name, monogens, pools = {}):
    """Declares a target and a test for each generation, one for the pools, and a target of all of them.

    It is called in the package that has the locks, once: of this repository, or of a team's own. NAME.update, NAME.diff,
    NAME.matrix and NAME.mirror are //tools:update and so on for the generations of that package; NAME.layer is a layer of an
    image with them, which `daemon_image` (daemon/image.bzl) takes.

    Args:
      name: name of the target of all generations.
      monogens: generations of `monogen`, oldest first.
      pools: the patterns of each pool.
    """
    env = {"MONOBASE_GENERATIONS_FOLDER": native.package_name() or "."}
    errors = validate_order([fields["id"] for fields in monogens])
    if errors:
        fail("\n  ".join(["PROD_MONOGENS in gens/prod.bzl:"] + errors))
    errors = validate_pools(pools, monogens)
    if errors:
        fail("\n  ".join(["POOLS in gens/pools.bzl:"] + errors))
    _pools(
        name = "pools",
        json = json.encode_indent(pools, indent = "  "),
        out = "pools.json",
    )
    directories = []
    for fields in monogens:
        directory = directory_name(fields["id"])
        directories.append(directory)
        generation(
            name = directory,
            json = json.encode_indent(fields, indent = "  "),
            locks = native.glob([directory + "/*.txt", directory + "/*/*.txt"], allow_empty = True),
            definition = directory + ".json",
        )
        pytest_test(
            name = directory + "_test",
            srcs = [Label("//gens:sealed_generation_test.py")],
            data = ["gens.sum", directory],
            deps = [Label("//gens")],
            env = env | {"MONOBASE_GENERATION": str(fields["id"])},
        )
    native.filegroup(
        name = name,
        srcs = directories + ["gens.sum", "pools"],
    )
    for command in ["diff", "matrix", "update"]:
        py_binary(
            name = "%s.%s" % (name, command),
            srcs = [Label("//tools:%s.py" % command)],
            args = ["--definitions", env["MONOBASE_GENERATIONS_FOLDER"]],
            data = [name, Label("//gens:version")],
            env = env,
            main = Label("//tools:%s.py" % command),
            deps = [Label("//tools")],
        )
    py_binary(
        name = name + ".mirror",
        srcs = [Label("//tools/mirror:cli.py")],
        args = ["--definitions", env["MONOBASE_GENERATIONS_FOLDER"]],
        data = [name, Label("//gens:version")],
        env = env,
        main = Label("//tools/mirror:cli.py"),
        deps = [Label("//tools/mirror:library")],
    )
    pkg_files(
        name = name + ".files",
        srcs = [name],
        attributes = pkg_attributes(mode = "0644"),
        prefix = "/opt/monobase/gens",
        strip_prefix = strip_prefix.from_pkg(),
    )
    pkg_tar(
        name = name + ".tar_of_files",
        out = name + ".files.tar",
        srcs = [name + ".files"],
    )
    oci_layer(
        name = name + ".layer",
        created_by = "the generations' definitions and locks",
        tar = name + ".files.tar",
    )

def directory_name(generation_id):
    """Returns the name of a generation in paths, g00003 for 3."""
    digits = str(generation_id)
    return "g" + "0" * (5 - len(digits)) + digits
