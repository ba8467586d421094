"""Tests of validation.bzl: each mistake is named with its generation, its field and what is allowed."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":stack.bzl", "stack")
load(":validation.bzl", "validate_monogen", "validate_order")

_GOOD = {
    "id": 7,
    "cuda": {"12.1": "12.1.1", "12.4": "12.4.1"},
    "cudnn": {"8": "8.9.7.29", "9": "9.1.0.70"},
    "python": {"3.11": "3.11.10"},
    "torch": ["2.4.1", "2.5.1"],
    "packages": ["pip", "wheel==0.45.1"],
    "exclude_newer": "2026-11-01T00:00:00Z",
    "platforms": ["x86_64-manylinux_2_28"],
    "machines": {},
    "stacks": {},
    "indexes": {},
    "companions": {},
    "absences": None,
}

# Changed fields, and what the one message must hold.
_BAD = [
    ({"torchs": []}, ["generation 7: torchs: unknown field", "allowed: id, python, torch"]),
    ({"id": "7"}, ["generation 7: id", "is not of type int"]),
    ({"id": -1}, ["generation -1: id: -1", "0 and above"]),
    ({"torch": "2.4.1"}, ["generation 7: torch", "is not of type list"]),
    ({"torch": [2.4]}, ["torch: 2.4", "strings, quoted"]),
    ({"torch": ["2.4.9"]}, ["torch: \"2.4.9\"", "2.4.1, 2.5.0"]),
    ({"torch": ["2.15.0"], "exclude_newer": "2026-10-28T00:00:00Z"}, ["torch: 2.15.0 was uploaded at 2026-10-28T15:16:25Z", "newer than 2026-10-28T00:00:00Z"]),
    ({"torch": ["2.4.1", "2.4.1"]}, ["torch: \"2.4.1\" stands twice"]),
    ({"torch": ["2.15.0"]}, ["torch: the default index serves build cu132 of 2.15.0", "the generation has cu121, cu124"]),
    ({"torch": ["2.4.1"], "python": {"3.14": "3.14.0"}}, ["torch: 2.4.1 has wheels for Python 3.8", "the generation has 3.14"]),
    ({"python": {}}, ["python: empty", "3.11.10"]),
    ({"python": {"3.11": "3.12.1"}}, ["python: \"3.12.1\" for \"3.11\"", "such as 3.11.1"]),
    ({"python": {"3.11": "3.11"}}, ["python: \"3.11\" for \"3.11\"", "full version"]),
    ({"python": {"311": "3.11.10"}}, ["python: \"311\"", "minor version"]),
    ({"cuda": {"12.1": "12.1.1", "12.7": "12.7.0"}}, ["cuda: \"12.7\"", "12.6, 12.8"]),
    ({"cuda": {"12.1": "12.1.9", "12.4": "12.4.1"}}, ["cuda: \"12.1.9\" for \"12.1\"", "12.1.0, 12.1.1"]),
    ({"cudnn": {}}, ["cudnn: none for CUDA 12", "9.1.0.70"]),
    ({"cudnn": {"9": "9.1.0.71"}}, ["cudnn: \"9.1.0.71\" for \"9\"", "9.1.0.70"]),
    ({"cudnn": {"9": "9.19.1.2"}}, ["cudnn: 9.19.1.2 is built for CUDA 13", "the generation has CUDA 12.1, 12.4"]),
    ({"cuda": {}, "cudnn": {"8": "8.9.7.29"}, "torch": []}, ["cudnn: 8.9.7.29 is built for CUDA 12; the generation has CUDA none"]),
    ({"packages": ["Pip"]}, ["packages: \"Pip\"", "normalized name"]),
    ({"packages": ["pip", "pip"]}, ["packages: \"pip\" stands twice"]),
    ({"packages": ["pip==latest"]}, ["packages: \"pip==latest\"", "wheel==0.45.1"]),
    ({"exclude_newer": "2026-11-01"}, ["exclude_newer: \"2026-11-01\"", "2026-11-01T00:00:00Z"]),
    ({"exclude_newer": "2026-13-01T00:00:00Z"}, ["exclude_newer: \"2026-13-01T00:00:00Z\""]),
    ({"platforms": ["x86_64-manylinux_2_30"]}, ["platforms: \"x86_64-manylinux_2_30\"", "x86_64-manylinux_2_28, x86_64-manylinux_2_31"]),
    ({"platforms": ["riscv64"]}, ["platforms: \"riscv64\"", "x86_64-manylinux_2_28"]),
    ({"platforms": []}, ["platforms: empty"]),
    ({"platforms": ["x86_64-manylinux_2_28", "x86_64-manylinux_2_34"]}, ["platforms: two for x86_64", "oldest glibc"]),
    ({"machines": {"cuda13.0": ["x86_64"]}}, ["machines: \"cuda13.0\"", "cuda12.1, cuda12.4"]),
    ({"machines": {"cuda12.1": ["aarch64"]}}, ["machines: [\"aarch64\"] for \"cuda12.1\"", "a list of x86_64"]),
    ({"machines": {"cuda12.1": []}}, ["machines: [] for \"cuda12.1\""]),
    ({"stacks": {"vllm": "0.33.0"}}, ["stacks: vllm: \"0.33.0\"", "stack(…)"]),
    ({"stacks": {"torch-x": stack(python = ["3.11"], pins = {"a": "1"})}}, ["stacks: \"torch-x\"", "not with torch"]),
    ({"stacks": {"3d": stack(python = ["3.11"], pins = {"a": "1"})}}, ["stacks: \"3d\"", "begins with a letter"]),
    ({"stacks": {"x": stack(python = ["3.9"], pins = {"a": "1"})}}, ["stacks: x: python: \"3.9\"", "3.11"]),
    ({"stacks": {"x": stack(python = [], pins = {"a": "1"})}}, ["stacks: x: python: empty"]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = {})}}, ["stacks: x: pins: empty"]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = {"a": "1.0rc1"})}}, ["stacks: x: pins: \"1.0rc1\" for \"a\"", "final release"]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = {"A b": "1"})}}, ["stacks: x: pins: \"A b\""]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = {"a": "1"}, machines = {"b": ["x86_64"]})}}, ["stacks: x: machines: [\"x86_64\"] for \"b\""]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = {"a": "1"}, cuda = "11.8")}}, ["stacks: x: cuda: \"11.8\"", "12.1, 12.4"]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = {"a": "1"}, base = "2.6.0")}}, ["stacks: x: base: \"2.6.0\"", "2.4.1, 2.5.1"]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = {"torch": "2.4.1"}, base = "2.4.1")}}, ["stacks: x: base: \"2.4.1\""]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = {"torch": "9.9.9"})}}, ["stacks: x: pins: torch 9.9.9 for x86_64"]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = {"torch": "2.4.1"}, cuda = "12.4")}}, ["stacks: x: cuda: torch 2.4.1 has build cu121 for x86_64"]),
    (
        {"stacks": {"x": stack(python = ["3.11"], pins = {"torch": "2.15.0", "torchaudio": "2.11.0"})}},
        ["stacks: x: pins: torchaudio 2.11.0 cannot be used with torch 2.15.0"],
    ),
    (
        {
            "torch": ["2.15.0"],
            "cuda": {"13.2": "13.2.2"},
            "cudnn": {"9": "9.26.0.51"},
            "companions": {"2.15.0": {"torchaudio": "2.11.0"}},
        },
        ["companions: torchaudio 2.11.0 cannot be used with torch 2.15.0"],
    ),
    ({"stacks": {"x": []}}, ["stacks: x: empty"]),
    ({"stacks": {1: stack(python = ["3.11"], pins = {"a": "1"})}}, ["stacks: 1; allowed: a normalized name"]),
    ({"stacks": {"x": struct(pins = {"a": "1"})}}, ["stacks: x: struct(", "stack(…)"]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = ["a"])}}, ["stacks: x: pins: [\"a\"] is not of type dict"]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = {"a": "1"}, version = 1)}}, ["stacks: x: version: 1 is not of type string"]),
    ({"stacks": {"x": stack(python = "3.11", pins = {"a": "1"})}}, ["stacks: x: python: \"3.11\" is not of type list"]),
    ({"stacks": {"x": stack(python = ["3.11", "3.11"], pins = {"a": "1"})}}, ["stacks: x: python: \"3.11\" stands twice"]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = {"a": "1", "a[b]": "1"})}}, ["stacks: x: pins: a stands twice"]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = {"a[b; c]": "1"})}}, ["stacks: x: pins: \"a[b; c]\"", "extras"]),
    ({"stacks": {"x": stack(python = ["3.11"], pins = {"a": "1"}, cuda = "12.1")}}, ["stacks: x: cuda: \"12.1\"", "a pin of torch"]),
    (
        {"stacks": {"x": stack(python = ["3.11"], pins = {"torch": "2.4.1"}, machines = {"torch": ["x86_64"]})}},
        ["stacks: x: machines: torch"],
    ),
    (
        {
            "indexes": {"cu124": "https://example.org"},
            "stacks": {"x": stack(python = ["3.11"], pins = {"a": "1"}, base = "2.4.1", cuda = "12.4")},
        },
        ["stacks: x: base: torch 2.4.1 for x86_64", "to pin torch as well"],
    ),
    ({"stacks": {"x": [stack(python = ["3.11"], pins = {"a": "1"}), stack(python = ["3.11"], pins = {"a": "2"})]}}, ["stacks: x: version none stands twice"]),
    ({"indexes": {"cu118": "https://example.org/cu118"}}, ["indexes: \"cu118\"", "allowed: cpu, cu121, cu124"]),
    ({"indexes": {"cpu": "example.org"}}, ["indexes: \"example.org\" for \"cpu\"", "URL"]),
    ({"indexes": {"cpu": "https://u:p@example.org"}}, ["indexes: the URL for \"cpu\" holds credentials"]),
    ({"absences": "torch==2.4.1 for 3.11"}, ["absences: \"torch==2.4.1 for 3.11\"", "torchaudio==2.15.0 for 3.11"]),
    ({"absences": ["torch==2.4.1"]}, ["absences: \"torch==2.4.1\"", "torchaudio==2.15.0 for 3.11"]),
    ({"absences": ["torch==2.4.1 for 3.12"]}, ["absences: \"torch==2.4.1 for 3.12\"", "Pythons of the generation, 3.11"]),
    ({"companions": {"2.6.0": {}}}, ["companions: \"2.6.0\"", "torch releases of the generation, 2.4.1, 2.5.1"]),
    ({"companions": {"2.4.1": "0.19.1"}}, ["companions: \"0.19.1\" for \"2.4.1\"", "torchaudio"]),
    ({"companions": {"2.4.1": {"torchtext": None}}}, ["companions: \"torchtext\" for torch 2.4.1", "torchvision, torchaudio"]),
    ({"companions": {"2.4.1": {"torchvision": "0.19.9"}}}, ["companions: torchvision \"0.19.9\" for torch 2.4.1", "0.19.1"]),
    ({"indexes": {"cpu": "https://example.org"}, "torch": []}, ["indexes: \"cpu\": none of the torch releases"]),
]

def _a_good_definition_has_no_errors_impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, [], validate_monogen(_GOOD))
    stacks = {
        "x": [
            stack(python = ["3.11"], pins = {"x[a,b-c]": "0.5.6.post2", "torch": "2.4.1"}, cuda = "12.1"),
            stack(python = ["3.11"], pins = {"y": "1"}, base = "2.5.1", version = "2", machines = {"y": ["x86_64"]}),
        ],
    }
    asserts.equals(env, [], validate_monogen(dict(_GOOD, stacks = stacks, machines = {"x": ["x86_64"]})))
    return unittest.end(env)

def _each_mistake_is_named_impl(ctx):
    env = unittest.begin(ctx)
    for changed, parts in _BAD:
        errors = validate_monogen(dict(_GOOD, **changed))
        asserts.true(env, len(errors) == 1, "%s: %s" % (changed, errors))
        for part in parts:
            asserts.true(env, part in "\n".join(errors), "%s: %r is not in %s" % (changed, part, errors))
    return unittest.end(env)

def _a_missing_field_is_named_impl(ctx):
    env = unittest.begin(ctx)
    fields = {name: value for name, value in _GOOD.items() if name != "exclude_newer"}
    asserts.equals(env, ["generation 7: exclude_newer: missing"], validate_monogen(fields))
    return unittest.end(env)

def _all_mistakes_are_told_at_once_impl(ctx):
    env = unittest.begin(ctx)
    errors = validate_monogen(dict(_GOOD, platforms = ["vax"], exclude_newer = "today", python = {}))
    asserts.equals(env, 3, len(errors))
    return unittest.end(env)

def _ids_rise_impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, [], validate_order([0, 1, 3]))
    asserts.equals(env, ["generation 1: id: stands twice; allowed: above 1"], validate_order([0, 1, 1]))
    asserts.equals(env, ["generation 1: id: stands after 2; allowed: oldest first"], validate_order([0, 2, 1]))
    return unittest.end(env)

a_good_definition_has_no_errors_test = unittest.make(_a_good_definition_has_no_errors_impl)
each_mistake_is_named_test = unittest.make(_each_mistake_is_named_impl)
a_missing_field_is_named_test = unittest.make(_a_missing_field_is_named_impl)
all_mistakes_are_told_at_once_test = unittest.make(_all_mistakes_are_told_at_once_impl)
ids_rise_test = unittest.make(_ids_rise_impl)

def validation_test_suite(name):
    """Makes the tests of this file, and a suite of them.

    Args:
      name: of the suite.
    """
    unittest.suite(
        name,
        a_good_definition_has_no_errors_test,
        each_mistake_is_named_test,
        a_missing_field_is_named_test,
        all_mistakes_are_told_at_once_test,
        ids_rise_test,
    )
