"""`weightless_model`: the image of a model, of the runtime, a layer of packages and code. README.md shows its use."""

load("@rules_python//python:defs.bzl", "PyInfo", "py_binary", "py_test")
load("//image:architectures.bzl", "ARCHITECTURES")
load(":image_targets.bzl", "SETTINGS_ATTRS", "image_targets", "write_settings")

# What locks are made of, by the names that people give such files.
_SOURCES = [
    "constraints*.txt",
    "pyproject.toml",
    "requirements*.in",
    "requirements*.txt",
]

def _name_in_model(ctx, file):
    """Returns the path of a file below the model's folder: relative to the package, or else to the repository."""
    if file.short_path.startswith("../"):
        fail("%s: %s is of another repository: packages come by the layer lock, so add them to its requirements" % (
            ctx.label,
            file.short_path[3:],
        ))
    package = ctx.label.package + "/" if ctx.label.package else ""
    return file.short_path.removeprefix(package)

def _files_layer(ctx, name, files):
    """Declares the action that makes a layer of files; returns blob and facts."""
    blob = ctx.actions.declare_file("%s.%s.tar.gz" % (ctx.label.name, name))
    facts = ctx.actions.declare_file("%s.%s.json" % (ctx.label.name, name))
    args = ctx.actions.args()
    args.add("--blob", blob)
    args.add("--facts", facts)
    args.add("--folder", ctx.attr.working_directory)
    for path, file in files.items():
        args.add("--file", path)
        args.add(file)
    ctx.actions.run(
        executable = ctx.executable._make_code_layer,
        arguments = [args],
        inputs = files.values(),
        outputs = [blob, facts],
        mnemonic = "ModelFiles",
    )
    return [blob, facts]

def _by_name(ctx, files, known = {}):
    found = {}
    for file in files:
        name = _name_in_model(ctx, file)
        other = found.setdefault(name, file)
        if other != file:
            fail("%s: %s and %s would be the same file %s/%s of the model; leave one out" % (
                ctx.label,
                other.short_path,
                file.short_path,
                ctx.attr.working_directory,
                name,
            ))
    return {name: file for name, file in found.items() if name not in known}

def _code(ctx):
    """Returns the code by its names in the model: srcs, and what deps have in this repository.

    What deps need of another repository is a package, which the layer or the environment has.
    """
    for dep in ctx.attr.deps:
        if dep.label.workspace_name:
            fail("%s: %s is of another repository: packages come by the layer lock, so add it to its requirements" % (
                ctx.label,
                dep.label,
            ))
    sources = depset(transitive = [dep[PyInfo].transitive_sources for dep in ctx.attr.deps]).to_list()
    own = [file for file in sources if not file.short_path.startswith("../")]
    return _by_name(ctx, depset(ctx.files.srcs + own).to_list())

