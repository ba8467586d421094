"""`stack`, which defines an environment of a serving or training stack on a Torch of its generation."""

def stack(python, pins, cuda = None, base = None, version = None, machines = {}):
    """Defines a stack: a value of the field `stacks` of `monogen`, or one of a list there.

    Args:
      python: minor versions of the Pythons that have it, of those of the generation.
      pins: version by package, which may have extras: {"torch": "2.15.0", "jax[cuda13]": "0.12.0.1"}.
      cuda: CUDA version of its Torch, of those of the generation; by default the one of the default index.
      base: a Torch release of the generation whose pins it keeps, for a stack that pins no Torch itself.
      version: its version, if it is not that of the package that it is named after.
      machines: machines of a pin, where these are not all: {"xformers": ["x86_64"]}.

    Returns:
      a struct.
    """
    return struct(python = python, pins = pins, cuda = cuda, base = base, version = version, machines = machines)

def stacks_of(stacks):
    """Returns the stacks of a generation, each with its name.

    Args:
      stacks: the field `stacks` of `monogen`.

    Returns:
      a list of (name, stack), in order.
    """
    return [
        (name, one)
        for name, value in stacks.items()
        for one in (value if type(value) == "list" else [value])
    ]

def pinned_name(package):
    """Returns the name of a pinned package, without its extras: jax for jax[cuda13]."""
    return package.partition("[")[0]

def stack_version(name, stack):
    """Returns the version in the name of a stack's environments.

    Args:
      name: name of the stack.
      stack: the stack.

    Returns:
      its own version, else that of the pin with its name, else None.
    """
    if stack.version != None:
        return stack.version
    for package, version in stack.pins.items():
        if pinned_name(package) == name:
            return version
    return None
