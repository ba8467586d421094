"""Images of weightless models: the runtime, a layer of packages, and code.

Enters: the image of the runtime, a layer lock with its wheels, files of code. Leaves: an OCI layout for each
architecture, and a bill of materials that includes the environment on the node. The rule
`weightless_model` (runtime/model.bzl) runs the programs of this package as Bazel actions.
"""
