"""Base images with one environment baked in, for machines without a daemon.

Enters: an image of the runtime, wheels of an environment and its toolkits, an archive of its interpreter.
Leaves: layers of a prefix as the daemon's own installer makes it, an image, and its bill of materials. The
rule `baked_image` (runtime/baked.bzl) runs the programs of this package as Bazel actions.
"""
