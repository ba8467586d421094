"""Downloads the files of environments that are baked into images, for `baked_image` (baked.bzl).

In MODULE.bazel:

    baked_wheels = use_extension("//runtime:baked_wheels.bzl", "baked_wheels")
    baked_wheels.environment(
        name = "baked_torch",
        environment = "python3.11-torch2.13.0-cu130",
        gen = 3,
        toolkits = ["cuda13.0"],
    )
    use_repo(baked_wheels, "baked_torch")

A repository is downloaded when a target needs it: 3 GB for an environment with Torch.
"""

load("//gens:prod.bzl", "PROD_MONOGENS")
load(":model_wheels.bzl", "DOWNLOAD_ATTRS", "WHEELS_TARGET", "download_wheels")

_PYTHON_TARGET = """
filegroup(
    name = "python",
    srcs = glob(["python/*/*.tar.*"]),
    visibility = ["//visibility:public"],
)
"""

def _name(target):
    """Returns the name of an environment or toolkit, as gens/generation.py has it."""
    if "product" in target:
        major = target.get("cuda_major")
        return "%s%s%s" % (target["product"], target["version"], "-cuda" + major if major else "")
    if target.get("stack"):
        return "python%s-%s%s" % (target["python"], target["stack"], target.get("stack_version") or "")
    if target.get("torch"):
        return "python%s-torch%s-%s" % (target["python"], target["torch"], target["build"])
    return "python" + target["python"]

def find_locks(monogens, gen, names, machine):
    """Returns where the locks of an environment and its toolkits are, and what downloads need to know.

    Args:
      monogens: the generations, expanded.
      gen: ID of the generation.
      names: names of the environment and of toolkits.
      machine: x86_64 or aarch64.

    Returns:
      a struct: the paths of the locks below gens, the full version of Python, the platform.
    """
    found = [one for one in monogens if one["id"] == gen]
    if not found:
        fail("gen = %d: there is no such generation; there are %s" % (gen, ", ".join([str(one["id"]) for one in monogens])))
    monogen = found[0]
    targets = {
        _name(target): target
        for target in monogen["environments"] + monogen["toolkits"]
        if target["inputs"]["platform"].startswith(machine + "-")
    }
    missing = [name for name in names if name not in targets]
    if missing:
        fail("g%s has no %s for %s; it has %s" % (_padded(gen), " and no ".join(missing), machine, ", ".join(targets.keys())))
    platform = targets[names[0]]["inputs"]["platform"]
    folder = "" if platform == monogen["platform"] else machine + "/"
    return struct(
        locks = ["g%s/%s%s.txt" % (_padded(gen), folder, name) for name in names],
        platform = platform,
        python = targets[names[0]]["python_full"],
    )

def _padded(gen):
    return ("0000" + str(gen))[-5:]

def _download_interpreter(rctx, version, machine):
    """Downloads the archive that uv has for a version, into a folder of its release, where uv looks for it in a mirror."""
    key = "cpython-%s-linux-%s-gnu" % (version, machine)
    listed = rctx.execute(
        [rctx.path(rctx.attr.uv_wheel).dirname.get_child("site-packages", "bin", "uv"), "python", "list", key] +
        ["--all-versions", "--all-arches", "--show-urls", "--output-format", "json", "--no-config", "--offline"],
    )
    urls = [one["url"] for one in json.decode(listed.stdout, default = []) if one["key"] == key and one.get("url")]
    if not urls:
        fail("uv knows no archive of %s: %s" % (key, listed.stderr))
    release, name = urls[0].split("/")[-2:]
    mirror = rctx.os.environ.get("UV_PYTHON_INSTALL_MIRROR")
    url = "/".join([mirror.rstrip("/"), release, name]) if mirror else urls[0]

    # Without a digest here: the installer's uv compares the archive with the one that it knows.
    rctx.download(url, "python/%s/%s" % (release, name.replace("%2B", "+")))

def _baked_environment_impl(rctx):
    names = [rctx.attr.environment] + rctx.attr.toolkits
    found = find_locks(PROD_MONOGENS, rctx.attr.gen, names, rctx.attr.machine)
    minor = ".".join(found.python.split(".")[:2])
    lines = []
    for lock in found.locks:
        # Each wheel once: toolkits have wheels of the environment.
        for line in rctx.read(Label("//gens:" + lock)).split("\n"):
            line = line.partition("  #")[0]
            if line and not line.startswith("#") and line not in lines:
                lines.append(line)

    # First, as it is small and comes from another host.
    _download_interpreter(rctx, found.python, rctx.attr.machine)
    for number, group in enumerate(of_one_version(lines)):
        download_wheels(rctx, "%s, part %d" % (rctx.attr.environment, number), group, minor, found.platform)
    rctx.file("BUILD.bazel", WHEELS_TARGET + _PYTHON_TARGET)

def of_one_version(lines):
    """Divides requirements so that no part has two versions of a package, which pip refuses.

    Args:
      lines: requirements, and options of pip.

    Returns:
      a list of lists, each with all options.
    """
    options = [line for line in lines if line.startswith("--")]
    groups = []
    for line in lines:
        if line in options:
            continue
        name = line.partition("==")[0]
        for group in groups:
            if name not in group:
                group[name] = line
                break
        if not [group for group in groups if group.get(name) == line]:
            groups.append({name: line})
    return [options + group.values() for group in groups]

_baked_environment = repository_rule(
    doc = "A repository with the targets `wheels`, those of an environment and its toolkits, and `python`, an archive.",
    implementation = _baked_environment_impl,
    environ = ["UV_PYTHON_INSTALL_MIRROR"],
    attrs = dict(
        DOWNLOAD_ATTRS,
        environment = attr.string(mandatory = True),
        gen = attr.int(mandatory = True),
        machine = attr.string(default = "x86_64"),
        toolkits = attr.string_list(),
        uv_wheel = attr.label(default = "@pip_uv//:BUILD.bazel", doc = "The wheel of uv."),
    ),
)

def _baked_wheels_impl(mctx):
    for module in mctx.modules:
        for tag in module.tags.environment:
            _baked_environment(
                name = tag.name,
                environment = tag.environment,
                gen = tag.gen,
                machine = tag.machine,
                toolkits = tag.toolkits,
            )

baked_wheels = module_extension(
    implementation = _baked_wheels_impl,
    tag_classes = {
        "environment": tag_class(attrs = {
            "environment": attr.string(doc = "Name of the environment.", mandatory = True),
            "gen": attr.int(doc = "ID of its generation.", mandatory = True),
            "machine": attr.string(default = "x86_64", doc = "x86_64 or aarch64."),
            "name": attr.string(doc = "Name of the repository.", mandatory = True),
            "toolkits": attr.string_list(doc = "Names of toolkits."),
        }),
    },
)
