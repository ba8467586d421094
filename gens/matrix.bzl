"""Expands the definition of a generation into its environments and toolkits; Python reads the result as JSON."""

load(":cuda.bzl", "CUDNN_RELEASES", "cuda_requirement")
load(":stack.bzl", "pinned_name", "stack_version", "stacks_of")
load(":torch.bzl", "COMPANIONS", "TORCH_RELEASES", "UNSUITABLE", "companion", "companion_releases", "companion_serves")

def build_tag(cuda):
    """Returns PyTorch's tag for builds of a CUDA version: cu121 for 12.1."""
    return "cu" + cuda.replace(".", "")

def machine_of(platform):
    """Returns the machine of a platform in uv's words: aarch64 for aarch64-manylinux_2_34."""
    return platform.partition("-")[0]

def is_for(fields, name, machine):
    """Returns whether a generation has a toolkit or stack on a machine, as its field `machines` says.

    Args:
      fields: the fields of `monogen`.
      name: the name of the toolkit or stack, such as cuda12.8.
      machine: the machine.

    Returns:
      whether it does.
    """
    return machine in fields["machines"].get(name, [machine])

def torch_builds(release, cuda, indexes, machine):
    """Returns the builds of a Torch release that a generation has on a machine.

    Args:
      release: the Torch release.
      cuda: the CUDA versions of the generation.
      indexes: its indexes by build tag.
      machine: the machine.

    Returns:
      a list of structs: tag, CUDA version (None for `cpu`), index (None for the default one), in order of CUDA.
    """
    builds = []
    facts = TORCH_RELEASES[machine].get(release)
    if facts == None:
        return []
    for tag, version in [("cpu", None)] + [(build_tag(version), version) for version in cuda]:
        if tag in indexes and tag in facts.builds:
            builds.append(struct(tag = tag, cuda = version, index = indexes[tag]))
        elif tag == facts.build:
            builds.append(struct(tag = tag, cuda = version, index = None))
    return builds

def expand(fields):
    """Expands a valid definition.

    Args:
      fields: the fields of `monogen`.

    Returns:
      a dict of the shape of `gens.generation.Generation`, which reads its JSON.
    """
    environments, toolkits, absences = [], [], []
    for platform in fields["platforms"]:
        one = dict(fields, platform = platform, machine = machine_of(platform))
        environments += _environments(one) + _stack_environments(one)
        toolkits += _cuda_toolkits(one) + _cudnn_toolkits(one)
        absences += _absences(one)

    # What a definition chooses of companions, stacks and machines stands in the targets and requirements that it leads to.
    expanded = {
        name: value
        for name, value in fields.items()
        if name not in ["companions", "machines", "platforms", "stacks"]
    }
    expanded.update(
        platform = fields["platforms"][0],
        environments = environments,
        toolkits = toolkits,
        absences = absences,
    )
    if len(fields["platforms"]) > 1:
        expanded["further_platforms"] = fields["platforms"][1:]
    return expanded

def _environments(fields):
    environments = []
    for python, python_full in fields["python"].items():
        environments.append({
            "python": python,
            "python_full": python_full,
            "inputs": _inputs(fields, python_full, fields["packages"]),
        })
        for release in fields["torch"]:
            if python not in _torch_pythons(release, fields["machine"]):
                continue
            for build in torch_builds(release, fields["cuda"], fields["indexes"], fields["machine"]):
                environments.append({
                    "python": python,
                    "python_full": python_full,
                    "torch": release,
                    "build": build.tag,
                    "cuda": build.cuda,
                    "inputs": _torch_inputs(fields, python, release, build),
                })
    return environments

def _torch_pythons(release, machine):
    facts = TORCH_RELEASES[machine].get(release)
    return [] if facts == None else facts.python

def _torch_inputs(fields, python, release, build):
    pins = {"torch": release}
    for package, version in companions_of(fields, release).items():
        if version != None and companion_serves(package, version, python, fields["machine"]):
            pins[package] = version
    requirements = _pinned(pins, build)

    # Torch does not require NumPy, but cannot exchange arrays with other packages without it.
    requirements += [package for package in ["numpy"] + fields["packages"] if package not in requirements]
    return dict(
        _inputs(fields, fields["python"][python], requirements),
        constraints = TORCH_RELEASES[fields["machine"]][release].constraints,
        index_url = build.index,
        index_packages = [] if build.index == None else pins.keys(),
    )

def _pinned(pins, build):
    # An index for one build has the build in the local version. Spelled out, it excludes all other builds.
    local = "" if build == None or build.index == None else "+" + build.tag
    return [
        "%s==%s%s" % (package, version, local if package in ["torch"] + COMPANIONS else "")
        for package, version in pins.items()
    ]

def _stack_environments(fields):
    environments = []
    for name, stack in stacks_of(fields["stacks"]):
        if not is_for(fields, name, fields["machine"]):
            continue
        build = stack_build(fields, stack, fields["machine"])
        for python in stack.python:
            environments.append({
                "python": python,
                "python_full": fields["python"][python],
                "torch": stack.pins.get("torch"),
                "build": build.tag if build != None and "torch" in stack.pins else None,
                "cuda": None if build == None else build.cuda,
                "stack": name,
                "stack_version": stack_version(name, stack),
                "inputs": _stack_inputs(fields, python, stack, build),
            })
    return environments

