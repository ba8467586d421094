"""Downloads the locked Debian packages by their SHA-256, from the machine's mirror."""

load("//image:architectures.bzl", "ARCHITECTURES")
load(":pool.bzl", "urls_of")

def _filegroup(name, files):
    return """\
filegroup(
    name = "{name}",
    srcs = {files},
    visibility = ["//visibility:public"],
)
""".format(name = name, files = json.encode_indent(files, prefix = "    ", indent = "    "))

def _fail(lock, date, mirrors, packages, failed):
    names = ["%s %s" % (package["name"], package["version"]) for package in failed[:5]]
    fail("\n".join([
        "%s: %s of %d packages cannot be fetched with the bytes that it says: %s%s." % (
            lock,
            "the first" if failed[0] == packages[0] else len(failed),
            len(packages),
            ", ".join(names),
            "…" if len(failed) > 5 else "",
        ),
        "They were looked for at %s." % " and ".join({url: None for url in mirrors.values() if url}.keys()),
        "If that does not answer, run this again or name another mirror in DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR.",
        "If Debian has newer versions by now, lock those: bazel run //tools:update_debian",
        "Or name Debian's snapshot service in DEBIAN_SNAPSHOT, a URL below which debian/%s is the archive of that moment." % (
            date.replace("-", "").replace(":", "")
        ),
    ]))

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

    content = json.decode(rctx.read(lock))
    layers, date = content["layers"], content["date"]
    packages = [package for layer in layers.values() for package in layer]
    pending = []
    for number, package in enumerate(packages):
        # The first one alone: if the mirror does not answer, Bazel warns about one file instead of all.
        found = rctx.download(
            urls_of(mirrors, package["path"], date),
            output = "packages/%s.deb" % package["name"],
            sha256 = package["sha256"],
            allow_fail = True,
            block = number == 0,
        )
        if number == 0 and not found.success:
            _fail(lock, date, mirrors, packages, [package])
        if number > 0:
            pending.append((package, found))
    failed = [package for package, download in pending if not download.wait().success]
    if failed:
        _fail(lock, date, mirrors, packages, failed)

    rctx.file("BUILD.bazel", "\n".join(["exports_files(glob([\"packages/*.deb\"]))\n"] + [
        _filegroup(layer, ["packages/%s.deb" % package["name"] for package in found])
        for layer, found in layers.items()
    ]))

debian_packages = repository_rule(
    doc = "A repository with a target for each layer of the lock, which holds the layer's .deb files.",
    implementation = _debian_packages_impl,
    attrs = {
        "interpreter": attr.label(default = "@interpreter//:python", doc = "The Python that runs mirror.py."),
        "lock": attr.label(allow_single_file = True, mandatory = True, doc = "The lock."),
        "mirror": attr.label(default = "//image/debian/lock:mirror.py", doc = "Prints the URLs of Debian's mirrors."),
    },
    environ = ["DEBIAN_MIRROR", "DEBIAN_SECURITY_MIRROR", "DEBIAN_SNAPSHOT"],
)

def _debian_impl(_mctx):
    for architecture in ARCHITECTURES:
        debian_packages(
            name = "debian_" + architecture,
            lock = "//image/debian:packages.%s.lock.json" % architecture,
        )

debian = module_extension(implementation = _debian_impl)
