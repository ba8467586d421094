"""Tests of baked_wheels.bzl: which locks an environment has, and what pip is asked for."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//gens:prod.bzl", "PROD_MONOGENS")
load(":baked_wheels.bzl", "find_locks", "of_one_version")

def _an_environment_and_its_toolkits_have_locks_impl(ctx):
    env = unittest.begin(ctx)
    names = ["python3.11-torch2.13.0-cu130", "cuda13.0", "cudnn9-cuda13"]
    found = find_locks(PROD_MONOGENS, 3, names, "x86_64")
    asserts.equals(env, ["g00003/%s.txt" % name for name in names], found.locks)
    asserts.equals(env, "3.11.18", found.python)
    asserts.equals(env, "x86_64-manylinux_2_34", found.platform)
    found = find_locks(PROD_MONOGENS, 3, ["python3.12-vllm0.33.0"], "aarch64")
    asserts.equals(env, ["g00003/aarch64/python3.12-vllm0.33.0.txt"], found.locks)
    asserts.equals(env, ["g00003/python3.12.txt"], find_locks(PROD_MONOGENS, 3, ["python3.12"], "x86_64").locks)
    return unittest.end(env)

_locks_test = unittest.make(_an_environment_and_its_toolkits_have_locks_impl)

def _each_call_of_pip_has_one_version_of_a_package_impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, [["--a b", "x==1", "y==1"], ["--a b", "x==2"]], of_one_version(["--a b", "x==1", "x==2", "y==1"]))
    asserts.equals(env, [], of_one_version([]))
    return unittest.end(env)

_versions_test = unittest.make(_each_call_of_pip_has_one_version_of_a_package_impl)

def baked_wheels_test_suite(name):
    """Declares the tests.

    Args:
      name: of the suite.
    """
    unittest.suite(name, _locks_test, _versions_test)