def stack_build(fields, stack, machine):
    """Returns the build of the Torch that a stack pins, or that it has as its base.

    Args:
      fields: the fields of `monogen`.
      stack: the stack.
      machine: the machine.

    Returns:
      a struct of `torch_builds`: the one of the stack's CUDA, or else that of the default index; None where there is none.
    """
    release = stack.pins.get("torch", stack.base)
    builds = [] if release == None else torch_builds(release, fields["cuda"], fields["indexes"], machine)
    found = None
    for build in builds:
        suits = build.cuda == stack.cuda if stack.cuda else found == None or build.index == None
        if suits:
            found = build
    return found

def _stack_inputs(fields, python, stack, build):
    pins = {
        package: version
        for package, version in stack.pins.items()
        if fields["machine"] in stack.machines.get(package, [fields["machine"]])
    }
    names = [pinned_name(package) for package in pins]
    requirements = _pinned(pins, build) + [package for package in fields["packages"] if package not in names]
    inputs = _inputs(fields, fields["python"][python], requirements)
    release = stack.pins.get("torch", stack.base)
    if release == None:
        return inputs
    if release in fields["torch"] and python in _torch_pythons(release, fields["machine"]):
        inputs["base"] = _torch_inputs(fields, python, release, build)
    if "torch" not in pins:
        return inputs
    return dict(
        inputs,
        constraints = TORCH_RELEASES[fields["machine"]][release].constraints,
        index_url = build.index,
        index_packages = [] if build.index == None else [name for name in names if name in ["torch"] + COMPANIONS],
    )

def _absences(fields):
    """Returns inputs that must not resolve. If one does, the default index serves more than releases.json says."""
    if fields["absences"] != None:
        chosen = [absence.split(" for ") for absence in fields["absences"]]
        return [
            dict(_inputs(fields, fields["python"][python], [requirement]), no_deps = True)
            for requirement, python in chosen
        ]
    absences = []
    machine = fields["machine"]
    for release in fields["torch"]:
        served = _torch_pythons(release, machine)
        pythons = [python for python in fields["python"] if python in served]
        absences += [
            dict(_inputs(fields, fields["python"][python], ["torch==" + release]), no_deps = True)
            for python in fields["python"]
            if python not in served
        ]
        for package, version in companions_of(fields, release).items():
            if package in fields["companions"].get(release, {}):
                continue  # the definition says which one it wants, whatever there is
            if [unsuitable for unsuitable in UNSUITABLE[package].values() if release in unsuitable]:
                continue  # the index has one, which does not work

            # Unpinned beside this very Torch: a companion that suits would be found whatever its version is. The first ones of
            # all, which nobody wants, name no Torch.
            requirements = ["torch==" + release, "%s>=%s" % (package, companion_releases(package)[0])]
            absences += [
                _inputs(fields, fields["python"][python], requirements)
                for python in pythons
                if version == None or not companion_serves(package, version, python, machine)
            ]
    return absences

def companions_of(fields, release):
    """Returns the companions of a Torch release in a generation.

    Args:
      fields: the fields of `monogen`, and the machine.
      release: the Torch release.

    Returns:
      the version by package, None where it has none.
    """
    chosen = fields["companions"].get(release, {})
    return {
        package: chosen[package] if package in chosen else companion(
            package,
            release,
            fields["exclude_newer"],
            fields["machine"],
        )
        for package in COMPANIONS
    }

def _cuda_of(fields):
    """Returns the CUDA toolkits of one machine: full version by version."""
    return {
        version: full
        for version, full in fields["cuda"].items()
        if is_for(fields, "cuda" + version, fields["machine"]) and cuda_requirement(full, fields["machine"]) != None
    }

def _cuda_toolkits(fields):
    return [
        {
            "product": "cuda",
            "version": version,
            "full_version": full,
            "inputs": _inputs(fields, _any_python(fields), [cuda_requirement(full, fields["machine"])]),
        }
        for version, full in _cuda_of(fields).items()
    ]

def _cudnn_toolkits(fields):
    majors = {version.split(".")[0]: True for version in _cuda_of(fields)}
    return [
        {
            "product": "cudnn",
            "version": version,
            "full_version": full,
            "cuda_major": major,
            # Without dependencies: cuDNN would bring the newest cuBLAS, and the CUDA toolkit has the matching one.
            "inputs": dict(
                _inputs(fields, _any_python(fields), ["nvidia-cudnn-cu%s==%s" % (major, full)]),
                no_deps = True,
            ),
        }
        for version, full in fields["cudnn"].items()
        for major in majors
        if fields["machine"] in CUDNN_RELEASES[full].get(major, [])
    ]

def _any_python(fields):
    """Returns some Python version: the wheels of toolkits fit all of them."""
    return fields["python"].values()[0]

def _inputs(fields, python_full, requirements):
    return {
        "python": python_full,
        "platform": fields["platform"],
        "exclude_newer": fields["exclude_newer"],
        "requirements": requirements,
    }
