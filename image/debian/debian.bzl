"""The locked Debian packages as files: each fetched by its SHA-256 from whatever mirror the machine has."""

def _lines(text):
    return [line for line in text.split("\n") if line and not line.startswith("#")]

# A security update moves into the main archive with the next point release: the same file at another place.
def _urls(mirrors, path):
    main = path.replace("pool/updates/", "pool/")
    places = [(mirrors["debian"], main)]
    if mirrors["security"]:
        places.append((mirrors["security"], main.replace("pool/", "pool/updates/", 1)))
    if path != main:
        places = places[::-1]
    return ["%s/%s" % place for place in places]

def _debian_packages_impl(rctx):
    lock = rctx.path(rctx.attr.lock)
    found = rctx.execute([rctx.path(rctx.attr.interpreter), rctx.path(rctx.attr.mirror)])
    if found.return_code:
        fail("cannot tell where Debian's archive is: %s" % found.stderr)
    mirrors = json.decode(found.stdout)
    if not mirrors["debian"]:
        fail("\n".join([
            "%s: apt's configuration names no Debian mirror to fetch these packages from." % lock,
            "Name one in DEBIAN_MIRROR (a URL whose folder pool holds the packages), and in",
            "DEBIAN_SECURITY_MIRROR that of the security archive.",
        ]))

    layers = {}
    layer = []
    pending = []
    for line in _lines(rctx.read(lock)):
        if line.startswith("["):
            layer = []
            layers[line.strip("[]")] = layer
            continue
        name, version, path, _, digest = line.split(" ")
        file = "packages/%s.deb" % name
        layer.append(file)
        pending.append((name, version, rctx.download(
            _urls(mirrors, path),
            output = file,
            sha256 = digest.removeprefix("sha256:"),
            allow_fail = True,
            block = False,
        )))
    failed = ["%s %s" % (name, version) for name, version, download in pending if not download.wait().success]
    if failed:
        fail("\n".join([
            "%s: %d of %d packages cannot be fetched from the Debian mirror: %s%s." % (
                lock,
                len(failed),
                len(pending),
                ", ".join(failed[:5]),
                "…" if len(failed) > 5 else "",
            ),
            "If the mirror does not answer, run this again or name another one in DEBIAN_MIRROR. If Debian has newer",
            "versions by now, lock those: bazel run //tools:update_debian",
        ]))

    rctx.file("BUILD.bazel", "".join(["""\
filegroup(
    name = "{layer}",
    srcs = {files},
    visibility = ["//visibility:public"],
)
""".format(layer = layer, files = json.encode_indent(files, prefix = "    ", indent = "    ")) for layer, files in layers.items()]))

debian_packages = repository_rule(
    doc = "A repository with a target for each layer of the lock, which holds the layer's .deb files.",
    implementation = _debian_packages_impl,
    attrs = {
        "interpreter": attr.label(default = "@interpreter//:python", doc = "The Python that runs mirror.py."),
        "lock": attr.label(allow_single_file = True, mandatory = True, doc = "The lock."),
        "mirror": attr.label(default = "//image/debian:mirror.py", doc = "Says where Debian's archive is."),
    },
    environ = ["DEBIAN_MIRROR", "DEBIAN_SECURITY_MIRROR"],
)

def _debian_impl(_mctx):
    debian_packages(
        name = "debian",
        lock = "//image/debian:packages.lock",
    )

debian = module_extension(implementation = _debian_impl)