def _model_impl(ctx):
    facts = ctx.actions.declare_file(ctx.label.name + ".base.json")
    args = ctx.actions.args()
    args.add("--architecture", ctx.attr.architecture)
    args.add("--gen", ctx.attr.gen)
    args.add("--environment", ctx.attr.environment)
    args.add_all(ctx.files.gens, before_each = "--gens", expand_directories = False)
    args.add("--output", facts)
    args.add(ctx.file.lock)
    ctx.actions.run(
        executable = ctx.executable._read_base,
        arguments = [args],
        inputs = [ctx.file.lock] + ctx.files.gens,
        outputs = [facts],
        mnemonic = "ModelBase",
    )

    # The facts are an input so that a lock of another base is refused before its wheels are installed.
    packages = ctx.actions.declare_directory(ctx.label.name + ".packages")
    args = ctx.actions.args()
    args.add("--lock", ctx.file.lock)
    if ctx.attr.prefix:
        args.add("--prefix", ctx.attr.prefix)
    if ctx.file.python:
        args.add("--python", ctx.file.python)
    args.add("--output", packages.path)
    args.add_all(ctx.files.wheels)
    ctx.actions.run(
        executable = ctx.executable._make_package_layers,
        arguments = [args],
        inputs = [ctx.file.lock, facts] + ctx.files.wheels + ctx.files.python,
        outputs = [packages],
        mnemonic = "ModelPackages",
    )

    code = _code(ctx)
    data = _by_name(ctx, ctx.files.data, known = code)
    layers = ([_files_layer(ctx, "data", data)] if data else []) + [_files_layer(ctx, "code", code)]

    settings = write_settings(ctx)
    layout = ctx.actions.declare_directory(ctx.label.name)
    args = ctx.actions.args()
    args.add("--title", ctx.attr.title)
    args.add("--base", ctx.file.base.path)
    args.add("--facts", facts)
    args.add("--settings", settings)
    args.add("--packages", packages.path)
    for layer in layers:
        args.add("--layer", layer[0])
        args.add(layer[1])
    args.add("--output", layout.path)
    ctx.actions.run(
        executable = ctx.executable._make_model_image,
        arguments = [args],
        inputs = [ctx.file.base, facts, settings, packages] + [file for layer in layers for file in layer],
        outputs = [layout],
        mnemonic = "ModelImage",
    )

    bill = ctx.actions.declare_file(ctx.label.name + ".cdx.json")
    args = ctx.actions.args()
    args.add("--image", layout.path)
    args.add("--base", ctx.file.base.path)
    args.add("--facts", facts)
    args.add("--layer-lock", ctx.file.lock)
    args.add("--debian-lock", ctx.file.debian_lock)
    args.add("--output", bill)
    ctx.actions.run(
        executable = ctx.executable._make_bill,
        arguments = [args],
        inputs = [layout, ctx.file.base, facts, ctx.file.lock, ctx.file.debian_lock],
        outputs = [bill],
        mnemonic = "ModelBill",
    )
    parts = ctx.actions.declare_file(ctx.label.name + ".parts.json")
    code_blobs = [layer[0] for layer in layers]
    ctx.actions.write(parts, json.encode_indent({
        "facts": facts.short_path,
        "files": [blob.short_path for blob in code_blobs],
        "lock": ctx.file.lock.short_path,
        "settings": settings.short_path,
        "wheels": [wheel.short_path for wheel in ctx.files.wheels],
    }, indent = "  "))
    return [
        DefaultInfo(files = depset([layout]), runfiles = ctx.runfiles([layout])),
        OutputGroupInfo(
            bill = depset([bill]),
            parts = depset([parts]),
            run_files = depset([facts, settings, ctx.file.lock] + code_blobs + ctx.files.wheels),
        ),
    ]

model_image = rule(
    doc = "The image of a model for one architecture, as one folder, an OCI layout: what `weightless_model` declares.",
    implementation = _model_impl,
    attrs = SETTINGS_ATTRS | {
        "architecture": attr.string(doc = "amd64 or arm64.", mandatory = True),
        "base": attr.label(allow_single_file = True, doc = "The image below, an OCI layout.", mandatory = True),
        "data": attr.label_list(allow_files = True, doc = "Files in a layer below the code."),
        "debian_lock": attr.label(allow_single_file = True, doc = "That of the Debian packages of the base.", mandatory = True),
        "deps": attr.label_list(doc = "Libraries of this repository, with theirs.", providers = [PyInfo]),
        "environment": attr.string(doc = "The environment that the lock must be for."),
        "gen": attr.string(doc = "The generation that the lock must be for."),
        "gens": attr.label(allow_files = True, doc = "Folder of definitions and locks, instead of //gens."),
        "lock": attr.label(allow_single_file = True, doc = "The layer lock.", mandatory = True),
        "prefix": attr.string(doc = "The prefix of the nodes, if not the default one."),
        "python": attr.label(allow_single_file = True, doc = "The interpreter that compiles the packages."),
        "srcs": attr.label_list(allow_files = True, doc = "The code."),
        "title": attr.string(doc = "Its label.", mandatory = True),
        "wheels": attr.label_list(allow_files = True, doc = "The wheels of the lock, or folders of wheels."),
        "working_directory": attr.string(default = "/opt/model", doc = "Where code and data lie, and the command runs."),
        "_make_bill": attr.label(cfg = "exec", default = "//image/model:make_bill", executable = True),
        "_make_code_layer": attr.label(cfg = "exec", default = "//image/model:make_code_layer", executable = True),
        "_make_model_image": attr.label(cfg = "exec", default = "//image/model:make_model_image", executable = True),
        "_make_package_layers": attr.label(cfg = "exec", default = "//image/model:make_package_layers", executable = True),
        "_read_base": attr.label(cfg = "exec", default = "//image/model:read_base", executable = True),
    },
)

