"""Compares a GPU with the code that a build of Torch has.

Machine code for `sm_80` runs on GPUs of the same major version and the same or a higher minor one (8.6, 8.9);
`sm_90a` on 9.0 alone; `sm_100f` on 10.x. Of `compute_90` the driver makes machine code for any newer GPU.
"""

import re
from typing import Literal

Code = Literal["machine code", "PTX", "none"]
_NAME = re.compile(r"(?P<kind>sm|compute)_(?P<major>\d+)(?P<minor>\d)(?P<suffix>[a-z]?)")


def code_for(capability: tuple[int, int], architectures: tuple[str, ...]) -> Code:
    """Return what a build has for a GPU.

    Args:
        capability: Compute capability of the GPU.
        architectures: What the build has code for, such as `sm_80` or `compute_90`.

    Returns:
        `machine code` if it runs as it is; `PTX` if the driver must compile it first; `none`.
    """
    best: Code = "none"
    for name in architectures:
        found = _NAME.fullmatch(name)
        if found is None:
            continue
        built_for = (int(found["major"]), int(found["minor"]))
        if found["kind"] == "compute":
            if built_for <= capability and found["suffix"] == "":
                best = "PTX"
        elif built_for == capability or (
            found["suffix"] in ("", "f") and built_for[0] == capability[0] and built_for[1] <= capability[1]
        ):
            return "machine code"
    return best
