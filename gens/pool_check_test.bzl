"""Tests of pool_check.bzl: patterns match as fnmatch does, and each mistake is named with its pool."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":pool_check.bzl", "matches", "target_name", "validate_pools")

_GENERATION = {
    "environments": [
        {"python": "3.12"},
        {"python": "3.12", "torch": "2.13.0", "build": "cu130"},
        {"python": "3.12", "torch": "2.13.0", "build": "cu130", "stack": "vllm", "stack_version": "0.33.0"},
        {"python": "3.12", "torch": "2.13.0", "build": "cu130", "stack": "train", "stack_version": None},
    ],
    "toolkits": [
        {"product": "cuda", "version": "13.0"},
        {"product": "cudnn", "version": "9", "cuda_major": "13"},
    ],
}
_NAMES = ["python3.12", "python3.12-torch2.13.0-cu130", "python3.12-vllm0.33.0", "python3.12-train", "cuda13.0", "cudnn9-cuda13"]

# A pattern, and the names that it matches.
_MATCHES = [
    ("*", _NAMES),
    ("python3.12", ["python3.12"]),
    ("python?.??", ["python3.12"]),
    ("python3.12?*", ["python3.12-torch2.13.0-cu130", "python3.12-vllm0.33.0", "python3.12-train"]),
    ("*-cu13?", ["python3.12-torch2.13.0-cu130"]),
    ("*1*3*", ["python3.12-torch2.13.0-cu130", "python3.12-vllm0.33.0", "cuda13.0", "cudnn9-cuda13"]),
    ("cud*13**", ["cuda13.0", "cudnn9-cuda13"]),
    ("*.0", ["python3.12-vllm0.33.0", "cuda13.0"]),
    ("uda13.0", []),
    ("cuda13.0?", []),
    ("cuda13.", []),
]

_BAD = [
    ({"h100": []}, ["h100: []", "a list of patterns"]),
    ({"h100": "*"}, ["h100: \"*\"", "a list of patterns"]),
    ({"h100": ["cuda12.*", "*"]}, ["h100: \"cuda12.*\" matches nothing"]),
    ({"h100": ["*", "*"]}, ["h100: \"*\" stands twice"]),
    ({"h100": ["Cuda*"]}, ["h100: \"Cuda*\"", "such as python3.12-*"]),
    ({"h100": [12]}, ["h100: 12", "such as python3.12-*"]),
    ({"H100": ["*"]}, ["\"H100\"", "such as h100"]),
    ({"-h100": ["*"]}, ["\"-h100\"", "such as h100"]),
    ({"": ["*"]}, ["\"\"", "such as h100"]),
    ({"h" * 41: ["*"]}, ["at most 40"]),
]

def _names_are_those_of_python_impl(ctx):
    env = unittest.begin(ctx)
    found = [target_name(target) for target in _GENERATION["environments"] + _GENERATION["toolkits"]]
    asserts.equals(env, _NAMES, found)
    return unittest.end(env)

def _a_pattern_matches_whole_names_impl(ctx):
    env = unittest.begin(ctx)
    for pattern, names in _MATCHES:
        asserts.equals(env, names, [name for name in _NAMES if matches(name, pattern)], pattern)
    return unittest.end(env)

def _good_pools_have_no_errors_impl(ctx):
    env = unittest.begin(ctx)
    pools = {"h100": ["python3.12-*", "cuda13.0"], "all": ["*"], "a-1": ["*train"]}
    asserts.equals(env, [], validate_pools(pools, [_GENERATION]))
    asserts.equals(env, [], validate_pools({}, []))
    return unittest.end(env)

def _each_mistake_of_a_pool_is_named_impl(ctx):
    env = unittest.begin(ctx)
    for pools, parts in _BAD:
        errors = validate_pools(pools, [_GENERATION])
        asserts.true(env, errors, "%s: no error" % pools)
        for part in parts:
            asserts.true(env, part in errors[0], "%s: %r is not in %s" % (pools, part, errors))
    return unittest.end(env)

names_are_those_of_python_test = unittest.make(_names_are_those_of_python_impl)
a_pattern_matches_whole_names_test = unittest.make(_a_pattern_matches_whole_names_impl)
good_pools_have_no_errors_test = unittest.make(_good_pools_have_no_errors_impl)
each_mistake_of_a_pool_is_named_test = unittest.make(_each_mistake_of_a_pool_is_named_impl)

def pool_check_test_suite(name):
    """Makes the tests of this file, and a suite of them.

    Args:
      name: of the suite.
    """
    unittest.suite(
        name,
        names_are_those_of_python_test,
        a_pattern_matches_whole_names_test,
        good_pools_have_no_errors_test,
        each_mistake_of_a_pool_is_named_test,
    )