def _by_architecture(name, what, value, architectures):
    """Returns a value for each architecture: a dictionary is one already, another value is for all."""
    if type(value) != "dict":
        return {architecture: value for architecture in architectures}
    missing = [architecture for architecture in architectures if architecture not in value]
    if missing:
        fail("%s: %s has nothing for %s; it has %s" % (name, what, ", ".join(missing), ", ".join(value)))
    return value

def _is_local(lock):
    return ":" not in lock and "/" not in lock

def _built_wheels(lock):
    """Returns the wheels that were built for a lock of this package: those in model.wheels for model.lock."""
    if not _is_local(lock):
        return []
    return native.glob([lock.rpartition(".")[0] + ".wheels/*.whl"], allow_empty = True)

def _port(port):
    return str(port) if "/" in str(port) else "%s/tcp" % port

def weightless_model(
        name,
        lock,
        wheels = [],
        requirements = None,
        gen = "",
        environment = "",
        srcs = [],
        deps = [],
        data = [],
        command = [],
        entrypoint = [],
        env = {},
        ports = [],
        user = "",
        working_directory = "/opt/model",
        labels = {},
        stop_signal = "",
        architectures = None,
        python = None,
        gens = None,
        base = str(Label("//runtime:image_{architecture}")),
        debian_lock = str(Label("//image/debian:packages.{architecture}.lock.json")),
        **kwargs):
    """Makes the image of a weightless model.

    The targets are NAME, an OCI index of the images NAME_amd64 and so on; NAME.push and NAME.load, as those of the
    runtime; NAME.run, which runs the model on this machine without a container; NAME.sbom, the bills of materials;
    NAME.lock_test, which fails if a lock is not that of its requirements and its base any more.

    The image has the layers of `base`, the packages of `lock` (each large wheel in a layer of its own), `data`, and the
    code, in this order. A change of the code changes the last layer only.

    Args:
      name: of the targets, and the title of the image.
      lock: the layer lock, which `bazel run //tools:layer -- lock` makes; or one for each architecture:
        `{"amd64": "model.lock", "arm64": "model.aarch64.lock"}`. It decides the environment.
      wheels: the wheels of the lock: the target `wheels` of the repository that `model_wheels.lock` makes of it in
        MODULE.bazel; or one for each architecture. Those in `model.wheels` beside `model.lock` need not be named.
      requirements: what the lock was made of, for NAME.lock_test: requirements files, pyproject.toml, files of packages that
        are built; by default the files of this package with such names.
      gen: ID of a generation, such as 3. If the lock is for another one, the build fails.
      environment: name of an environment. If the lock is for another one, the build fails.
      srcs: the code. Files of this package lie below the working directory as they do in the package; files of others
        lie there as in the repository.
      deps: `py_library` targets of this repository; their sources, and those of their dependencies in this repository, lie
        below the working directory as in the repository. Packages that they need (`@pip//…`) come by the lock.
      data: other files, in a layer below the code.
      command: what runs, such as ["python", "server.py"]; the arguments of the entrypoint.
      entrypoint: what runs it, if not what the base runs: the runtime's `exec`, which activates the environment.
      env: environment variables. Those that select the environment follow from the lock.
      ports: ports that it listens at, such as 8080 or "8080/udp".
      user: `UID:GID`, if not that of the base: 1000:1000.
      working_directory: where code and data lie, and the command runs.
      labels: labels, by their full names: {"org.opencontainers.image.licenses": "MIT"}.
      stop_signal: the signal that ends it, such as SIGINT.
      architectures: those of the image: amd64, arm64; by default those of the dictionary `lock`, or else amd64.
      python: an interpreter of the environment's minor version, to compile the packages: a file, such as
        "@python_3_12_host//:python"; by default the Python of the build, if it is of that version.
      gens: a folder of definitions and locks, instead of //gens.
      base: the image below, an OCI layout or an index, such as a `baked_image` that holds the environment of the lock;
        `{architecture}` stands for the name of the architecture.
      debian_lock: the lock of its Debian packages, for the bill of materials; `{architecture}` as in `base`.
      **kwargs: what all rules take: visibility, tags, testonly.
    """
    if architectures == None:
        architectures = lock.keys() if type(lock) == "dict" else ["amd64"]
    for architecture in architectures:
        if architecture not in ARCHITECTURES:
            fail("%s: %r is not an architecture of the images, which are %s" % (
                name,
                architecture,
                ", ".join(ARCHITECTURES),
            ))
    locks = _by_architecture(name, "lock", lock, architectures)
    all_wheels = _by_architecture(name, "wheels", wheels, architectures)
    wheels_of = {}
    for architecture in architectures:
        given = all_wheels[architecture]
        given = [given] if type(given) == "string" else given
        wheels_of[architecture] = given + _built_wheels(locks[architecture])
        model_image(
            name = "%s_%s" % (name, architecture),
            architecture = architecture,
            base = base.format(architecture = architecture),
            command = command,
            data = data,
            debian_lock = debian_lock.format(architecture = architecture),
            deps = deps,
            entrypoint = entrypoint,
            env = env,
            environment = environment,
            gen = str(gen),
            gens = gens,
            labels = labels,
            lock = locks[architecture],
            ports = [_port(port) for port in ports],
            srcs = srcs,
            stop_signal = stop_signal,
            title = name,
            user = user,
            wheels = wheels_of[architecture],
            working_directory = working_directory,
            prefix = env.get("MONOBASE_PREFIX", ""),
            python = python,
            **kwargs
        )
        for suffix in ("bill", "parts", "run_files"):
            native.filegroup(
                name = "%s_%s.%s" % (name, architecture, suffix),
                srcs = ["%s_%s" % (name, architecture)],
                output_group = suffix,
                **kwargs
            )
    image_targets(name, architectures, **kwargs)
    _run(name, architectures, **kwargs)
    local = [architecture for architecture in architectures if _is_local(locks[architecture])]
    if requirements == None:
        requirements = native.glob(_SOURCES, allow_empty = True) if local else []
    if requirements:
        _lock_test(name, {architecture: locks[architecture] for architecture in architectures}, requirements, **kwargs)

