"""Reads the lock of the Python dependencies, as pip-compile writes it."""

def read_lock(text):
    """Returns the distributions of a lock by their names.

    Which need which is in the comments that say for whom each is there. So there is no need to download a wheel to know
    what it needs, and what an extra needs is not lost.

    Args:
      text: the lock.

    Returns:
      a dict of structs: `requirement`, lines for pip with the hashes; `needs`, the names of other distributions.
    """
    lines = {}
    needs = {}
    name = None
    for line in text.split("\n"):
        if line.startswith("#") or not line.strip():
            continue
        if not line.startswith(" "):
            name = line.partition("==")[0]
            lines[name] = []
            needs.setdefault(name, [])
        word = line.strip()
        if not word.startswith("#"):
            lines[name].append(word.removesuffix("\\").strip())
            continue
        wanted_by = word.removeprefix("#").strip().removeprefix("via").strip()
        if wanted_by and not wanted_by.startswith("-"):
            needs.setdefault(wanted_by, []).append(name)
    unknown = [name for name in needs if name not in lines]
    if unknown:
        fail("the lock of the Python dependencies has lines for %s, which it does not pin" % ", ".join(unknown))
    return {
        name: struct(needs = sorted(needs[name]), requirement = " \\\n    ".join(lines[name]))
        for name in lines
    }

def label_name(distribution):
    """Returns the name of a distribution in labels: import_linter for import-linter."""
    return distribution.replace("-", "_").replace(".", "_")
