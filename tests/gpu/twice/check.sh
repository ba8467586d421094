#!/bin/sh
# Compiles the extension against the Torch of this machine if it has nvcc and no wheel is given, and runs its kernel:
#   tests/gpu/twice/check.sh [WHEEL]
# It needs a GPU, `python3` with Torch, setuptools and pip, and no network.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ "$#" = 0 ]; then
    cp -r "$here" "$scratch/source"
    python3 -m pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir "$scratch" "$scratch/source"
    set -- "$scratch"/twice-*.whl
fi
python3 -m pip install --quiet --no-deps --no-index --target "$scratch/site" "$1"
cd "$scratch"
PYTHONPATH=$scratch/site python3 -c '
import torch, twice
numbers = torch.arange(1_000_003, dtype=torch.float32, device="cuda")
assert torch.equal(twice.twice(numbers), numbers * 2), "the kernel is wrong"
print("the kernel doubled", numbers.numel(), "numbers on", torch.cuda.get_device_name(), "with Torch", torch.__version__)
'