def _lock_test(name, locks, requirements, **kwargs):
    """Declares NAME.lock_test, a test for each architecture."""
    program = Label("//tools/layer:cli.py")
    tests = []
    for architecture, lock in locks.items():
        tests.append("%s_%s.lock_test" % (name, architecture))
        py_test(
            name = tests[-1],
            size = "small",
            srcs = [program],
            args = [
                "check",
                "$(rootpath %s)" % lock,
            ],
            data = [lock, Label("//gens:generations"), Label("//gens:version")] + requirements + _built_wheels(lock),
            main = program,
            deps = [Label("//tools/layer:library")],
            **kwargs
        )
    native.test_suite(name = name + ".lock_test", tests = tests, **kwargs)

def _run(name, architectures, **kwargs):
    """Declares NAME.run for this machine's architecture if the model has it, or else for the first."""
    for architecture in architectures:
        variant = "%s_%s" % (name, architecture)
        program = Label("//runtime:exec")
        py_binary(
            name = variant + ".run",
            srcs = [Label("//image/model:run_main.py")],
            args = [
                "--parts=$(rootpath :%s.parts)" % variant,
                "--exec=$(rootpath %s)" % program,
            ],
            data = [
                ":%s.parts" % variant,
                ":%s.run_files" % variant,
                program,
                Label("//gens:version"),
                Label("//runtime"),
            ],
            main = Label("//image/model:run_main.py"),
            deps = [
                Label("//image/model"),
                Label("@pip//click"),
            ],
            **kwargs
        )
    named = {architecture: "%s_%s.run" % (name, architecture) for architecture in architectures}
    first = named[architectures[0]]
    native.alias(
        name = name + ".run",
        actual = select({
            Label("@platforms//cpu:aarch64"): named.get("arm64", first),
            "//conditions:default": named.get("amd64", first),
        }),
        **kwargs
    )
