"""Computes the paths at which mirrors have the packages of the lock."""

def urls_of(mirrors, path, date):
    """Returns the paths of a package, the likeliest first.

    A security update moves into the main archive with the next point release: the same file at another place.

    Args:
      mirrors: what mirror.py says: the URLs of `debian`, of `security` and of a `snapshot` service that has each package
        that the archives ever had; the last two may be None.
      path: its path below a mirror, as the lock has it.
      date: when the lock was made, such as 2026-11-25T02:22:31Z.

    Returns:
      A list of URLs.
    """
    main = path.replace("pool/updates/", "pool/", 1)
    places = [(mirrors["debian"], main)]
    if mirrors["security"]:
        places.append((mirrors["security"], main.replace("pool/", "pool/updates/", 1)))
    if path != main:
        places = places[::-1]
    if mirrors.get("snapshot"):
        moment = date.replace("-", "").replace(":", "")
        archive = "debian-security" if path != main else "debian"
        places.append(("%s/%s/%s" % (mirrors["snapshot"], archive, moment), path))
    return ["%s/%s" % place for place in places]
