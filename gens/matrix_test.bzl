"""Tests of matrix.bzl: the expansion of small definitions against tables written by hand."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":cuda.bzl", "cuda_requirement")
load(":matrix.bzl", "expand")
load(":stack.bzl", "stack")
load(":torch.bzl", "companion", "companion_serves")

_FIELDS = {
    "id": 7,
    "cuda": {"12.1": "12.1.1", "12.4": "12.4.1", "13.0": "13.0.3"},
    "cudnn": {"8": "8.9.7.29", "9": "9.12.0.46"},
    "python": {"3.12": "3.12.7", "3.13": "3.13.1"},
    "torch": ["2.2.2", "2.5.1", "2.12.1"],
    "packages": ["pip", "wheel"],
    "exclude_newer": "2026-11-01T00:00:00Z",
    "platforms": ["x86_64-manylinux_2_28"],
    "machines": {},
    "stacks": {},
    "indexes": {},
    "companions": {},
    "absences": None,
}

def _cells(expanded):
    return [
        "%s %s %s" % (cell["python"], cell.get("torch", "none"), cell.get("build", "none"))
        for cell in expanded["environments"]
    ]

def _cells_are_those_of_the_table_impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, [
        "3.12 none none",
        "3.12 2.2.2 cu121",
        "3.12 2.5.1 cu124",
        "3.12 2.12.1 cu130",
        "3.13 none none",
        "3.13 2.5.1 cu124",
        "3.13 2.12.1 cu130",
    ], _cells(expand(_FIELDS)))
    return unittest.end(env)

def _named_indexes_add_builds_impl(ctx):
    env = unittest.begin(ctx)
    indexes = {"cpu": "https://example.org/cpu", "cu121": "https://example.org/cu121"}
    expanded = expand(dict(_FIELDS, indexes = indexes, torch = ["2.5.1"], python = {"3.12": "3.12.7"}))
    asserts.equals(
        env,
        ["3.12 none none", "3.12 2.5.1 cpu", "3.12 2.5.1 cu121", "3.12 2.5.1 cu124"],
        _cells(expanded),
    )
    _, cpu, cu121, cu124 = [cell["inputs"] for cell in expanded["environments"]]
    asserts.equals(env, "https://example.org/cpu", cpu["index_url"])
    asserts.equals(env, ["torch", "torchvision", "torchaudio"], cpu["index_packages"])
    asserts.equals(env, "torch==2.5.1+cpu", cpu["requirements"][0])
    asserts.equals(env, "torchvision==0.20.1+cu121", cu121["requirements"][1])
    asserts.equals(env, None, cu124["index_url"])
    asserts.equals(env, "torch==2.5.1", cu124["requirements"][0])
    return unittest.end(env)

def _inputs_hold_what_the_table_knows_impl(ctx):
    env = unittest.begin(ctx)
    inputs = {
        (cell["python"], cell.get("torch")): cell["inputs"]
        for cell in expand(_FIELDS)["environments"]
    }
    old = inputs[("3.12", "2.2.2")]
    asserts.equals(env, [
        "torch==2.2.2",
        "torchvision==0.17.2",
        "torchaudio==2.2.2",
        "numpy",
        "pip",
        "wheel",
    ], old["requirements"])
    asserts.equals(env, ["numpy<2"], old["constraints"])
    asserts.equals(env, "3.12.7", old["python"])
    asserts.equals(env, "x86_64-manylinux_2_28", old["platform"])
    asserts.equals(env, "2026-11-01T00:00:00Z", old["exclude_newer"])

    # No torchvision and torchaudio of 2.5 for Python 3.13; the torchaudio of 2.12 is of 2.11, and names no Torch.
    asserts.equals(env, ["torch==2.5.1", "numpy", "pip", "wheel"], inputs[("3.13", "2.5.1")]["requirements"])
    asserts.equals(env, "torchvision==0.27.1", inputs[("3.13", "2.12.1")]["requirements"][1])
    asserts.equals(env, "torchaudio==2.11.0", inputs[("3.13", "2.12.1")]["requirements"][2])
    asserts.equals(env, ["pip", "wheel"], inputs[("3.13", None)]["requirements"])
    return unittest.end(env)

def _toolkits_are_cuda_and_the_cudnn_that_exist_impl(ctx):
    env = unittest.begin(ctx)
    toolkits = expand(_FIELDS)["toolkits"]
    asserts.equals(env, [
        ("cuda", "12.1", None, ["cuda-toolkit[all]==12.1.1"]),
        ("cuda", "12.4", None, ["cuda-toolkit[all]==12.4.1"]),
        ("cuda", "13.0", None, ["cuda-toolkit[all]==13.0.3"]),
        ("cudnn", "8", "12", ["nvidia-cudnn-cu12==8.9.7.29"]),
        ("cudnn", "9", "12", ["nvidia-cudnn-cu12==9.12.0.46"]),
        ("cudnn", "9", "13", ["nvidia-cudnn-cu13==9.12.0.46"]),
    ], [
        (toolkit["product"], toolkit["version"], toolkit.get("cuda_major"), toolkit["inputs"]["requirements"])
        for toolkit in toolkits
    ])
    asserts.equals(env, [False, False, False, True, True, True], [
        toolkit["inputs"].get("no_deps", False)
        for toolkit in toolkits
    ])
    return unittest.end(env)

def _absences_are_what_the_table_leaves_out_impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, [
        (["torch==2.2.2"], "3.13.1"),
        (["torch==2.5.1", "torchvision>=0.16.0"], "3.13.1"),
        (["torch==2.5.1", "torchaudio>=2.1.0"], "3.13.1"),
    ], [
        (absence["requirements"], absence["python"])
        for absence in expand(_FIELDS)["absences"]
    ])
    return unittest.end(env)

def _a_companion_is_the_newest_of_its_torch_at_the_cutoff_impl(ctx):
    env = unittest.begin(ctx)
    later, before = "2026-11-01T00:00:00Z", "2026-10-28T15:20:00Z"  # torchvision 0.29.2 came in between

    asserts.equals(env, "0.20.1", companion("torchvision", "2.5.1", later, "x86_64"))
    asserts.equals(env, "0.29.0", companion("torchvision", "2.14.0", later, "x86_64"), "the one that requires this very Torch")
    asserts.equals(env, "0.29.2", companion("torchvision", "2.15.0", later, "x86_64"), "the newest that admits it")
    asserts.equals(env, "0.29.1", companion("torchvision", "2.15.0", before, "x86_64"), "the newest that there was")
    asserts.equals(env, "2.11.0", companion("torchaudio", "2.14.1", later, "x86_64"), "by its symbols, as it names no Torch")
    asserts.equals(env, None, companion("torchaudio", "2.15.0", later, "x86_64"), "built for another CUDA, which it refuses")
    asserts.equals(env, "2.10.0", companion("torchaudio", "2.10.0", later, "x86_64"))
    asserts.equals(env, None, companion("torchvision", "2.14.0", "2026-09-01T00:00:00Z", "x86_64"))
    asserts.true(env, companion_serves("torchvision", "0.29.2", "3.15", "x86_64"), "a wheel for py3 serves all")
    asserts.false(env, companion_serves("torchaudio", "2.11.0", "3.15", "x86_64"))
    return unittest.end(env)

def _a_definition_may_choose_companions_impl(ctx):
    env = unittest.begin(ctx)
    fields = dict(_FIELDS, torch = ["2.12.1"], companions = {"2.12.1": {"torchvision": "0.27.0", "torchaudio": None}})
    expanded = expand(fields)
    cell = [cell for cell in expanded["environments"] if cell.get("torch")][0]
    asserts.equals(env, ["torch==2.12.1", "torchvision==0.27.0", "numpy", "pip", "wheel"], cell["inputs"]["requirements"])
    asserts.equals(env, [], expanded["absences"], "nobody asks for what the definition left out")
    asserts.false(env, "companions" in expanded)

    asked = expand(dict(fields, absences = ["torchaudio==2.12.1 for 3.13"]))["absences"]
    asserts.equals(env, [("3.13.1", ["torchaudio==2.12.1"])], [(absence["python"], absence["requirements"]) for absence in asked])
    return unittest.end(env)

_BOTH = dict(
    _FIELDS,
    platforms = ["x86_64-manylinux_2_34", "aarch64-manylinux_2_34"],
    cuda = {"12.8": "12.8.1", "13.0": "13.0.3"},
    cudnn = {"9": "9.12.0.46"},
    torch = ["2.10.0", "2.12.1"],
    python = {"3.12": "3.12.7"},
)

def _each_platform_has_the_cells_and_toolkits_of_its_wheels_impl(ctx):
    env = unittest.begin(ctx)
    expanded = expand(_BOTH)
    asserts.equals(env, "x86_64-manylinux_2_34", expanded["platform"])
    asserts.equals(env, ["aarch64-manylinux_2_34"], expanded["further_platforms"])
    asserts.equals(env, [
        ("x86_64-manylinux_2_34", None),
        ("x86_64-manylinux_2_34", "cu128"),
        ("x86_64-manylinux_2_34", "cu130"),
        ("aarch64-manylinux_2_34", None),
        # The default index has a CUDA build for it from 2.11 on.
        ("aarch64-manylinux_2_34", "cpu"),
        ("aarch64-manylinux_2_34", "cu130"),
    ], [(cell["inputs"]["platform"], cell.get("build")) for cell in expanded["environments"]])
    toolkits = [
        (toolkit["inputs"]["platform"][:3], toolkit["product"], toolkit["version"], toolkit.get("cuda_major"))
        for toolkit in expanded["toolkits"]
    ]
    asserts.equals(env, [
        (machine, product, version, major)
        for machine in ["x86", "aar"]
        for product, version, major in [("cuda", "12.8", None), ("cuda", "13.0", None), ("cudnn", "9", "12"), ("cudnn", "9", "13")]
    ], toolkits)
    return unittest.end(env)

def _a_toolkit_may_be_for_one_machine_impl(ctx):
    env = unittest.begin(ctx)
    expanded = expand(dict(_BOTH, machines = {"cuda12.8": ["x86_64"]}))
    asserts.equals(env, [("cuda", "13.0"), ("cudnn", "9")], [
        (toolkit["product"], toolkit["version"])
        for toolkit in expanded["toolkits"]
        if toolkit["inputs"]["platform"].startswith("aarch64")
    ], "without CUDA 12, no cuDNN for it either")
    asserts.false(env, "machines" in expanded)
    return unittest.end(env)

def _an_extra_of_cuda_without_wheels_is_left_out_impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, "cuda-toolkit[all]==12.8.1", cuda_requirement("12.8.1", "x86_64"))
    without = cuda_requirement("12.8.1", "aarch64")
    asserts.true(env, "cublas," in without and "opencl" not in without, without)
    asserts.equals(env, "cuda-toolkit[all]==13.0.3", cuda_requirement("13.0.3", "aarch64"))
    asserts.equals(env, None, cuda_requirement("12.0.0", "aarch64"))
    return unittest.end(env)

def _a_stack_is_an_environment_on_the_pins_of_its_torch_impl(ctx):
    env = unittest.begin(ctx)
    stacks = {
        "vllm": stack(python = ["3.12"], pins = {"torch": "2.12.1", "vllm": "0.33.0", "xformers": "0.0.35"}, machines = {"xformers": ["x86_64"]}),
        "jax": stack(python = ["3.12"], pins = {"jax[cuda13]": "0.12.0"}, base = "2.12.1"),
        "train": stack(python = ["3.12"], pins = {"torch": "2.11.0", "pip": "26.0"}),
    }
    expanded = expand(dict(_BOTH, stacks = stacks))
    cells = {
        (cell["inputs"]["platform"][:3], cell.get("stack") or cell.get("torch")): cell
        for cell in expanded["environments"]
    }
    vllm = cells[("x86", "vllm")]
    asserts.equals(env, ("2.12.1", "cu130", "13.0", "0.33.0"), (vllm["torch"], vllm["build"], vllm["cuda"], vllm["stack_version"]))
    asserts.equals(env, ["torch==2.12.1", "vllm==0.33.0", "xformers==0.0.35", "pip", "wheel"], vllm["inputs"]["requirements"])
    asserts.equals(env, cells[("x86", "2.12.1")]["inputs"], vllm["inputs"]["base"])
    asserts.false(env, "xformers==0.0.35" in cells[("aar", "vllm")]["inputs"]["requirements"])
    asserts.equals(env, cells[("aar", "2.12.1")]["inputs"], cells[("aar", "vllm")]["inputs"]["base"])
    jax = cells[("x86", "jax")]
    asserts.equals(env, (None, None, "13.0", "0.12.0"), (jax["torch"], jax["build"], jax["cuda"], jax["stack_version"]))
    asserts.equals(env, vllm["inputs"]["base"], jax["inputs"]["base"])
    train = cells[("x86", "train")]
    asserts.equals(env, None, train["stack_version"])
    asserts.equals(env, ["torch==2.11.0", "pip==26.0", "wheel"], train["inputs"]["requirements"])
    asserts.false(env, "base" in train["inputs"], "the generation does not have its Torch")
    asserts.false(env, "stacks" in expanded)
    return unittest.end(env)

def _a_stack_takes_the_build_of_its_cuda_impl(ctx):
    env = unittest.begin(ctx)
    fields = dict(
        _BOTH,
        platforms = ["x86_64-manylinux_2_34"],
        indexes = {"cu130": "https://example.org/cu130"},
        torch = [],
        stacks = {"mine": stack(python = ["3.12"], pins = {"torch": "2.9.1", "torchvision": "0.24.1", "a": "1"}, cuda = "13.0")},
    )
    cell = expand(fields)["environments"][-1]
    asserts.equals(env, ["torch==2.9.1+cu130", "torchvision==0.24.1+cu130", "a==1", "pip", "wheel"], cell["inputs"]["requirements"])
    asserts.equals(env, ["torch", "torchvision"], cell["inputs"]["index_packages"])
    return unittest.end(env)

each_platform_has_the_cells_and_toolkits_of_its_wheels_test = unittest.make(_each_platform_has_the_cells_and_toolkits_of_its_wheels_impl)
a_toolkit_may_be_for_one_machine_test = unittest.make(_a_toolkit_may_be_for_one_machine_impl)
an_extra_of_cuda_without_wheels_is_left_out_test = unittest.make(_an_extra_of_cuda_without_wheels_is_left_out_impl)
a_stack_is_an_environment_on_the_pins_of_its_torch_test = unittest.make(_a_stack_is_an_environment_on_the_pins_of_its_torch_impl)
a_stack_takes_the_build_of_its_cuda_test = unittest.make(_a_stack_takes_the_build_of_its_cuda_impl)
cells_are_those_of_the_table_test = unittest.make(_cells_are_those_of_the_table_impl)
named_indexes_add_builds_test = unittest.make(_named_indexes_add_builds_impl)
inputs_hold_what_the_table_knows_test = unittest.make(_inputs_hold_what_the_table_knows_impl)
toolkits_are_cuda_and_the_cudnn_that_exist_test = unittest.make(_toolkits_are_cuda_and_the_cudnn_that_exist_impl)
absences_are_what_the_table_leaves_out_test = unittest.make(_absences_are_what_the_table_leaves_out_impl)
a_companion_is_the_newest_of_its_torch_at_the_cutoff_test = unittest.make(_a_companion_is_the_newest_of_its_torch_at_the_cutoff_impl)
a_definition_may_choose_companions_test = unittest.make(_a_definition_may_choose_companions_impl)

def matrix_test_suite(name):
    """Makes the tests of this file, and a suite of them.

    Args:
      name: of the suite.
    """
    unittest.suite(
        name,
        a_stack_is_an_environment_on_the_pins_of_its_torch_test,
        a_stack_takes_the_build_of_its_cuda_test,
        a_toolkit_may_be_for_one_machine_test,
        an_extra_of_cuda_without_wheels_is_left_out_test,
        cells_are_those_of_the_table_test,
        each_platform_has_the_cells_and_toolkits_of_its_wheels_test,
        named_indexes_add_builds_test,
        inputs_hold_what_the_table_knows_test,
        toolkits_are_cuda_and_the_cudnn_that_exist_test,
        absences_are_what_the_table_leaves_out_test,
        a_companion_is_the_newest_of_its_torch_at_the_cutoff_test,
        a_definition_may_choose_companions_test,
    )
