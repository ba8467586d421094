"""Tests of model.bzl: which files are in which layer, and what is refused before anything is built."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("@rules_python//python:defs.bzl", "py_library")
load(":model.bzl", "model_image")

def _layers(env):
    """Returns the names of the files of each layer of files, the lowest first."""
    found = []
    for action in analysistest.target_actions(env):
        if action.mnemonic == "ModelFiles":
            words = action.argv
            found.append([words[at + 1] for at in range(len(words)) if words[at] == "--file"])
    return found

def _data_is_below_the_code_and_files_keep_their_places_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.equals(env, [["exec"], ["activate.sh", "image/architecture.py"]], [
        [name for name in names if name in ["exec", "activate.sh", "image/architecture.py"]]
        for names in _layers(env)
    ])
    return analysistest.end(env)

_places_test = analysistest.make(_data_is_below_the_code_and_files_keep_their_places_impl)

def _a_model_without_data_has_one_layer_of_files_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.equals(env, [["activate.sh"]], _layers(env))
    return analysistest.end(env)

_one_layer_test = analysistest.make(_a_model_without_data_has_one_layer_of_files_impl)

def _packages_do_not_come_from_another_repository_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.expect_failure(env, "is of another repository: packages come by the layer lock")
    return analysistest.end(env)

_foreign_test = analysistest.make(_packages_do_not_come_from_another_repository_impl, expect_failure = True)

def _model(name, **kwargs):
    model_image(
        name = name,
        architecture = "amd64",
        base = "//runtime:image_amd64",
        debian_lock = "//image/debian:packages.amd64.lock.json",
        lock = "//runtime/examples/echo:model.lock",
        tags = ["manual"],
        testonly = True,
        title = "a model",
        **kwargs
    )

def model_test_suite(name):
    """Declares the tests.

    Args:
      name: of the suite.
    """
    py_library(name = name + "_library", srcs = [], deps = ["//image:architecture"], testonly = True)
    _model(name + "_places", srcs = ["activate.sh"], data = ["activate.sh", "exec"], deps = [name + "_library"])
    _places_test(name = name + "_places_test", target_under_test = name + "_places")
    _model(name + "_one", srcs = ["activate.sh"])
    _one_layer_test(name = name + "_one_test", target_under_test = name + "_one")
    _model(name + "_foreign", deps = ["@pip//click"])
    _foreign_test(name = name + "_foreign_test", target_under_test = name + "_foreign")
    native.test_suite(name = name, tests = [name + part for part in ("_places_test", "_one_test", "_foreign_test")])
