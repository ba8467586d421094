#!/bin/sh
# What a stamped build says of its source: the commit, and whether the tree has changes that are not in it. Bazel runs this
# in the workspace for --config=release. A stable key: actions that read it run again when the value changes.
set -eu

fail() {
    printf 'workspace_status.sh: %s\n' "$1" >&2
    exit 1
}

# Whoever owns the tree, it is the one that was asked to be built.
revision=$(git -c safe.directory='*' rev-parse --verify HEAD) || fail "no commit: a release is built in a clone of the repository"
changes=$(git -c safe.directory='*' status --porcelain) || fail "cannot tell whether the tree has changes"
printf 'STABLE_MONOBASE_REVISION %s\n' "$revision"
if [ -z "$changes" ]; then
    printf 'STABLE_MONOBASE_TREE clean\n'
else
    printf 'STABLE_MONOBASE_TREE dirty\n'
fi
