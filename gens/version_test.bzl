"""Tests of version.bzl: which builds depend on the commit."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")

def _reads_status(env):
    action = [action for action in analysistest.target_actions(env) if action.mnemonic == "Version"][0]
    return "stable-status.txt" in [file.basename for file in action.inputs.to_list()]

def _an_unstamped_build_does_not_depend_on_the_commit_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.false(env, _reads_status(env))
    return analysistest.end(env)

def _a_stamped_build_depends_on_the_commit_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.true(env, _reads_status(env))
    return analysistest.end(env)

_unstamped_test = analysistest.make(
    _an_unstamped_build_does_not_depend_on_the_commit_impl,
    config_settings = {"//command_line_option:stamp": False},
)

_stamped_test = analysistest.make(
    _a_stamped_build_depends_on_the_commit_impl,
    config_settings = {"//command_line_option:stamp": True},
)

def version_test_suite(name):
    """Declares the tests.

    Args:
      name: of the suite.
    """
    _unstamped_test(name = name + "_unstamped_test", target_under_test = ":version")
    _stamped_test(name = name + "_stamped_test", target_under_test = ":version")
    native.test_suite(
        name = name,
        tests = [name + "_unstamped_test", name + "_stamped_test"],
    )
