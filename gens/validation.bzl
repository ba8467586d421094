"""Validates definitions of generations.

The functions return messages, so that tests can read all of them; `monogen` in defs.bzl fails with the messages.
"""

load(":cuda.bzl", "CUDA_RELEASES", "CUDNN_RELEASES")
load(":matrix.bzl", "build_tag", "machine_of", "stack_build", "torch_builds")
load(":stack.bzl", "pinned_name", "stack_version", "stacks_of")
load(":torch.bzl", "COMPANIONS", "MACHINES", "TORCH_RELEASES", "UNSUITABLE", "companion_releases")

# In uv's words (`--python-platform`), as far as uv knows them.
PLATFORMS = ["%s-manylinux_2_%d" % (machine, minor) for machine in MACHINES for minor in [28] + list(range(31, 41))]

_FIELDS = {
    "id": "int",
    "python": "dict",
    "torch": "list",
    "cuda": "dict",
    "cudnn": "dict",
    "packages": "list",
    "exclude_newer": "string",
    "platforms": "list",
    "machines": "dict",
    "stacks": "dict",
    "indexes": "dict",
    "companions": "dict",
    "absences": "list or None",
}
_REQUIRED = ["id", "python", "exclude_newer"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"

def validate_monogen(fields):
    """Checks the definition of one generation.

    Args:
      fields: arguments of `monogen`, with defaults filled in.

    Returns:
      messages with the generation, the field and what is allowed; empty if the definition is valid.
    """
    errors = []
    for name in fields:
        if name not in _FIELDS:
            errors.append("%s: unknown field; allowed: %s" % (name, ", ".join(_FIELDS.keys())))
        elif name != "absences" and type(fields[name]) != _FIELDS[name]:
            errors.append("%s: %r is not of type %s" % (name, fields[name], _FIELDS[name]))
    for name in _REQUIRED:
        if name not in fields:
            errors.append("%s: missing" % name)
    if not errors:
        errors += _element_errors(fields)
    if not errors:
        if fields["id"] < 0:
            errors.append("id: %d; allowed: 0 and above" % fields["id"])
        errors += _python_errors(fields["python"])
        errors += _cuda_errors(fields["cuda"], fields["cudnn"])
        errors += _packages_errors(fields["packages"])
        if not _is_timestamp(fields["exclude_newer"]):
            errors.append("exclude_newer: %r; allowed: a UTC time of the form 2026-11-01T00:00:00Z" % fields["exclude_newer"])
        errors += _platforms_errors(fields["platforms"])
    if not errors:
        # These compute the cells, which needs valid fields.
        errors += _torch_errors(fields)
        errors += _indexes_errors(fields)
        errors += _companions_errors(fields)
        errors += _absences_errors(fields)
        errors += _machines_errors(fields)
    if not errors:
        errors += _stacks_errors(fields)
    return ["generation %s: %s" % (fields.get("id", "without id"), error) for error in errors]

def validate_order(ids):
    """Checks that IDs rise.

    Args:
      ids: IDs of the generations in order of their list.

    Returns:
      messages with the generation; empty if the order is right.
    """
    errors = []
    for previous, current in zip(ids, ids[1:]):
        if current == previous or current in ids[:ids.index(previous)]:
            errors.append("generation %d: id: stands twice; allowed: above %d" % (current, max(ids)))
        elif current < previous:
            errors.append("generation %d: id: stands after %d; allowed: oldest first" % (current, previous))
    return errors

def _element_errors(fields):
    errors = []
    for name in ["python", "cuda", "cudnn", "indexes"]:
        for key, value in fields[name].items():
            if type(key) != "string" or type(value) != "string":
                errors.append("%s: {%r: %r}; allowed: strings, quoted" % (name, key, value))
    for name in ["torch", "packages"]:
        for position, value in enumerate(fields[name]):
            if type(value) != "string":
                errors.append("%s: %r; allowed: strings, quoted" % (name, value))
            elif value in fields[name][:position]:
                errors.append("%s: %r stands twice" % (name, value))
    return errors

def _platforms_errors(platforms):
    errors = []
    for platform in platforms:
        if platform not in PLATFORMS:
            errors.append("platforms: %r; allowed: %s" % (platform, ", ".join(PLATFORMS)))
    machines = [machine_of(platform) for platform in platforms if type(platform) == "string"]
    for position, machine in enumerate(machines):
        if machine in machines[:position]:
            errors.append("platforms: two for %s; allowed: one for each machine, of the oldest glibc that is to run it" % machine)
    if not platforms:
        errors.append("platforms: empty; allowed: for example [%r]" % PLATFORMS[0])
    return errors

def _machines(fields):
    return [machine_of(platform) for platform in fields["platforms"]]

def _machines_errors(fields):
    errors = []
    names = ["cuda" + version for version in fields["cuda"]] + [name for name in fields["stacks"] if type(name) == "string"]
    for name, machines in fields["machines"].items():
        if name not in names:
            errors.append("machines: %r; allowed: toolkits and stacks of the generation, %s" % (name, ", ".join(names)))
        elif type(machines) != "list" or not machines or [one for one in machines if one not in _machines(fields)]:
            errors.append("machines: %r for %r; allowed: a list of %s" % (machines, name, ", ".join(_machines(fields))))
    return errors

# Types of the fields of a stack; those that may be None have one as well.
_STACK_FIELDS = {
    "python": ["list"],
    "pins": ["dict"],
    "cuda": ["string", "NoneType"],
    "base": ["string", "NoneType"],
    "version": ["string", "NoneType"],
    "machines": ["dict"],
}

def _stacks_errors(fields):
    errors = []
    seen = {}
    for name, value in fields["stacks"].items():
        if value == []:
            errors.append("stacks: %s: empty; allowed: stack(…), or a list of them" % name)
    for name, stack in stacks_of(fields["stacks"]):
        if type(name) != "string" or not _is_name(name) or name[0] in _DIGITS or name.startswith("torch"):
            errors.append("stacks: %r; allowed: a normalized name that begins with a letter, and not with torch" % name)
            continue
        said = "stacks: %s: " % name
        if type(stack) != "struct" or [field for field in _STACK_FIELDS if not hasattr(stack, field)]:
            errors.append(said + "%r; allowed: stack(…), or a list of them" % (stack,))
            continue
        wrong = [
            "%s: %r is not of type %s" % (field, getattr(stack, field), " or ".join(types))
            for field, types in _STACK_FIELDS.items()
            if type(getattr(stack, field)) not in types
        ]
        found = wrong or _stack_errors(fields, name, stack)
        errors += [said + error for error in found]
        if found:
            continue
        key = (name, stack_version(name, stack))
        if key in seen:
            errors.append(said + "version %s stands twice" % (key[1] or "none"))
        seen[key] = True
    return errors

def _stack_errors(fields, name, stack):
    errors = []
    for position, python in enumerate(stack.python):
        if python not in fields["python"]:
            errors.append("python: %r; allowed: Pythons of the generation, %s" % (python, ", ".join(fields["python"].keys())))
        elif python in stack.python[:position]:
            errors.append("python: %r stands twice" % python)
    if not stack.python:
        errors.append("python: empty; allowed: Pythons of the generation, %s" % ", ".join(fields["python"].keys()))
    errors += _pins_errors(stack)
    if stack.version != None and not _is_release(stack.version):
        errors.append("version: %r; allowed: for example 1.2" % stack.version)
    if stack.cuda != None and stack.cuda not in fields["cuda"]:
        errors.append("cuda: %r; allowed: those of the generation, %s" % (stack.cuda, ", ".join(fields["cuda"].keys()) or "none"))
    elif stack.cuda != None and stack.base == None and "torch" not in stack.pins:
        errors.append("cuda: %r; allowed: beside a pin of torch, or a base" % stack.cuda)
    for package, machines in stack.machines.items():
        if package not in stack.pins or type(machines) != "list" or [one for one in machines if one not in MACHINES]:
            errors.append("machines: %r for %r; allowed: pins of the stack, with a list of %s" % (machines, package, ", ".join(MACHINES)))
        elif package == "torch":
            errors.append("machines: torch; allowed: any other pin, as the stack is named by its Torch: use `machines` of the generation")
    return errors or _stack_torch_errors(fields, name, stack)

def _pins_errors(stack):
    errors = []
    if not stack.pins:
        errors.append('pins: empty; allowed: for example {"vllm": "0.33.0"}')
    seen = {}
    for package, version in stack.pins.items():
        if type(package) != "string" or not _is_pinnable(package):
            errors.append("pins: %r; allowed: a normalized name, also with extras such as jax[cuda13]" % package)
            continue
        if type(version) != "string" or not _is_release(version):
            errors.append("pins: %r for %r; allowed: a final release such as 0.33.0" % (version, package))
        if pinned_name(package) in seen:
            errors.append("pins: %s stands twice" % pinned_name(package))
        seen[pinned_name(package)] = True
        release = stack.pins.get("torch")
        if type(version) == "string" and _is_unsuitable(package, version, release):
            errors.append("pins: %s %s cannot be used with torch %s (UNSUITABLE in torch.bzl)" % (package, version, release))
    return errors

def _is_pinnable(package):
    """Returns whether text is a normalized package name, or one with normalized names of extras."""
    name, bracket, extras = package.partition("[")
    if not bracket:
        return _is_name(name)
    return _is_name(name) and extras.endswith("]") and not [extra for extra in extras[:-1].split(",") if not _is_name(extra)]

def _is_release(version):
    """Returns whether text is a final release or a post-release of one (PEP 440)."""
    release, post, number = version.partition(".post")
    return _is_version(release, None) and (not post or _is_version(number, 1))

def _is_unsuitable(package, version, release):
    return release in UNSUITABLE.get(package, {}).get(version, [])

def _stack_torch_errors(fields, name, stack):
    release = stack.pins.get("torch", stack.base)
    if release == None:
        return []
    if stack.base != None and "torch" in stack.pins:
        return ["base: %r; allowed: nothing beside a pin of torch, whose release is the base" % stack.base]
    if stack.base != None and stack.base not in fields["torch"]:
        return ["base: %r; allowed: torch releases of the generation, %s" % (stack.base, ", ".join(fields["torch"]))]
    errors = []
    for machine in fields["machines"].get(name, _machines(fields)):
        facts = TORCH_RELEASES[machine].get(release)
        if facts == None:
            errors.append("pins: torch %s for %s; allowed: %s" % (release, machine, ", ".join(TORCH_RELEASES[machine].keys())))
        elif facts.uploaded > fields["exclude_newer"]:
            errors.append("pins: torch %s was uploaded at %s; the generation excludes what is newer than %s" % (
                release,
                facts.uploaded,
                fields["exclude_newer"],
            ))
        elif "torch" not in stack.pins and not _has_default_build(fields, stack, machine):
            errors.append("base: torch %s for %s has the build of this CUDA on an index of `indexes` alone; allowed: to pin torch as well" % (
                release,
                machine,
            ))
        elif stack_build(fields, stack, machine) == None:
            errors.append("cuda: torch %s has build %s for %s on the default index, and `indexes` names no other that suits" % (
                release,
                facts.build,
                machine,
            ))
        errors += [
            "python: torch %s has no wheel for %s on %s" % (release, python, machine)
            for python in stack.python
            if facts != None and python not in facts.python
        ]
    return errors

def _has_default_build(fields, stack, machine):
    # Packages that are not pinned come from the default index, and so would a Torch of another build.
    build = stack_build(fields, stack, machine)
    return build == None or build.index == None

def _python_errors(python):
    errors = []
    if not python:
        errors.append('python: empty; allowed: for example {"3.11": "3.11.10"}')
    for minor, full in python.items():
        if not _is_version(minor, 2) or not minor.startswith("3."):
            errors.append("python: %r; allowed: a minor version such as 3.11" % minor)
        elif not _is_version(full, 3) or not full.startswith(minor + "."):
            errors.append("python: %r for %r; allowed: a full version such as %s.1" % (full, minor, minor))
    return errors

def _cuda_errors(cuda, cudnn):
    errors = []
    for version, full in cuda.items():
        known = [release for release in CUDA_RELEASES if release.startswith(version + ".")]
        if not _is_version(version, 2):
            errors.append("cuda: %r; allowed: a version such as 12.4" % version)
        elif not known:
            errors.append("cuda: %r; allowed: %s" % (version, ", ".join(_minors(CUDA_RELEASES))))
        elif full not in known:
            errors.append("cuda: %r for %r; allowed: %s" % (full, version, ", ".join(known)))
    if errors:
        return errors
    majors = _majors(cuda)
    for major, full in cudnn.items():
        known = [release for release in CUDNN_RELEASES if release.startswith(major + ".")]
        if full not in known:
            errors.append("cudnn: %r for %r; allowed: %s" % (full, major, ", ".join(known) or "8.… and 9.…"))
        elif not [cuda_major for cuda_major in majors if cuda_major in CUDNN_RELEASES[full]]:
            errors.append("cudnn: %s is built for CUDA %s; the generation has CUDA %s" % (
                full,
                " and ".join(CUDNN_RELEASES[full]),
                ", ".join(cuda.keys()) or "none",
            ))
    if errors:
        return errors
    for major in majors:
        if not [full for full in cudnn.values() if major in CUDNN_RELEASES[full]]:
            errors.append("cudnn: none for CUDA %s; allowed: one of %s" % (
                major,
                ", ".join([full for full in CUDNN_RELEASES if major in CUDNN_RELEASES[full]]),
            ))
    return errors

def _packages_errors(packages):
    errors = []
    for package in packages:
        name, bound, version = package.partition("==")
        if not _is_name(name) or (bound and not _is_version(version, None)):
            errors.append("packages: %r; allowed: a normalized name, or one with a version such as wheel==0.45.1" % package)
    return errors

def _torch_errors(fields):
    errors = []
    for release in fields["torch"]:
        found = {
            machine: TORCH_RELEASES[machine][release]
            for machine in _machines(fields)
            if release in TORCH_RELEASES[machine]
        }
        pythons = {python: True for facts in found.values() for python in facts.python}
        if not found:
            known = [version for machine in _machines(fields) for version in TORCH_RELEASES[machine]]
            errors.append("torch: %r; allowed: %s" % (release, ", ".join({version: True for version in known}.keys())))
        elif found.values()[0].uploaded > fields["exclude_newer"]:
            errors.append("torch: %s was uploaded at %s; the generation excludes what is newer than %s" % (
                release,
                found.values()[0].uploaded,
                fields["exclude_newer"],
            ))
        elif not [python for python in fields["python"] if python in pythons]:
            errors.append("torch: %s has wheels for Python %s; the generation has %s" % (
                release,
                ", ".join(pythons.keys()),
                ", ".join(fields["python"].keys()),
            ))
        elif not [machine for machine in found if torch_builds(release, fields["cuda"], fields["indexes"], machine)]:
            errors.append("torch: the default index serves build %s of %s, and `indexes` names no other; the generation has %s" % (
                " and ".join({facts.build: True for facts in found.values()}.keys()),
                release,
                ", ".join([build_tag(cuda) for cuda in fields["cuda"]]) or "no CUDA",
            ))
    return errors

def _indexes_errors(fields):
    errors = []
    tags = ["cpu"] + [build_tag(cuda) for cuda in fields["cuda"]]
    for build, url in fields["indexes"].items():
        served = [
            release
            for release in fields["torch"]
            for machine in _machines(fields)
            if release in TORCH_RELEASES[machine] and build in TORCH_RELEASES[machine][release].builds
        ]
        if build not in tags:
            errors.append("indexes: %r; allowed: %s" % (build, ", ".join(tags)))
        elif not served:
            errors.append("indexes: %r: none of the torch releases has that build" % build)
        if not (url.startswith("https://") or url.startswith("http://")) or " " in url:
            errors.append("indexes: %r for %r; allowed: a URL of an index (PEP 503)" % (url, build))
        elif "@" in url:
            # A definition is public, and so is each lock that it leads to.
            errors.append("indexes: the URL for %r holds credentials; allowed: those of uv's own configuration" % build)
    return errors

def _companions_errors(fields):
    errors = []
    for release, chosen in fields["companions"].items():
        if release not in fields["torch"]:
            errors.append("companions: %r; allowed: torch releases of the generation, %s" % (release, ", ".join(fields["torch"])))
        elif type(chosen) != "dict":
            errors.append("companions: %r for %r; allowed: for example {\"torchaudio\": None}" % (chosen, release))
        else:
            for package, version in chosen.items():
                if _is_unsuitable(package, version, release):
                    errors.append("companions: %s %s cannot be used with torch %s (UNSUITABLE in torch.bzl)" % (package, version, release))
                elif package not in COMPANIONS:
                    errors.append("companions: %r for torch %s; allowed: %s" % (package, release, ", ".join(COMPANIONS)))
                elif version != None and version not in companion_releases(package):
                    errors.append("companions: %s %r for torch %s; allowed: None, %s" % (
                        package,
                        version,
                        release,
                        ", ".join(companion_releases(package)),
                    ))
    return errors

def _absences_errors(fields):
    absences = fields["absences"]
    if absences == None:
        return []
    example = "a list of, for example, torchaudio==2.15.0 for 3.11"
    if type(absences) != "list":
        return ["absences: %r; allowed: %s" % (absences, example)]
    errors = []
    for absence in absences:
        requirement, _, python = absence.partition(" for ") if type(absence) == "string" else ("", "", "")
        if "==" not in requirement or not python:
            errors.append("absences: %r; allowed: %s" % (absence, example))
        elif python not in fields["python"]:
            errors.append("absences: %r; allowed: Pythons of the generation, %s" % (absence, ", ".join(fields["python"].keys())))
    return errors

def _majors(cuda):
    majors = []
    for version in cuda:
        major = version.split(".")[0]
        if major not in majors:
            majors.append(major)
    return majors

def _minors(releases):
    minors = []
    for release in releases:
        minor = release.rpartition(".")[0]
        if minor not in minors:
            minors.append(minor)
    return minors

def _is_version(text, parts):
    """Returns whether text is dot-separated numbers; `parts` of them, unless that is None."""
    numbers = text.split(".")
    return (parts == None or len(numbers) == parts) and not [
        number
        for number in numbers
        if not number.isdigit() or (len(number) > 1 and number.startswith("0"))
    ]

def _is_name(text):
    """Returns whether text is a normalized package name (PEP 503)."""
    return bool(text) and not [
        letter
        for letter in text.elems()
        if letter not in _LETTERS + _DIGITS + "-"
    ] and not text.startswith("-") and not text.endswith("-") and "--" not in text

def _is_timestamp(text):
    """Returns whether text is a UTC time of RFC 3339, to the second."""
    shape = "".join(["0" if letter.isdigit() else letter for letter in text.elems()])
    if shape != "0000-00-00T00:00:00Z":
        return False
    month, day, hour, minute, second = [int(text[start:start + 2]) for start in [5, 8, 11, 14, 17]]
    return month in range(1, 13) and day in range(1, 32) and hour < 24 and minute < 60 and second < 60
