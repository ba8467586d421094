"""Validates pools: each pattern matches an environment or toolkit of a generation."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"

def validate_pools(pools, monogens):
    """Checks pools.

    Args:
      pools: the patterns of each pool.
      monogens: generations of `monogen`.

    Returns:
      messages with the pool, the pattern and what is allowed; empty if all is valid.
    """
    names = {
        target_name(target): True
        for fields in monogens
        for target in fields["environments"] + fields["toolkits"]
    }.keys()
    errors = []
    for pool, patterns in pools.items():
        if not _consists_of(pool, _LETTERS + _DIGITS + "-") or "-" in [pool[:1], pool[-1:]] or "--" in pool or len(pool) > 40:
            errors.append("%r; allowed: a name such as h100, of at most 40 letters, digits and dashes" % pool)
        if type(patterns) != "list" or not patterns:
            errors.append("%s: %r; allowed: a list of patterns; [\"*\"] selects everything" % (pool, patterns))
            continue
        for pattern in patterns:
            if type(pattern) != "string" or not _consists_of(pattern, _LETTERS + _DIGITS + ".*?_-"):
                errors.append("%s: %r; allowed: a pattern of names such as python3.12-*" % (pool, pattern))
            elif not [name for name in names if matches(name, pattern)]:
                errors.append("%s: %r matches nothing of any generation" % (pool, pattern))
            elif len([other for other in patterns if other == pattern]) > 1:
                errors.append("%s: %r stands twice" % (pool, pattern))
    return errors

def target_name(target):
    """Returns the name of an environment or toolkit, as gens/generation.py builds it.

    Args:
      target: an element of `environments` or `toolkits` of an expanded generation.

    Returns:
      the name, such as python3.12-torch2.13.0-cu130.
    """
    if "product" in target:
        suffix = "-cuda" + target["cuda_major"] if target.get("cuda_major") else ""
        return target["product"] + target["version"] + suffix
    if target.get("stack"):
        return "python%s-%s%s" % (target["python"], target["stack"], target.get("stack_version") or "")
    if target.get("torch"):
        return "python%s-torch%s-%s" % (target["python"], target["torch"], target["build"])
    return "python" + target["python"]

def matches(name, pattern):
    """Compares a name with a pattern.

    Args:
      name: the name.
      pattern: the pattern: `*` stands for any characters, `?` for one.

    Returns:
      whether the pattern matches all of the name.
    """
    at, of_pattern, star, star_at = 0, 0, -1, 0
    for _ in range((len(name) + 1) * (len(pattern) + 1)):  # more steps than there can be
        if at == len(name):
            break
        sign = pattern[of_pattern:of_pattern + 1]
        if sign == "*":
            star, star_at = of_pattern, at
            of_pattern += 1
        elif sign == "?" or sign == name[at]:
            at += 1
            of_pattern += 1
        elif star >= 0:  # the last star takes one character more
            star_at += 1
            at, of_pattern = star_at, star + 1
        else:
            return False
    return not pattern[of_pattern:].strip("*")

def _consists_of(text, letters):
    return bool(text) and not [letter for letter in text.elems() if letter not in letters]
