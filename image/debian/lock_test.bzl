"""Tests of lock.bzl: what the rule that fetches packages makes of a lock, and where it looks for them."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":lock.bzl", "parse_lock", "urls_of")

_LOCK = """\
# suites: trixie
[system]
tini 0.19-1 pool/main/t/tini/tini_0.19-1_amd64.deb 7 sha256:aa
[build]
g++ 4:14-1 pool/updates/main/g/gcc/g++_14-1_amd64.deb 8 sha256:bb
"""

# Lines that a lock cannot have, each after a layer.
_BAD = [
    "<<<<<<< HEAD",
    "tini 0.19-1 pool/main/t/tini/tini_0.19-1_amd64.deb 7",
    "tini 0.19-1 pool/main/t/tini/tini_0.19-1_amd64.deb 7 md5:aa",
]

def _packages_stand_by_layer_impl(ctx):
    env = unittest.begin(ctx)
    found = parse_lock(_LOCK, "packages.lock")
    asserts.equals(env, None, found.problem)
    asserts.equals(env, ["system", "build"], found.layers.keys())
    tini = found.layers["system"][0]
    asserts.equals(env, ["tini", "0.19-1", "aa"], [tini.name, tini.version, tini.sha256])
    asserts.equals(env, "pool/updates/main/g/gcc/g++_14-1_amd64.deb", found.layers["build"][0].path)
    return unittest.end(env)

packages_stand_by_layer_test = unittest.make(_packages_stand_by_layer_impl)

def _a_malformed_line_is_named_impl(ctx):
    env = unittest.begin(ctx)
    for line in _BAD:
        problem = parse_lock("[system]\n%s\n" % line, "packages.lock").problem
        asserts.true(env, problem.startswith("packages.lock:2: is no line of a lock: "), problem)
        asserts.true(env, "update_debian" in problem, problem)
    problem = parse_lock(_LOCK.replace("[system]\n", ""), "packages.lock").problem
    asserts.true(env, problem.startswith("packages.lock:2: "), problem)
    return unittest.end(env)

a_malformed_line_is_named_test = unittest.make(_a_malformed_line_is_named_impl)

def _a_package_is_looked_for_where_it_was_and_where_it_moves_impl(ctx):
    env = unittest.begin(ctx)
    both = {"debian": "http://main", "security": "http://security"}
    asserts.equals(
        env,
        ["http://main/pool/main/t/tini.deb", "http://security/pool/updates/main/t/tini.deb"],
        urls_of(both, "pool/main/t/tini.deb"),
    )
    asserts.equals(
        env,
        ["http://security/pool/updates/main/g/g++.deb", "http://main/pool/main/g/g++.deb"],
        urls_of(both, "pool/updates/main/g/g++.deb"),
    )
    alone = {"debian": "file:///mirror", "security": None}
    for path in ["pool/main/t/tini.deb", "pool/updates/main/t/tini.deb"]:
        asserts.equals(env, ["file:///mirror/pool/main/t/tini.deb"], urls_of(alone, path))
    return unittest.end(env)

a_package_is_looked_for_where_it_was_and_where_it_moves_test = unittest.make(
    _a_package_is_looked_for_where_it_was_and_where_it_moves_impl,
)

def lock_test_suite(name):
    """Declares the tests of this file.

    Args:
      name: of the suite.
    """
    unittest.suite(
        name,
        packages_stand_by_layer_test,
        a_malformed_line_is_named_test,
        a_package_is_looked_for_where_it_was_and_where_it_moves_test,
    )
