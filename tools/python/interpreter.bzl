"""The Python that builds and tests run with: one that is downloaded, or the one that MONOBASE_PYTHON names.

It does not come from rules_python, whose way to ask for one changed in 0.24, 0.29, 1.0 and 2.0: this works with each version
(docs/decisions/python-of-our-own.md).
"""

_VERSION = "3.11.11"
_RELEASE = "20250317"
_URL = "https://github.com/astral-sh/python-build-standalone/releases/download/{release}/cpython-{version}%2B{release}-{host}-install_only.tar.gz"

# By `CPU-SYSTEM` of the host: its name in the release, the constraint values, the digest of the archive.
_HOSTS = {
    "aarch64-linux": struct(
        name = "aarch64-unknown-linux-gnu",
        sha256 = "7d52b5206afe617de2899af477f5a1d275ecbce80fb8300301b254ebf1da5a90",
    ),
    "aarch64-macos": struct(
        name = "aarch64-apple-darwin",
        sha256 = "19b147c7e4b742656da4cb6ba35bc3ea2f15aa5f4d1bbbc38d09e2e85551e927",
    ),
    "x86_64-linux": struct(
        name = "x86_64-unknown-linux-gnu",
        sha256 = "51e47bc0d1b9f4bf68dd395f7a39f60c58a87cde854cab47264a859eb666bb69",
    ),
    "x86_64-macos": struct(
        name = "x86_64-apple-darwin",
        sha256 = "a870cd965e7dded5100d13b1d34cab1c32a92811e000d10fbfe9bbdb36cdaa0e",
    ),
}
_CPUS = {
    "aarch64": "aarch64",
    "amd64": "x86_64",
    "arm64": "aarch64",
    "x86_64": "x86_64",
}

_DOWNLOADED = """
filegroup(
    name = "files",
    srcs = glob(
        ["bin/**", "lib/**"],
        # A name with a space is nothing that Bazel can put into runfiles; bytecode appears when the interpreter runs.
        exclude = ["**/*.pyc", "**/* *", "lib/python*/test/**"],
    ),
)
"""

_BUILD = """\
load("@rules_python//python:defs.bzl", "py_runtime", "py_runtime_pair")

package(default_visibility = ["//visibility:public"])

exports_files(["python"])
{files}
py_runtime(
    name = "runtime",
    {interpreter}
    python_version = "PY3",
    # The first lines of each program: another build of the interpreter is another program, whose tests run again.
    stub_shebang = {shebang},
)

py_runtime_pair(
    name = "runtimes",
    py2_runtime = None,
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    target_compatible_with = ["@platforms//cpu:{cpu}", "@platforms//os:{system}"],
    toolchain = ":runtimes",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

def _host(rctx):
    system = "macos" if rctx.os.name.startswith("mac") else rctx.os.name
    return _CPUS.get(rctx.os.arch, rctx.os.arch), system

def _download(rctx, cpu, system):
    host = _HOSTS.get("%s-%s" % (cpu, system))
    if not host:
        fail("there is no Python for %s on %s to download; name one of version 3.11 in MONOBASE_PYTHON" % (cpu, system))
    rctx.download_and_extract(
        _URL.format(host = host.name, release = _RELEASE, version = _VERSION),
        sha256 = host.sha256,
        stripPrefix = "python",
    )
    rctx.symlink("bin/python3.11", "python")

def _interpreter_impl(rctx):
    own = rctx.os.environ.get("MONOBASE_PYTHON")
    cpu, system = _host(rctx)
    if own:
        # Another build at the same path is fetched again, and so are the wheels, which pip installs with it.
        rctx.watch(own)
        rctx.symlink(own, "python")
    else:
        _download(rctx, cpu, system)
    found = rctx.execute(
        [rctx.path("python"), "-c", "import sys; print('.'.join(map(str, sys.version_info[:2])), ' '.join(sys.version.split()))"],
    )
    if found.return_code:
        fail("%s does not run: %s" % (own or _RELEASE, found.stderr))
    minor, _, version = found.stdout.strip().partition(" ")
    if minor != "3.11":
        fail("MONOBASE_PYTHON names %s, which is Python %s; the lock of the wheels is for Python 3.11" % (own, minor))
    rctx.file("BUILD.bazel", _BUILD.format(
        cpu = cpu,
        files = "" if own else _DOWNLOADED,
        interpreter = 'interpreter_path = "%s",' % own if own else 'files = [":files"],\n    interpreter = "bin/python3.11",',
        shebang = repr("#!/usr/bin/env python3\n# for Python " + version),
        system = system,
    ))

interpreter = repository_rule(
    doc = "A repository with the interpreter, the file `python`, and its `toolchain` for the Python rules.",
    implementation = _interpreter_impl,
    environ = ["MONOBASE_PYTHON"],
)
