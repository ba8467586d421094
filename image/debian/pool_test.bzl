"""Tests of pool.bzl: where the rule that fetches packages looks for them."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":pool.bzl", "urls_of")

def _a_package_is_looked_for_where_it_was_and_where_it_moves_impl(ctx):
    env = unittest.begin(ctx)
    both = {"debian": "http://main", "security": "http://security"}
    asserts.equals(
        env,
        ["http://main/pool/main/t/tini.deb", "http://security/pool/updates/main/t/tini.deb"],
        urls_of(both, "pool/main/t/tini.deb", ""),
    )
    asserts.equals(
        env,
        ["http://security/pool/updates/main/g/g++.deb", "http://main/pool/main/g/g++.deb"],
        urls_of(both, "pool/updates/main/g/g++.deb", ""),
    )
    alone = {"debian": "file:///mirror", "security": None}
    for path in ["pool/main/t/tini.deb", "pool/updates/main/t/tini.deb"]:
        asserts.equals(env, ["file:///mirror/pool/main/t/tini.deb"], urls_of(alone, path, ""))
    return unittest.end(env)

def _a_snapshot_of_the_day_of_the_lock_is_the_last_resort_impl(ctx):
    env = unittest.begin(ctx)
    both = {"debian": "http://main", "security": "http://security"}
    for path, archive in [("pool/main/t/tini.deb", "debian"), ("pool/updates/main/g/g++.deb", "debian-security")]:
        asserts.equals(
            env,
            urls_of(both, path, "") + ["http://snapshot/archive/%s/20261125T022231Z/%s" % (archive, path)],
            urls_of(dict(both, snapshot = "http://snapshot/archive"), path, "2026-11-25T02:22:31Z"),
        )
    return unittest.end(env)

a_snapshot_of_the_day_of_the_lock_is_the_last_resort_test = unittest.make(
    _a_snapshot_of_the_day_of_the_lock_is_the_last_resort_impl,
)

a_package_is_looked_for_where_it_was_and_where_it_moves_test = unittest.make(
    _a_package_is_looked_for_where_it_was_and_where_it_moves_impl,
)

def pool_test_suite(name):
    """Declares the tests of this file.

    Args:
      name: of the suite.
    """
    unittest.suite(
        name,
        a_package_is_looked_for_where_it_was_and_where_it_moves_test,
        a_snapshot_of_the_day_of_the_lock_is_the_last_resort_test,
    )
