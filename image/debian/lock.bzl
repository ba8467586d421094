"""The lock of Debian packages as Starlark reads it, for the rule that fetches them; lock.py says what it looks like."""

def parse_lock(text, where):
    """Reads a lock.

    Args:
      text: its text.
      where: what it is called in messages.

    Returns:
      A struct with `layers`, the packages of each by its name, and `problem`, None when there is none. A package is a
      struct of name, version, path and sha256.
    """
    layers = {}
    layer = None
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            layer = layers.setdefault(line[1:-1], [])
            continue
        words = line.split(" ")
        if layer == None or len(words) != 5 or not words[4].startswith("sha256:"):
            return struct(layers = {}, problem = (
                "%s:%d: is no line of a lock: %r; `bazel run //tools:update_debian` writes the file anew" %
                (where, number, line)
            ))
        name, version, path, _, digest = words
        layer.append(struct(name = name, version = version, path = path, sha256 = digest.removeprefix("sha256:")))
    return struct(layers = layers, problem = None)

def urls_of(mirrors, path):
    """Gives the places of a package, the likeliest first.

    A security update moves into the main archive with the next point release: the same file at another place.

    Args:
      mirrors: what mirror.py says: the URLs of `debian` and of `security`, which may be None.
      path: its path below a mirror, as the lock has it.

    Returns:
      A list of URLs.
    """
    main = path.replace("pool/updates/", "pool/", 1)
    places = [(mirrors["debian"], main)]
    if mirrors["security"]:
        places.append((mirrors["security"], main.replace("pool/", "pool/updates/", 1)))
    if path != main:
        places = places[::-1]
    return ["%s/%s" % place for place in places]
