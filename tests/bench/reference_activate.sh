#!/bin/bash
# How the reference implementation activates, for tests/bench/activate.py: every step is a program or a subshell.
# Ours to read and to measure; it activates the same environment.
# shellcheck disable=SC2001 # programs are the point
set -eu

prefix=$(readlink -f "${MONOBASE_PREFIX}")
generation=$(basename "$(readlink -f "$prefix/monobase/latest")")
python=$(echo "$PYTHON_VERSION" | sed -E 's/^([0-9]+\.[0-9]+).*/\1/')
cuda=$(echo "$CUDA_VERSION" | sed -E 's/^([0-9]+\.[0-9]+).*/\1/')
cudnn=$(echo "$CUDNN_VERSION" | sed -E 's/^([0-9]+).*/\1/')
build=cu$(echo "$cuda" | sed 's/\.//')
cuda_home=$(readlink -f "$prefix/monobase/$generation/cuda$cuda")
cudnn_home=$(readlink -f "$prefix/monobase/$generation/cudnn$cudnn-cuda$(echo "$cuda" | sed 's/\..*//')")
VIRTUAL_ENV=$prefix/monobase/$generation/python$python-torch$TORCH_VERSION-$build
cp "$VIRTUAL_ENV/pyvenv.cfg" "${TMPDIR:-/tmp}/monobase-reference.$(basename "$cuda_home")"
export VIRTUAL_ENV
export PATH="$VIRTUAL_ENV/bin:$cuda_home/bin:$PATH"
export CUDA_HOME="$cuda_home"
export LD_LIBRARY_PATH="/usr/local/nvidia/lib64:$cuda_home/lib64:$cudnn_home/lib:${LD_LIBRARY_PATH:-}"
exec "$@"
