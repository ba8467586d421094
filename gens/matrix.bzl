"""Expands the definition of a generation into its environments and toolkits; Python reads the result as JSON."""

load(":cuda.bzl", "CUDNN_RELEASES")
load(":torch.bzl", "COMPANIONS", "TORCH_RELEASES", "companion", "companion_releases", "companion_serves")

def build_tag(cuda):
    """Returns PyTorch's tag for builds of a CUDA version: cu121 for 12.1."""
    return "cu" + cuda.replace(".", "")

def torch_builds(release, cuda, indexes):
    """Returns the builds of a Torch release that a generation has.

    Args:
      release: the Torch release.
      cuda: the CUDA versions of the generation.
      indexes: its indexes by build tag.

    Returns:
      a list of structs: tag, CUDA version (None for `cpu`), index (None for the default one), in order of CUDA.
    """
    builds = []
    facts = TORCH_RELEASES[release]
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
    return dict(
        # What a definition chooses of companions stands in the requirements that it leads to.
        {name: value for name, value in fields.items() if name != "companions"},
        environments = _environments(fields),
        toolkits = _cuda_toolkits(fields) + _cudnn_toolkits(fields),
        absences = _absences(fields),
    )

def _environments(fields):
    environments = []
    for python, python_full in fields["python"].items():
        environments.append({
            "python": python,
            "python_full": python_full,
            "inputs": _inputs(fields, python_full, fields["packages"]),
        })
        for release in fields["torch"]:
            if python not in TORCH_RELEASES[release].python:
                continue
            for build in torch_builds(release, fields["cuda"], fields["indexes"]):
                environments.append({
                    "python": python,
                    "python_full": python_full,
                    "torch": release,
                    "build": build.tag,
                    "cuda": build.cuda,
                    "inputs": _torch_inputs(fields, python, release, build),
                })
    return environments

def _torch_inputs(fields, python, release, build):
    facts = TORCH_RELEASES[release]
    pins = {"torch": release}
    for package, version in companions_of(fields, release).items():
        if version != None and companion_serves(package, version, python):
            pins[package] = version

    # An index for one build has the build in the local version. Spelled out, it excludes all other builds.
    local = "" if build.index == None else "+" + build.tag
    requirements = ["%s==%s%s" % (package, version, local) for package, version in pins.items()]

    # Torch does not require NumPy, but cannot exchange arrays with other packages without it.
    requirements += [package for package in ["numpy"] + fields["packages"] if package not in requirements]
    return dict(
        _inputs(fields, fields["python"][python], requirements),
        constraints = facts.constraints,
        index_url = build.index,
        index_packages = [] if build.index == None else pins.keys(),
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
    for release in fields["torch"]:
        facts = TORCH_RELEASES[release]
        pythons = [python for python in fields["python"] if python in facts.python]
        wanted = [("torch==" + release, python) for python in fields["python"] if python not in facts.python]
        absences += [
            dict(_inputs(fields, fields["python"][python], [requirement]), no_deps = True)
            for requirement, python in wanted
        ]
        for package, version in companions_of(fields, release).items():
            if package in fields["companions"].get(release, {}):
                continue  # the definition says which one it wants, whatever there is

            # Unpinned beside this very Torch: a companion that suits would be found whatever its version is. The first ones of
            # all, which nobody wants, name no Torch.
            requirements = ["torch==" + release, "%s>=%s" % (package, companion_releases(package)[0])]
            absences += [
                _inputs(fields, fields["python"][python], requirements)
                for python in pythons
                if version == None or not companion_serves(package, version, python)
            ]
    return absences

def companions_of(fields, release):
    """Returns the companions of a Torch release in a generation.

    Args:
      fields: the fields of `monogen`.
      release: the Torch release.

    Returns:
      the version by package, None where it has none.
    """
    chosen = fields["companions"].get(release, {})
    return {
        package: chosen[package] if package in chosen else companion(package, release, fields["exclude_newer"])
        for package in COMPANIONS
    }

def _cuda_toolkits(fields):
    return [
        {
            "product": "cuda",
            "version": version,
            "full_version": full,
            "inputs": _inputs(fields, _any_python(fields), ["cuda-toolkit[all]==" + full]),
        }
        for version, full in fields["cuda"].items()
    ]

def _cudnn_toolkits(fields):
    majors = {version.split(".")[0]: True for version in fields["cuda"]}
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
        if major in CUDNN_RELEASES[full]
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
