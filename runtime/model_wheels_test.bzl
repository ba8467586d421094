"""Tests of model_wheels.bzl: what pip is asked for."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":model_wheels.bzl", "from_index", "platform_tags")

_LOCK = """\
# layer: 1
# built: mine==1.0, from ./mine
# wheels: 2, 3 bytes
--extra-index-url https://example.org/simple
mine==1.0 --hash=sha256:aa  # mine-1.0-py3-none-any.whl 1
msgspec==0.22.0 --hash=sha256:bb  # msgspec-0.22.0-py3-none-any.whl 2
"""

def _a_platform_takes_the_wheels_of_each_older_glibc_impl(ctx):
    env = unittest.begin(ctx)
    tags = platform_tags("x86_64-manylinux_2_18")
    asserts.equals(env, ["manylinux_2_18_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"], tags[:3])
    asserts.equals(env, ["manylinux_2_5_x86_64", "manylinux1_x86_64", "linux_x86_64"], tags[-3:])
    asserts.equals(env, "manylinux_2_34_aarch64", platform_tags("aarch64-manylinux_2_34")[0])
    return unittest.end(env)

_tags_test = unittest.make(_a_platform_takes_the_wheels_of_each_older_glibc_impl)

def _what_was_built_for_the_lock_is_on_no_index_impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, [
        "--extra-index-url https://example.org/simple",
        "msgspec==0.22.0 --hash=sha256:bb  # msgspec-0.22.0-py3-none-any.whl 2",
    ], from_index(_LOCK))
    return unittest.end(env)

_built_test = unittest.make(_what_was_built_for_the_lock_is_on_no_index_impl)

def model_wheels_test_suite(name):
    """Declares the tests.

    Args:
      name: of the suite.
    """
    unittest.suite(name, _tags_test, _built_test)
