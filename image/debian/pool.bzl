"""Computes the paths at which mirrors have the packages of the lock."""

def urls_of(mirrors, path):
    """Returns the paths of a package, the likeliest first.

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
